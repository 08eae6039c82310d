"""What the reader and the slicer make of files that were readable from the start.

The training data were cut by the same code: other slices would need another `VERSION`.
"""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from PIL import Image

from mri_contrast.scans import read_scan
from mri_contrast.slices import VERSION, cut

# Sides of 75 and 150 pixels and 30 slices of 2.5 mm: all fill 150 pixels by repeating
# whole ones, so that no library's order of adding can change a bit.
_AXES = np.ogrid[-1:1:75j, -1:1:150j, -1:1:30j]
_INSIDE = sum(axis**2 for axis in _AXES) < 0.8
_WAVES = 400 + 300 * _AXES[0] + 90 * _AXES[1] ** 2 - 50 * _AXES[2]
VOLUME = np.where(_INSIDE, _WAVES, 7).astype(np.int16)
ZOOMS = (1.0, 0.5, 2.5)


def nifti(image: Any, voxels: np.ndarray, **header: Any) -> Any:
    made = image(voxels, np.diag([*ZOOMS, 1]))
    for field, value in header.items():
        made.header[field] = value
    return made


def plain(folder: Path) -> Any:
    return nifti(nibabel.Nifti1Image, VOLUME).to_bytes()


def packed(folder: Path) -> Any:
    return gzip.compress(nifti(nibabel.Nifti1Image, VOLUME.astype(">f4")).to_bytes())


def scaled(folder: Path) -> Any:
    raw = bytearray(plain(folder))
    raw[112:120] = np.array([0.37, -11.5], "<f4").tobytes()
    return bytes(raw)


def second_version(folder: Path) -> Any:
    return nifti(nibabel.Nifti2Image, VOLUME.astype(np.float64) / 3).to_bytes()


def big_endian(folder: Path) -> Any:
    image = nibabel.Nifti1Image(VOLUME, np.diag([*ZOOMS, 1]))
    header = image.header.as_byteswapped(">")
    return nibabel.Nifti1Image(VOLUME, None, header).to_bytes()


def series_in_time(folder: Path) -> Any:
    volumes = np.stack([VOLUME, VOLUME[::-1], VOLUME * 0], axis=-1)
    return nifti(nibabel.Nifti1Image, volumes).to_bytes()


def pair(folder: Path) -> Any:
    nibabel.save(nifti(nibabel.Nifti1Pair, VOLUME), folder / "a.hdr")
    raw = bytearray((folder / "a.hdr").read_bytes())
    raw[112:120] = np.array([0.37, -11.5], "<f4").tobytes()
    (folder / "a.hdr").write_bytes(raw)
    return folder / "a.hdr"


def analyze(folder: Path) -> Any:
    nibabel.save(nifti(nibabel.Spm2AnalyzeImage, VOLUME), folder / "b.img")
    return folder / "b.img"


def holes(folder: Path) -> Any:
    voxels = VOLUME.astype(np.float32)
    voxels[30:33], voxels[40], voxels[41] = np.nan, np.inf, -np.inf
    return nifti(nibabel.Nifti1Image, voxels).to_bytes()


def encoded(image: Image.Image, form: str) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


def picture(folder: Path) -> Any:
    return encoded(Image.fromarray((VOLUME[..., 15] // 4).astype(np.uint8)), "PNG")


def deep_picture(folder: Path) -> Any:
    return encoded(Image.fromarray(VOLUME[..., 15].astype(np.uint16) * 40), "PNG")


def coloured_picture(folder: Path) -> Any:
    grey = (VOLUME[..., 15] // 4).astype(np.uint8)
    layers = np.stack([grey, grey // 2, 255 - grey, grey // 3 + 99], axis=-1)
    return encoded(Image.fromarray(layers), "PNG")


def float_tiff(folder: Path) -> Any:
    return encoded(Image.fromarray(VOLUME[..., 15].astype(np.float32) / 7), "TIFF")


Encode = Callable[..., bytes]
PINNED: dict[Callable[[Path], Any], str] = {
    plain: "81dce79f1c088dde",
    packed: "ae24bc230cd8aed8",
    scaled: "c8d1678a3f19848e",
    second_version: "f0b0064bbe69d5de",
    big_endian: "81dce79f1c088dde",
    series_in_time: "81dce79f1c088dde",
    pair: "012db976f6e77a5a",
    analyze: "81dce79f1c088dde",
    holes: "b7da8d8bd5744938",
    picture: "227d821b28f96c93",
    deep_picture: "60458a96d08d527f",
    coloured_picture: "eb40304db7613e8c",
    float_tiff: "4e387047e33ed170",
}


def digest(source: Any) -> str:
    """Of voxels, their spacing and slices, each to the bit."""
    scan = read_scan(source)
    slices = cut(scan)
    assert slices.std() > 10  # something is to be seen
    told = (scan.voxels.dtype.str, [float(mm) for mm in scan.spacing], slices.shape)
    content = repr(told).encode() + scan.voxels.tobytes() + slices.tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


@pytest.mark.parametrize("make", PINNED, ids=lambda make: make.__name__)
def test_slices_are_what_they_were(make: Callable[[Path], Any], tmp_path: Path) -> None:
    assert VERSION == 1
    assert digest(make(tmp_path)) == PINNED[make]


@pytest.mark.parametrize("kind", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize("packing", ["folder", "zip"])
def test_slices_of_a_dicom_series_are_what_they_were(
    dicom: Encode, zipped: Callable[..., bytes], tmp_path: Path, kind: str, packing: str
) -> None:
    files = {
        f"{(k * 7) % 30:02}.dcm": dicom(
            VOLUME[..., k].astype(np.uint16),
            ImagePositionPatient=[0, 0, 2.5 * k],
            InstanceNumber=30 - k,
            PixelSpacing=[1.0, 0.5],
            PhotometricInterpretation=kind,
            RescaleSlope=0.37,
            RescaleIntercept=-11.5,
        )
        for k in range(30)
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    source = tmp_path if packing == "folder" else zipped(files)
    pinned = {"MONOCHROME1": "ca77c520a8d5c051", "MONOCHROME2": "c8d1678a3f19848e"}
    assert digest(source) == pinned[kind]
