import contextlib
import csv
import itertools
import json
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import psutil
import pytest
import tensorflow as tf

import mri_contrast.slices
import pipeline.phantom
from pipeline.contrasts import CLASSES
from pipeline.files import sha256_of
from pipeline.manifest import Manifest, load_manifest
from pipeline.phantom import SCANS_PER_SUBJECT, PhantomConfig, phantom_scans
from pipeline.shards import ShardsConfig, build, main, plan
from pipeline.sources import find_scans

Built = tuple[Path, Manifest]


def make(data: Path, out: Path, **settings) -> Manifest:
    settings = {"shard_megabytes": 0.24, "scans_per_job": 10, "workers": 1} | settings
    return build(find_scans(data), ShardsConfig(out=out, data=data, **settings))


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.glob("*")
        if path.is_file()
    }


def changed(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("*.tfrecord")}


def rejected(folder: Path) -> dict[str, str]:
    with (folder / "rejected.csv").open(newline="") as file:
        return {row["name"]: row["reason"] for row in csv.DictReader(file)}


def examples(folder: Path, shard: str) -> list[tf.train.Example]:
    records = tf.data.TFRecordDataset(str(folder / shard))
    return [tf.train.Example.FromString(record.numpy()) for record in records]


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
    tmp_path: Path, class_folders: Path, write_nifti
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
    shards: Built, tmp_path: Path, class_folders: Path
) -> None:
    folder, _ = shards
    make(class_folders, tmp_path / "again", workers=2)
    assert content(tmp_path / "again") == content(folder)


def test_the_way_the_data_are_named_changes_no_byte(
    shards: Built,
    tmp_path: Path,
    class_folders: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder, _ = shards
    monkeypatch.chdir(class_folders.parent)
    make(Path(class_folders.name), tmp_path / "again", max_rejected=0.5)
    assert content(tmp_path / "again") == content(folder)


def test_other_data_of_the_same_name_reuse_no_shard(
    shards: Built, tmp_path: Path, class_folders: Path, write_png
) -> None:
    folder, _ = shards
    before = content(folder)
    other = tmp_path / "elsewhere" / class_folders.name
    for number, path in enumerate(sorted(class_folders.rglob("*.png"))):
        write_png(other / path.relative_to(class_folders), 1000 + number)
    make(other, folder)
    after = content(folder)
    shard_names = {name for name in before if name.endswith(".tfrecord")}
    assert shard_names == {name for name in after if name.endswith(".tfrecord")}
    assert all(before[name] != after[name] for name in shard_names)


def test_an_empty_split_is_refused_with_those_that_are_filled(
    tmp_path: Path, class_folders: Path
) -> None:
    manifest = make(class_folders, tmp_path / "out", test=0.0)
    with pytest.raises(ValueError, match="no 'test' slices, only train, validation;"):
        manifest.of_split("test")


def test_another_seed_gives_another_split(
    shards: Built, tmp_path: Path, class_folders: Path
) -> None:
    folder, _ = shards
    make(class_folders, tmp_path / "other", seed=1)
    test = "test-00000-of-00001.tfrecord"
    assert content(tmp_path / "other")[test] != content(folder)[test]


def test_an_interrupted_build_goes_on_with_what_is_missing(
    shards: Built, class_folders: Path
) -> None:
    folder, _ = shards
    whole, times = content(folder), changed(folder)
    gone, unnoted = "train-00001-of-00004.tfrecord", "train-00003-of-00004.tfrecord"
    (folder / "manifest.json").unlink()
    (folder / gone).unlink()
    (folder / "parts" / f"{unnoted}.json").unlink()
    (folder / f"{gone}.4711.partial").write_bytes(b"half a shard")
    make(class_folders, folder)
    assert content(folder) == whole
    redone = {name for name, time in changed(folder).items() if time != times[name]}
    assert redone == {gone, unnoted}


def test_a_flipped_byte_makes_its_shard_be_written_again(
    shards: Built, class_folders: Path
) -> None:
    folder, manifest = shards
    whole = content(folder)
    damaged = folder / manifest.shards[2].file
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"\x00")
    make(class_folders, folder)
    assert content(folder) == whole


def test_a_killed_build_is_resumed_to_the_same_bytes(
    shards: Built, tmp_path: Path, class_folders: Path
) -> None:
    out = tmp_path / "killed"
    command = f"--data {class_folders} --out {out} --scans-per-job 10 --workers 2"
    command += " --shard-megabytes 0.24"
    build = subprocess.Popen(
        [sys.executable, "-m", "pipeline.shards", *command.split()],
        stderr=subprocess.DEVNULL,
    )
    while not list(out.glob("parts/*.json")):
        with contextlib.suppress(subprocess.TimeoutExpired):
            build.wait(0.02)
            pytest.fail("the build ended before it could be killed")
    workers = psutil.Process(build.pid).children(recursive=True)
    build.send_signal(signal.SIGKILL)
    assert build.wait() == -signal.SIGKILL
    assert psutil.wait_procs(workers, timeout=30)[1] == []
    make(class_folders, out)
    assert content(out) == content(shards[0])


def test_changed_input_is_noticed(
    shards: Built, class_folders: Path, write_png
) -> None:
    folder, before = shards
    write_png(class_folders / "T1" / "T1_4_1.png", 999)
    after = make(class_folders, folder)
    different = [
        old.file
        for old, new in zip(before.shards, after.shards, strict=True)
        if old.sha256 != new.sha256
    ]
    assert len(different) == 1


def test_shards_of_an_earlier_plan_are_removed_and_strangers_kept(
    shards: Built, class_folders: Path
) -> None:
    folder, _ = shards
    (folder / "notes.txt").write_text("mine")
    (folder / "mine.tfrecord").write_bytes(b"")
    manifest = make(class_folders, folder, shard_megabytes=0.5, replace=True)
    left = {path.name for path in folder.iterdir() if path.is_file()}
    assert left == {
        *(shard.file for shard in manifest.shards),
        *("manifest.json", "rejected.csv", "notes.txt", "mine.tfrecord"),
    }


def test_unreadable_scans_are_listed_and_the_build_goes_on(
    tmp_path: Path, class_folders: Path
) -> None:
    (class_folders / "T1" / "T1_0_9.png").write_bytes(b"no image at all")
    cut_off = class_folders / "T2" / "T2_1_1.png"
    cut_off.write_bytes(cut_off.read_bytes()[:300])
    manifest = make(class_folders, tmp_path / "out")
    assert manifest.rejected == 2
    assert sum(map(manifest.count, manifest.subjects)) == 47
    reasons = rejected(tmp_path / "out")
    assert reasons.keys() == {"T1/T1_0_9.png", "T2/T2_1_1.png"}
    assert all(reasons.values())


def test_a_file_that_a_csv_names_and_nobody_finds_is_rejected(
    tmp_path: Path, class_folders: Path
) -> None:
    names = sorted(path.relative_to(tmp_path) for path in class_folders.rglob("*.png"))
    lines = [f"{name},{name.parent.name}" for name in [*names, Path("T1/lost.png")]]
    table = tmp_path / "table.csv"
    table.write_text("\n".join(["path,label", *lines[:-1], "T1/lost.png,T1"]))
    assert make(table, tmp_path / "out").rejected == 1
    assert rejected(tmp_path / "out").keys() == {"T1/lost.png"}


def test_too_many_rejected_stop_the_build(
    tmp_path: Path, class_folders: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number in range(4):
        (class_folders / "T1" / f"T1_{number}_7.png").write_bytes(b"broken")
    out = tmp_path / "out"
    command = ["--data", str(class_folders), "--out", str(out), "--workers", "1"]
    assert main(command) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert "scans cannot be used, more than 5% of all 52" in line
    assert "rejected.csv has those found so far; repair or remove them" in line
    assert not (out / "manifest.json").exists()
    assert len(rejected(out)) >= 3
    assert main([*command, "--max-rejected", "0.1"]) == 0
    assert load_manifest(out).rejected == 4


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


def test_two_sources_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="name one source"):
        ShardsConfig(out=Path("x"), data=Path("y"), phantom=3)


def test_simulated_scans_of_a_subject_are_rendered_one_after_the_other() -> None:
    config = ShardsConfig(out=Path("unused"), phantom=40, seed=5)
    scans = phantom_scans(PhantomConfig(subjects=40, seed=5))
    jobs = plan(scans, config)
    order = [scan.subject for job in jobs for scan in job.scans]
    assert len(list(itertools.groupby(order))) == len(set(order)) == 40
    assert len(order) == len(scans)
    train = [len(job.scans) for job in jobs if job.split == "train"]
    assert max(train) - min(train) <= SCANS_PER_SUBJECT


def test_another_simulator_makes_other_shards(monkeypatch, tmp_path: Path) -> None:
    scans = phantom_scans(PhantomConfig(subjects=3))
    config = ShardsConfig(out=tmp_path, phantom=3)
    before = [job.fingerprint() for job in plan(scans, config)]
    (tmp_path / "physics.py").write_text("T1_MS = 900")
    monkeypatch.setattr(pipeline.phantom, "__path__", [str(tmp_path)])
    after = [job.fingerprint() for job in plan(scans, config)]
    assert not set(before) & set(after)


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
