"""Test shards must be of other people than those that were learned from."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import tensorflow as tf

from pipeline.dataset import explained_damage
from pipeline.files import write_json
from pipeline.manifest import load_manifest

_AT_A_TIME: Final = 1024
_NAMED: Final = 3


def check_apart(shards: Path, test: Path, known: Path) -> None:
    """Refuses test shards that share a subject with what is learned from.

    Args:
        shards: Their splits `train` and `validation` are learned from.
        test: Its split `test` is measured.
        known: Where to note that these two were found apart: to read the names of a
            few hundred gigabytes takes minutes, once.

    Raises:
        ValueError: They are the same shards, or a subject's name is in both.
    """
    pair = {"shards": load_manifest(shards).sha256, "test": load_manifest(test).sha256}
    if pair["shards"] == pair["test"]:
        raise ValueError(
            f"{test} holds the same as {shards}; name test shards of other subjects, "
            "for example simulated ones of another seed (--sealed)"
        )
    if known.is_file() and json.loads(known.read_text()) == pair:
        return
    learned = subjects_of(shards, ("train", "validation"))
    shared = sorted(learned & subjects_of(test, ("test",)))
    if shared:
        more = f" and {len(shared) - _NAMED} more" if len(shared) > _NAMED else ""
        raise ValueError(
            f"{test} tests {', '.join(shared[:_NAMED])}{more}, whom {shards} learns "
            "from; name test shards of other subjects, or, where they only share their "
            "names, build either with names of their own"
        )
    write_json(known, pair)


def subjects_of(folder: Path, splits: Sequence[str]) -> set[str]:
    """Returns the names of all subjects of some splits.

    Args:
        folder: Shards with their manifest.
        splits: Any of `train`, `validation` and `test`; empty ones have none.
    """
    shards = [each for each in load_manifest(folder).shards if each.split in splits]
    files = [str(folder / shard.file) for shard in shards if shard.records]
    wanted = {"subject": tf.io.FixedLenFeature([], tf.string)}
    found: set[bytes] = set()
    with explained_damage(folder):
        for batch in tf.data.TFRecordDataset(files).batch(_AT_A_TIME):
            found.update(tf.io.parse_example(batch, wanted)["subject"].numpy())
    return {name.decode() for name in found}
