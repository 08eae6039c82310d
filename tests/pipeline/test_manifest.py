import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.manifest import Manifest, load_manifest, read_manifest

Built = tuple[Path, Manifest]
Make = Callable[..., Manifest]
Content = Callable[[Path], dict[str, bytes]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("schema", 99), ("slicer", 99), ("classes", ["FLAIR", "T1", "T2", "other"])],
)
def test_a_manifest_of_another_kind_is_refused(
    shards: Built, name: str, value: object
) -> None:
    path = shards[0] / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {name: value}))
    with pytest.raises(ValueError, match=f"has {name} .* this program needs .* again"):
        load_manifest(shards[0])


def test_shards_without_planes_and_gadolinium_are_refused(shards: Built) -> None:
    path = shards[0] / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"schema": 1}))
    with pytest.raises(ValueError, match=r"has schema 1, this program needs 2; build"):
        load_manifest(shards[0])


def test_a_folder_without_a_finished_build_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no finished set .* `make shards`"):
        load_manifest(tmp_path)


def test_a_missing_or_cut_off_shard_is_named(shards: Built) -> None:
    folder, manifest = shards
    path = folder / manifest.shards[1].file
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(ValueError, match=f"{path.name} has .* the manifest says"):
        load_manifest(folder)
    path.unlink()
    with pytest.raises(FileNotFoundError, match=f"{path.name} is missing"):
        load_manifest(folder)


def test_an_empty_split_is_refused_with_those_that_are_filled(
    tmp_path: Path, class_folders: Path, make: Make
) -> None:
    manifest = make(class_folders, tmp_path / "out", test=0.0)
    with pytest.raises(ValueError, match="no 'test' slices, only train, validation;"):
        manifest.of_split("test")


@pytest.mark.parametrize(
    ("old", "new"), [("{", "("), ('"config"', '"c0nfig"'), ('"shards"', '"sharts"')]
)
def test_a_damaged_manifest_is_named_and_written_anew(
    shards: Built, class_folders: Path, make: Make, old: str, new: str
) -> None:
    path = shards[0] / "manifest.json"
    whole = path.read_text()
    path.write_text(whole.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"manifest.json is damaged .*`make shards`"):
        load_manifest(shards[0])
    make(class_folders, shards[0])
    assert path.read_text() == whole


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (("slices", "test"), None, "slices lacks test"),
        (("scans", "train"), None, "scans lacks train"),
        (("subjects", "validation"), None, "subjects lacks validation"),
        (("slices", "train", "T1"), None, "slices of train lacks T1"),
        (("scans", "test", "T2"), "many", "scans of test, T2, is no count: 'many'"),
        (("subjects",), [1, 2, 3], "subjects is no mapping"),
        (("config",), [], "it records no configuration"),
        (("rejected",), None, "it lacks rejected"),
        (("author",), "me", "it has unknown author"),
        (("shards",), {}, "shards is no list"),
        (("shards", 0), "train-0", "shard 0 is no mapping"),
        (("shards", 1, "bytes"), None, "shard 1 lacks bytes"),
        (("shards", 1, "records"), -1, "records of shard 1 is no count: -1"),
        (("shards", 1, "split"), "exam", "shard 1 is of no split: 'exam'"),
        (("shards", 1, "file"), 7, "file of shard 1 is no text"),
    ],
)
def test_what_a_manifest_lacks_is_named(
    lasting_shards: Built,
    tmp_path: Path,
    place: tuple[str | int, ...],
    value: object,
    message: str,
) -> None:
    content = json.loads((lasting_shards[0] / "manifest.json").read_text())
    *outer, last = place
    inner = content
    for name in outer:
        inner = inner[name]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    (tmp_path / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(ValueError, match=re.escape(f"is damaged ({message}); run")):
        read_manifest(tmp_path)
