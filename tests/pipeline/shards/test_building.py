from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

import mri_contrast.slices
from pipeline import records
from pipeline.contrasts import CLASSES
from pipeline.files import sha256_of
from pipeline.manifest import Manifest, load_manifest
from pipeline.phantom import PhantomConfig, phantom_scans
from pipeline.shards import ShardsConfig, build
from pipeline.shards.__main__ import main
from pipeline.sources import find_scans

Built = tuple[Path, Manifest]
Make = Callable[..., Manifest]
Content = Callable[[Path], dict[str, bytes]]


def examples(folder: Path, shard: str) -> list[tf.train.Example]:
    read = tf.data.TFRecordDataset(str(folder / shard))
    return [tf.train.Example.FromString(record.numpy()) for record in read]


def test_the_manifest_counts_what_the_shards_hold(shards: Built) -> None:
    folder, manifest = shards
    assert manifest.classes == CLASSES
    assert manifest.slicer == mri_contrast.slices.VERSION
    assert manifest.slices == manifest.scans
    assert manifest.slices["train"] == dict.fromkeys(CLASSES, 10)
    assert manifest.subjects == {"train": 10, "validation": 1, "test": 1}
    assert manifest.rejected == 0
    assert manifest.config["seed"] == 0
    assert [shard.file for shard in manifest.of_split("train")] == [
        f"train-{index:05d}-of-00004.tfrecord" for index in range(4)
    ]
    for shard in manifest.shards:
        assert sha256_of(folder / shard.file) == shard.sha256
        assert len(examples(folder, shard.file)) == shard.records


def test_a_record_holds_the_slice_and_where_it_comes_from(
    shards: Built, class_folders: Path
) -> None:
    folder, manifest = shards
    scans = {scan.name: scan for scan in find_scans(class_folders)}
    for example in examples(folder, manifest.of_split("validation")[0].file):
        features = example.features.feature
        scan = scans[features["scan"].bytes_list.value[0].decode()]
        image = features["image"].bytes_list.value[0]
        assert image == mri_contrast.slices.cut(scan.read())[0].tobytes()
        assert CLASSES[features["label"].int64_list.value[0]] == scan.contrast
        assert features["subject"].bytes_list.value[0].decode() == scan.subject
        assert features["source"].bytes_list.value[0].decode() == "scans"
        assert features["plane"].int64_list.value == [-1]
        assert features["gadolinium"].int64_list.value == [-1]


def test_simulated_slices_say_which_plane_they_show_and_whether_with_gadolinium(
    tmp_path: Path,
) -> None:
    scans = {scan.name: scan for scan in phantom_scans(PhantomConfig(subjects=3))}
    config = ShardsConfig(out=tmp_path, phantom=3, scans_per_job=8, workers=1)
    manifest = build(list(scans.values()), config)
    found = Counter()
    for shard in manifest.shards:
        for example in examples(tmp_path, shard.file):
            record = records.decode(example.SerializeToString())
            assert record.gadolinium == scans[record.scan].gadolinium
            found[record.scan, record.plane] += 1
    said = Counter()
    for name, scan in scans.items():
        for axis, slices in mri_contrast.slices.cut_planes(scan.read()).items():
            said[name, scan.planes[axis]] += len(slices)
    assert found == said


def test_no_subject_is_in_two_splits(shards: Built) -> None:
    folder, manifest = shards
    people = {
        split: {
            example.features.feature["subject"].bytes_list.value[0]
            for shard in manifest.of_split(split)
            for example in examples(folder, shard.file)
        }
        for split in manifest.subjects
    }
    assert sum(map(len, people.values())) == len(set.union(*people.values())) == 12


def test_classes_are_mixed_within_a_shard(shards: Built) -> None:
    folder, manifest = shards
    labels = [
        example.features.feature["label"].int64_list.value[0]
        for example in examples(folder, manifest.shards[0].file)
    ]
    assert set(Counter(labels)) == {0, 1, 2, 3}
    assert labels != sorted(labels)


def test_a_volume_gives_several_slices_that_name_their_scan(
    tmp_path: Path, class_folders: Path, write_nifti, make: Make
) -> None:
    write_nifti(class_folders / "T1" / "T1_0_2.nii.gz")
    manifest = make(class_folders, tmp_path / "out")
    total = sum(map(manifest.count, manifest.subjects))
    names = Counter(
        example.features.feature["scan"].bytes_list.value[0].decode()
        for shard in manifest.shards
        for example in examples(tmp_path / "out", shard.file)
    )
    assert names["T1/T1_0_2.nii.gz"] == total - 48 > 8


def test_another_folder_and_other_hands_give_the_same_bytes(
    shards: Built, tmp_path: Path, class_folders: Path, make: Make, content: Content
) -> None:
    folder, _ = shards
    make(class_folders, tmp_path / "again", workers=2)
    assert content(tmp_path / "again") == content(folder)


def test_the_way_the_data_are_named_changes_no_byte(
    shards: Built,
    tmp_path: Path,
    class_folders: Path,
    monkeypatch: pytest.MonkeyPatch,
    make: Make,
    content: Content,
) -> None:
    folder, _ = shards
    monkeypatch.chdir(class_folders.parent)
    make(Path(class_folders.name), tmp_path / "again", max_rejected=0.5)
    assert content(tmp_path / "again") == content(folder)


def test_another_seed_gives_another_split(
    shards: Built, tmp_path: Path, class_folders: Path, make: Make, content: Content
) -> None:
    folder, _ = shards
    make(class_folders, tmp_path / "other", seed=1)
    test = "test-00000-of-00001.tfrecord"
    assert content(tmp_path / "other")[test] != content(folder)[test]


def test_a_leak_between_given_splits_needs_permission(
    tmp_path: Path, write_png, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    for number, split in enumerate(("entrenamiento", "validacion", "test")):
        for label in ("T1", "T2", "flair", "other"):
            subject = 497 if label == "T2" else number
            write_png(data / split / label / f"{label}_{subject}_3.png", number)
    out = tmp_path / "out"
    command = ["--data", str(data), "--out", str(out), "--workers", "1"]
    assert main(command) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert "1 subjects are in more than one split: '497'" in error
    assert "--allow-leak" in error
    assert main([*command, "--allow-leak"]) == 0
    assert load_manifest(out).config["allow_leak"] is True


def test_an_empty_folder_ends_with_one_line_and_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    arguments = ["--data", str(tmp_path / "empty"), "--out", str(tmp_path / "out")]
    assert main(arguments) == 2
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 1
    assert "holds no scans; put PNG" in error[0]
