"""Small real scans on disk, and shards made of them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from pipeline.contrasts import CLASSES
from pipeline.manifest import Manifest
from pipeline.shards import ShardsConfig, build
from pipeline.sources import find_scans

WriteScan = Callable[[Path, int], Path]
Make = Callable[..., Manifest]
Content = Callable[[Path], dict[str, bytes]]


def head(seed: int, shape: tuple[int, ...]) -> np.ndarray:
    """A textured ellipse on a dark background, another one for each seed."""
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    inside = sum(axis**2 for axis in axes) < 0.7
    texture = np.random.default_rng(seed).integers(60, 200, shape)
    return np.where(inside, texture, 4).astype(np.uint8)


def save_png(path: Path, seed: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(head(seed, (40, 36))).save(path)
    return path


@pytest.fixture
def write_png() -> WriteScan:
    return save_png


@pytest.fixture
def write_nifti() -> WriteScan:
    def write(path: Path, seed: int = 0) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nibabel.Nifti1Image(head(seed, (24, 28, 20)), np.eye(4))
        nibabel.save(image, path)
        return path

    return write


def save_class_folders(root: Path) -> Path:
    for index, contrast in enumerate(CLASSES):
        for subject in range(12):
            name = f"{contrast}_{subject}_1.png"
            save_png(root / contrast / name, 100 * index + subject)
    return root


def build_shards(data: Path, out: Path, **settings: Any) -> Manifest:
    """Four shards of 40 training slices, cut by tens, unless `settings` say else."""
    settings = {"shard_megabytes": 0.24, "scans_per_job": 10, "workers": 1} | settings
    return build(find_scans(data), ShardsConfig(out=out, data=data, **settings))


@pytest.fixture
def class_folders(tmp_path: Path) -> Path:
    """12 PNG files of each class, named as the study named them."""
    return save_class_folders(tmp_path / "scans")


@pytest.fixture
def make() -> Make:
    return build_shards


@pytest.fixture
def content() -> Content:
    """Reads what users get: all but `parts/`."""

    def content(folder: Path) -> dict[str, bytes]:
        files = (path for path in folder.iterdir() if path.is_file())
        return {path.name: path.read_bytes() for path in files}

    return content


@pytest.fixture
def shards(tmp_path: Path, class_folders: Path) -> tuple[Path, Manifest]:
    """Shards of `class_folders`, four of them for training."""
    out = tmp_path / "shards"
    return out, build_shards(class_folders, out)


@pytest.fixture(scope="module")
def lasting_shards(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Manifest]:
    """The same, for tests that only read them."""
    folder = tmp_path_factory.mktemp("lasting")
    out, data = folder / "shards", save_class_folders(folder / "scans")
    return out, build_shards(data, out)
