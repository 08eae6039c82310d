"""How much memory training takes, over more and more data."""

import collections
import dataclasses
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bench.remote import CHECKOUT
from bench.results import Row, at_most, unmeasured
from pipeline.manifest import Manifest, load_manifest

TIMES: Final = (1, 10, 100)

SETTINGS: Final = (
    *("--epochs", "1", "--batch-size", "256"),
    *("--hyper.filters", "4", "--hyper.dense", "8"),
)
"""A small network, so that what grows with the data is not hidden, nor waited for."""


def measure(shards: Path, folder: Path, times: Sequence[int] = TIMES) -> Row:
    """Trains on the data once and many times over, each in a process of its own.

    Args:
        shards: Shards of training slices alone.
        folder: Where the larger sets and the runs go.
        times: The data's sizes; the first is what the last is compared with.
    """
    peaks = {}
    for factor in times:
        larger = grow(shards, folder / f"times-{factor}", factor)
        try:
            peaks[factor] = _peak_mebibytes(larger, folder / "run")
        except RuntimeError as error:
            return unmeasured("train.memory", "≤ 1.1", f"{factor} × the data: {error}")
    base = load_manifest(shards).count("train")
    listed = ", ".join(f"{peak:.0f} MiB at {n} ×" for n, peak in peaks.items())
    return at_most(
        "train.memory",
        peaks[times[-1]] / peaks[times[0]],
        1.1,
        f"peak resident memory of `python -m pipeline.train {' '.join(SETTINGS)}`: "
        f"{listed} {base} slices; limit: TensorFlow and the step's buffers, which no "
        "data adds to; the input holds its 16 MiB of records",
    )


def grow(shards: Path, out: Path, factor: int) -> Path:
    """Makes a data set of the same shards many times over, by links.

    The first shard is there once more, for validation.

    Args:
        shards: Shards of training slices alone.
        out: Folder to make; an earlier one is replaced.
        factor: How many times.

    Returns:
        `out`.
    """
    manifest = load_manifest(shards)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    total = factor * len(manifest.shards)
    members = []
    for number in range(total):
        shard = manifest.shards[number % len(manifest.shards)]
        name = f"train-{number:05d}-of-{total:05d}.tfrecord"
        (out / name).hardlink_to(shards / shard.file)
        members.append(dataclasses.replace(shard, file=name))
    first = manifest.shards[0]
    name = "validation-00000-of-00001.tfrecord"
    (out / name).hardlink_to(shards / first.file)
    members.append(dataclasses.replace(first, file=name, split="validation"))
    counts = {label: factor * n for label, n in manifest.slices["train"].items()}
    dataclasses.replace(
        manifest,
        shards=tuple(members),
        slices=manifest.slices | {"train": counts, "validation": _counts(manifest)},
    ).save(out)
    return out


def _counts(manifest: Manifest) -> dict[str, int]:
    """Slices of each class in the first shard, as nearly as the manifest tells."""
    total = manifest.count("train")
    counts: collections.Counter[str] = collections.Counter()
    for name, count in manifest.slices["train"].items():
        counts[name] = manifest.shards[0].records * count // total
    counts[max(counts, key=counts.__getitem__)] += (
        manifest.shards[0].records - counts.total()
    )
    return dict(counts)


def _peak_mebibytes(shards: Path, run: Path) -> float:
    """Trains; raises `RuntimeError` with the last line of what it says on failure."""
    train = [sys.executable, "-m", "pipeline.train", *SETTINGS]
    places = ["--shards", str(shards.absolute()), "--run", str(run.absolute())]
    done = subprocess.run(
        [sys.executable, "-m", "bench.peak", *train, *places],
        capture_output=True,
        text=True,
        cwd=CHECKOUT,
        check=False,
    )
    shutil.rmtree(run, ignore_errors=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1])
    return int(done.stdout.split()[0]) / 1024
