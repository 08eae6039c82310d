"""Slices of people who are all different, for trainings whose accuracy is compared."""

import dataclasses
import shutil
from pathlib import Path
from typing import Final

from PIL import Image

import mri_contrast.slices
from bench.material import FOLDERS
from pipeline.phantom import PhantomConfig, phantom_scans
from pipeline.progress import progress
from pipeline.shards import ShardsConfig, build
from pipeline.sources import find_scans

TEST_SHARE: Final = 4
"""Every fourth person is for the test alone."""


@dataclasses.dataclass(frozen=True, slots=True)
class People:
    """The same slices of T1, T2 and FLAIR as PNG files and as shards.

    Attributes:
        train: Class folders of PNG files for training.
        test: Class folders of other people's.
        shards: Both, as the splits `train` and `test`.
        counts: Slices by split.
    """

    train: Path
    test: Path
    shards: Path
    counts: dict[str, int]


def prepare_people(folder: Path, *, subjects: int, seed: int = 1) -> People:
    """Simulates the people, cuts their scans and writes both; keeps an earlier result.

    Args:
        folder: Where to keep them.
        subjects: How many people; those for the test are among them.
        seed: Another one than the other material's, so other people.
    """
    png = folder / f"people-{subjects}-{seed}"
    if not png.is_dir():
        unfinished = folder / "unfinished-people"
        shutil.rmtree(unfinished, ignore_errors=True)
        _write(unfinished, PhantomConfig(subjects=subjects, seed=seed))
        unfinished.rename(png)
    shards = folder / f"shards-{png.name}"
    config = ShardsConfig(
        out=shards, data=png, validation=0.0, test=0.0, shard_megabytes=11.6
    )
    manifest = build(find_scans(png), config)
    counts = {split: manifest.count(split) for split in ("train", "test")}
    return People(png / "train", png / "test", shards, counts)


def _write(folder: Path, config: PhantomConfig) -> None:
    scans = [scan for scan in phantom_scans(config) if scan.contrast in FOLDERS]
    with progress("simulating", len(scans), "scans") as advance:
        for scan in scans:
            person = int(scan.subject.rpartition("-")[2])
            split = "train" if (person + 1) % TEST_SHARE else "test"
            name = FOLDERS[scan.contrast]
            (folder / split / name).mkdir(parents=True, exist_ok=True)
            for number, image in enumerate(mri_contrast.slices.cut(scan.read())):
                # Named as the study named them, by which the person is known.
                file = f"{name}_{person}_{scan.index}{number:02d}.png"
                Image.fromarray(image).save(folder / split / name / file)
            advance()
