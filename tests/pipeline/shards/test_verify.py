import json
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline import records
from pipeline.files import sha256_of
from pipeline.manifest import Manifest
from pipeline.shards.__main__ import main
from pipeline.shards.frames import read_frames
from pipeline.shards.verify import VerifyConfig, verify

Built = tuple[Path, Manifest]
Make = Callable[..., Manifest]
Content = Callable[[Path], dict[str, bytes]]


def findings(folder: Path) -> list[str]:
    return verify(VerifyConfig(folder, workers=1))


def frames(folder: Path, manifest: Manifest, number: int) -> list[bytes]:
    shard = manifest.shards[number]
    return read_frames(folder / shard.file, 0, shard.records)


def disguise(folder: Path, number: int) -> None:
    """Makes the manifest say of a shard what its file is."""
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    shard = content["shards"][number]
    shard["sha256"] = sha256_of(folder / shard["file"])
    shard["bytes"] = (folder / shard["file"]).stat().st_size
    path.write_text(json.dumps(content))


def test_finished_shards_have_nothing_wrong(
    shards: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, _ = shards
    assert main(["verify", "--shards", str(folder), "--workers", "2"]) == 0
    assert capsys.readouterr().out == ""


def test_a_random_flipped_byte_of_a_random_shard_is_named_and_repaired(
    shards: Built, class_folders: Path, make: Make, content: Content
) -> None:
    folder, manifest = shards
    whole = content(folder)
    generator = random.Random(7)
    for _ in range(6):
        make(class_folders, folder)
        assert content(folder) == whole
        shard = generator.choice(manifest.shards)
        data = bytearray(whole[shard.file])
        place = generator.randrange(len(data))
        data[place] ^= generator.randrange(1, 256)
        (folder / shard.file).write_bytes(data)
        index = place // (len(data) // shard.records)
        (line,) = findings(folder)
        assert line.startswith(f"{shard.file}: record ")
        assert abs(int(line.split()[2].rstrip(",")) - index) <= 1
    make(class_folders, folder)
    assert content(folder) == whole
    assert findings(folder) == []


def test_the_command_prints_each_finding_and_what_to_do(
    shards: Built, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder, manifest = shards
    first, second, third = (shard.file for shard in manifest.shards[:3])
    (folder / first).unlink()
    kept = frames(folder, manifest, 1)
    (folder / second).write_bytes(b"".join(kept[:4] + kept[5:]))
    (folder / third).write_bytes((folder / third).read_bytes()[:-10])
    assert main(["verify", "--shards", str(folder), "--workers", "1"]) == 2
    assert capsys.readouterr().out.splitlines() == [
        f"{first}: is missing",
        f"{second}: record 4 is missing",
        f"{third}: record 9, byte "
        f"{_start(folder, third, 9)}: it is cut off, 10 "
        "bytes are missing",
    ]
    assert "3 findings" in caplog.text
    assert "redoes only what is damaged" in caplog.text


def _start(folder: Path, file: str, number: int) -> int:
    return sum(map(len, read_frames(folder / file, 0, number)))


def test_a_copy_without_notes_is_checked_too(shards: Built, tmp_path: Path) -> None:
    folder, manifest = shards
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.glob("*.*"):
        (copy / path.name).write_bytes(path.read_bytes())
    assert findings(copy) == []
    kept = frames(folder, manifest, 1)
    (copy / manifest.shards[1].file).write_bytes(b"".join(kept[1:]))
    (line,) = findings(copy)
    assert line.endswith("holds 9 records, the manifest says 10")


def test_a_record_that_holds_no_slice_of_a_class_is_named(
    shards: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, manifest = shards
    kept = [records.decode(frame[12:-4]) for frame in frames(folder, manifest, 4)]
    kept[2] = kept[2]._replace(label=7)
    records.write(folder / manifest.shards[4].file, kept)
    disguise(folder, 4)
    (line,) = findings(folder)
    assert "record 2, byte " in line
    assert line.endswith("has label 7, not one of 0 to 3")


def test_counts_that_are_not_the_manifests_are_named(shards: Built) -> None:
    folder, _ = shards
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    content["slices"]["train"]["T2"] += 1
    content["subjects"]["test"] = 5
    path.write_text(json.dumps(content))
    assert findings(folder) == [
        "train holds 10 T2 slices, the manifest says 11",
        "test holds 1 subjects, the manifest says 5",
    ]


def test_a_shard_of_which_the_manifest_says_something_else_is_named(
    shards: Built, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    folder, manifest = shards
    path = folder / "manifest.json"
    content = json.loads(path.read_text())
    first, second = (shard.file for shard in manifest.shards[:2])
    size = manifest.shards[1].bytes
    content["shards"][0]["records"] += 3
    path.write_text(json.dumps(content))
    assert main(["verify", "--shards", str(folder), "--workers", "1"]) == 2
    said = f"{first}: holds 10 records, the manifest says 13"
    assert capsys.readouterr().out.splitlines() == [said]
    assert "1 finding in" in caplog.text
    content["shards"][1]["bytes"] -= 1
    path.write_text(json.dumps(content))
    other = f"{second}: has {size} bytes, the manifest says {size - 1}"
    assert findings(folder) == [said, other]
    content["shards"][1]["sha256"] = "0" * 64
    path.write_text(json.dumps(content))
    whole = f"{second}: all records are whole, its digest is another one"
    assert findings(folder) == [said, whole, other]


def test_a_manifest_without_a_split_ends_with_code_2(
    shards: Built, capsys: pytest.CaptureFixture[str]
) -> None:
    path = shards[0] / "manifest.json"
    content = json.loads(path.read_text())
    del content["slices"]["test"]
    path.write_text(json.dumps(content))
    assert main(["verify", "--shards", str(shards[0])]) == 2
    assert "is damaged (slices lacks test); run" in capsys.readouterr().err


def test_a_subject_in_two_splits_is_named(shards: Built) -> None:
    folder, manifest = shards
    kept = [records.decode(frame[12:-4]) for frame in frames(folder, manifest, 5)]
    (subject,) = {
        records.decode(frame[12:-4]).subject for frame in frames(folder, manifest, 4)
    }
    records.write(
        folder / manifest.shards[5].file,
        (record._replace(subject=subject) for record in kept),
    )
    disguise(folder, 5)
    assert findings(folder) == [f"subject '{subject}' is in validation and test"]


def test_a_folder_without_shards_ends_with_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["verify", "--shards", str(tmp_path)]) == 2
    assert "no finished set of shards" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image": None}, "has no image"),
        ({"image": b"\x00" * 100}, "has an image of 100 bytes, not 22500"),
        ({"label": None}, "has no label"),
        ({"label": 4}, "has label 4, not one of 0 to 3"),
        ({"plane": None, "gadolinium": None}, "has no plane and no gadolinium"),
        ({"plane": 3}, "has plane 3, not one of -1 to 2"),
        ({"gadolinium": -2}, "has gadolinium -2, not one of -1 to 1"),
    ],
)
def test_a_record_says_what_is_wrong_with_it(
    shards: Built, change: dict, message: str
) -> None:
    import tensorflow as tf

    folder, manifest = shards
    example = tf.train.Example.FromString(frames(folder, manifest, 0)[0][12:-4])
    for name, value in change.items():
        del example.features.feature[name]
        if isinstance(value, int):
            example.features.feature[name].int64_list.value.append(value)
        elif value is not None:
            example.features.feature[name].bytes_list.value.append(value)
    with pytest.raises(ValueError, match=message):
        records.decode(example.SerializeToString())
    with pytest.raises(ValueError, match="is no record of a slice"):
        records.decode(b"\xff" * 50)
