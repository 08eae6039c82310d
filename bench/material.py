"""The slices that are measured on: as PNG files, as shards and as plain bytes."""

import dataclasses
import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

import mri_contrast.slices
from bench import ours
from bench.peers.raw import Forms
from pipeline.phantom import PhantomConfig, phantom_scans
from pipeline.progress import progress
from pipeline.shards import ShardsConfig, build
from pipeline.sources import find_scans

FOLDERS: Final = {"T1": "T1", "T2": "T2", "FLAIR": "flair"}
"""The study's class folders."""

SHARD_MEGABYTES: Final = 11.6
"""512 slices a shard: even a short measurement reads from several at once."""


@dataclasses.dataclass(frozen=True, slots=True)
class Material:
    """Where the slices lie.

    Attributes:
        png: Class folders of 150×150 grey PNG files.
        shards: The same files as shards, all of them for training.
        forms: The shards' images and labels as plain bytes, for the peers.
        slices: How many.
    """

    png: Path
    shards: Path
    forms: Forms
    slices: int


def prepare(folder: Path, *, slices: int, subjects: int) -> Material:
    """Simulates scans, cuts them and writes both forms; an earlier result is kept.

    The figures do not depend on what is in a slice beyond how well it compresses, so
    a few heads are enough: their slices are used again, turned by quarters.

    Args:
        folder: Where to keep them.
        slices: How many to write, spread evenly over the three classes.
        subjects: Simulated heads that they are cut from.
    """
    png = folder / f"png-{slices}-{subjects}"
    if not png.is_dir():
        unfinished = folder / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _write(unfinished, slices, subjects)
        unfinished.rename(png)
    config = ShardsConfig(
        out=folder / f"shards-{slices}-{subjects}",
        data=png,
        validation=0.0,
        test=0.0,
        shard_megabytes=SHARD_MEGABYTES,
        scans_per_job=512,  # Each is a single slice.
        replace=True,
    )
    manifest = build(find_scans(png), config)
    forms = Forms(folder / f"forms-{slices}-{subjects}-{manifest.sha256[:8]}")
    if not forms.folder.is_dir():
        partial = Forms(folder / "unfinished-forms")
        shutil.rmtree(partial.folder, ignore_errors=True)
        partial.folder.mkdir()
        _unpack(config.out, partial)
        partial.folder.rename(forms.folder)
    return Material(png, config.out, forms, manifest.count("train"))


def _unpack(shards: Path, forms: Forms) -> None:
    with forms.images.open("wb") as images, forms.labels.open("wb") as labels:
        for image, label in ours.every_slice(shards, "train"):
            images.write(image.tobytes())
            labels.write(label.astype(np.uint8).tobytes())


def _write(folder: Path, slices: int, subjects: int) -> None:
    scans = phantom_scans(PhantomConfig(subjects=subjects))
    cut: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in FOLDERS}
    with progress("simulating", len(scans), "scans") as advance:
        for scan in scans:
            if scan.contrast in cut:
                cut[scan.contrast].extend(mri_contrast.slices.cut(scan.read()))
            advance()
    for index, name in enumerate(FOLDERS):
        (folder / FOLDERS[name]).mkdir(parents=True)
        wanted = slices // len(FOLDERS) + (index < slices % len(FOLDERS))
        for number, image in enumerate(itertools.islice(_turned(cut[name]), wanted)):
            file = f"{FOLDERS[name]}_{number}_0.png"
            Image.fromarray(image).save(folder / FOLDERS[name] / file)


def _turned(images: list[NDArray[np.uint8]]) -> Iterator[NDArray[np.uint8]]:
    for quarters in itertools.count():
        for image in images:
            yield np.rot90(image, quarters)
