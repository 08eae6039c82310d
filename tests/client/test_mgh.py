from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import read_scan
from mri_contrast.slices import cut

Write = Callable[..., Path]


@pytest.fixture
def mgh(tmp_path: Path) -> Write:
    def write(voxels: np.ndarray, name: str = "scan.mgz", zooms: Any = None) -> Path:
        affine = np.diag([*(zooms or (1, 1, 1)), 1]).astype(float)
        nibabel.save(nibabel.MGHImage(voxels, affine), tmp_path / name)
        return tmp_path / name

    return write


@pytest.mark.parametrize("name", ["scan.mgz", "scan.mgh"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.float32])
def test_mgh_keeps_values_dtype_and_spacing(
    mgh: Write, volume: np.ndarray, name: str, dtype: Any
) -> None:
    voxels = (volume // 4).astype(dtype)
    path = mgh(voxels, name, (0.8, 0.9, 4))
    for source in (path, path.read_bytes()):
        scan = read_scan(source)
        assert scan.voxels.dtype == dtype
        np.testing.assert_array_equal(scan.voxels, voxels)
        assert scan.spacing == pytest.approx((0.8, 0.9, 4))
        assert scan.notes == ()


def test_mgz_is_cut_as_nifti_is(mgh: Write, volume: np.ndarray) -> None:
    np.testing.assert_array_equal(cut(read_scan(mgh(volume))), cut(read_scan(volume)))


def test_several_frames_give_the_first_and_say_so(
    mgh: Write, volume: np.ndarray
) -> None:
    scan = read_scan(mgh(np.stack([volume, volume * 0], axis=-1)))
    np.testing.assert_array_equal(scan.voxels, volume)
    assert scan.notes == ("4-D: first of 2 volumes used",)


def test_a_header_without_geometry_means_1_mm(mgh: Write, volume: np.ndarray) -> None:
    raw = bytearray(gzip.decompress(mgh(volume, zooms=(2, 2, 2)).read_bytes()))
    raw[28:30] = b"\0\0"  # goodRASFlag
    assert read_scan(bytes(raw)).spacing == (1, 1, 1)


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [
        (4, -1, "its shape is"),
        (8, 0, "its shape is"),
        (4, 2**31 - 1, "2147483647x48x44"),
        (16, -2, "its shape is"),
        (20, 2, "makes no sense"),
        (20, 7, "makes no sense"),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_header_is_refused(
    mgh: Write, volume: np.ndarray, place: int, value: int, reason: str, packed: bool
) -> None:
    raw = bytearray(gzip.decompress(mgh(volume).read_bytes()))
    raw[place : place + 4] = value.to_bytes(4, "big", signed=True)
    with pytest.raises(UnreadableScan, match=reason):
        read_scan(gzip.compress(raw) if packed else bytes(raw))


@pytest.mark.parametrize("name", ["scan.mgz", "scan.mgh"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_truncated_file_is_unreadable(
    mgh: Write, volume: np.ndarray, name: str, share: float
) -> None:
    whole = mgh(volume, name).read_bytes()
    with pytest.raises(UnreadableScan, match="cut short"):
        read_scan(whole[: int(len(whole) * share)])


def test_a_header_cut_short_is_refused(mgh: Write, volume: np.ndarray) -> None:
    head = mgh(volume, "scan.mgh").read_bytes()[:60]
    with pytest.raises(UnreadableScan, match="makes no sense"):
        read_scan(head)
