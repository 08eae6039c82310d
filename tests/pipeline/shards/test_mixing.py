"""Scans of a user with simulated `other`: the share, the splits, what is recorded."""

import dataclasses
import subprocess
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from mri_contrast.slices import cut
from pipeline.dataset import evaluation_batches
from pipeline.manifest import load_manifest
from pipeline.phantom import PhantomConfig, phantom_scans
from pipeline.shards import ShardsConfig
from pipeline.shards.__main__ import main
from pipeline.shards.mixing import OTHER, PictureOf, add_others, missing_others
from pipeline.sources import find_scans
from pipeline.splits import SPLITS, SplitConfig, shared_subjects

ROOT = Path(__file__).parents[3]


@pytest.fixture
def brains(tmp_path: Path, write_png) -> Path:
    """12 PNG files each of T1, T2 and FLAIR, and no `other`."""
    for label in ("T1", "T2", "flair"):
        for subject in range(12):
            write_png(tmp_path / "brains" / label / f"{label}_{subject}_1.png", subject)
    return tmp_path / "brains"


def by_split(scans) -> dict[str, list]:
    return {split: [scan for scan in scans if scan.split == split] for split in SPLITS}


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
def test_every_split_gets_its_share_and_keeps_the_scans_of_the_user(brains, share):
    mine = find_scans(brains)
    mixed = add_others(mine, share, SplitConfig(seed=3))
    assert {scan.name for scan in mine} <= {scan.name for scan in mixed}
    for members in by_split(mixed).values():
        others = sum(scan.contrast == OTHER for scan in members)
        without_one = (others - 1) / (len(members) - 1)
        assert without_one < share <= others / len(members)


def test_no_head_and_no_person_is_in_two_splits(brains):
    mixed = add_others(find_scans(brains), 0.5, SplitConfig())
    assert shared_subjects(by_split(mixed)) == {}
    assert len({scan.name for scan in mixed}) == len(mixed)


def test_only_simulated_scans_are_added_and_only_of_other(brains):
    mine = find_scans(brains)
    added = [
        s for s in add_others(mine, 0.25, SplitConfig()) if s.name.startswith("ph")
    ]
    assert added
    assert {scan.contrast for scan in added} == {OTHER}
    assert all(scan.source.startswith("phantom/") for scan in added)
    assert not any(scan.source.startswith("phantom/") for scan in mine)


def test_others_of_the_user_count(brains, write_png):
    for subject in range(12):
        write_png(brains / "other" / f"other_{subject}_1.png", 300 + subject)
    mine = find_scans(brains)
    assert len(add_others(mine, 0.2, SplitConfig())) == len(mine)
    assert missing_others(mine, 0.5) == 24  # 36 of T1, T2, FLAIR; 12 of other are there


def test_splits_that_the_data_name_are_kept(tmp_path, write_png):
    for folder, count in (("train", 6), ("validation", 3), ("test", 3)):
        for label in ("T1", "T2", "flair"):
            for number in range(count):
                name = f"{label}_{folder}{number}_1.png"
                write_png(tmp_path / "set" / folder / label / name, number)
    mine = find_scans(tmp_path / "set")
    mixed = {s.name: s.split for s in add_others(mine, 0.25, SplitConfig())}
    assert {scan.name: scan.split for scan in mine}.items() <= mixed.items()
    assert Counter(mixed.values()) == {"train": 24, "validation": 12, "test": 12}


def test_pictures_get_pictures_and_volumes_get_volumes(brains, tmp_path, write_nifti):
    pictures = add_others(find_scans(brains), 0.25, SplitConfig())
    added = [scan for scan in pictures if scan.contrast == OTHER]
    assert all(isinstance(scan, PictureOf) for scan in added)
    for label in ("T1", "T2", "flair"):
        for subject in range(3):
            write_nifti(
                tmp_path / "volumes" / label / f"{label}_{subject}.nii", subject
            )
    volumes = add_others(find_scans(tmp_path / "volumes"), 0.25, SplitConfig())
    assert not any(isinstance(scan, PictureOf) for scan in volumes)


def test_a_picture_is_one_slice_of_the_simulated_scan():
    scan = next(s for s in phantom_scans(PhantomConfig(1, 5)) if s.contrast == OTHER)
    (slice_,) = cut(PictureOf(scan).read())
    # The window is found anew on the picture, so grey levels move, the shape stays.
    likeness = [
        np.corrcoef(slice_.ravel(), each.ravel())[0, 1] for each in cut(scan.read())
    ]
    assert max(likeness) > 0.95
    assert (
        dataclasses.replace(scan, split="test").name + "-picture"
        == PictureOf(scan).name
    )


def test_a_split_without_scans_of_the_user_is_refused(tmp_path, write_png):
    for label in ("T1", "T2", "flair"):
        write_png(tmp_path / "few" / label / f"{label}_1_1.png")
    scans = find_scans(tmp_path / "few")
    with pytest.raises(ValueError, match=r"'validation'.*--validation 0"):
        add_others(scans, 0.25, SplitConfig())
    only_train = add_others(scans, 0.25, SplitConfig(validation=0, test=0))
    assert {scan.split for scan in only_train} == {"train"}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"mix_other": 0.25}, "name one source"),
        ({"mix_other": 0.25, "phantom": 3}, "add --data"),
        ({"mix_other": 1.0, "data": Path("x")}, "above 0 and below 1"),
        ({"mix_other": 0.25, "data": Path("x"), "phantom": 3}, "as many as it takes"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(settings, reason):
    with pytest.raises(ValueError, match=reason):
        ShardsConfig(out=Path("unused"), **settings)


def test_the_command_records_the_mixture_and_tells_real_from_simulated(
    brains, tmp_path
):
    out = tmp_path / "shards"
    arguments = ["--data", str(brains), "--mix-other", "0.25", "--out", str(out)]
    assert main([*arguments, "--workers", "1"]) == 0
    manifest = load_manifest(out)
    assert manifest.config["mix_other"] == 0.25
    assert manifest.config["phantom_code"]
    train = manifest.scans["train"]
    assert train[OTHER] == sum(train.values()) / 4
    sources = {
        (source.startswith(b"phantom/"), int(label))
        for batch in evaluation_batches(out, "train", batch_size=64)
        for source, label in zip(
            batch["source"].numpy(), batch["label"].numpy(), strict=True
        )
    }
    assert sources == {(False, 0), (False, 1), (False, 2), (True, 3)}
    written = {path.name: path.read_bytes() for path in out.glob("*.tfrecord")}
    assert main([*arguments, "--workers", "1", "--replace"]) == 0
    assert written == {path.name: path.read_bytes() for path in out.glob("*.tfrecord")}


def test_without_a_mixture_the_record_is_what_it_was():
    assert "mix_other" not in ShardsConfig(out=Path("x"), data=Path("y")).recorded()


@pytest.mark.parametrize(
    ("given", "passed"),
    [
        (["DATA=scans", "MIX=0.25"], '--data "scans" --mix-other 0.25'),
        (["DATA=scans"], '--data "scans"'),
        (["SUBJECTS=7"], "--phantom 7"),
    ],
)
def test_make_shards_passes_the_mixture_on(given, passed):
    command = ["make", "-n", "-C", str(ROOT), "shards", "PYTHON=python3", *given]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in said.splitlines() if "pipeline.shards" in line]
    assert " ".join(line.split()).endswith(passed)
