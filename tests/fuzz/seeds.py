"""Makes the seeds that fuzzing starts from: one small file of each kind and variant."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
from PIL import Image
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from tests.fuzz.targets import SECRET

SMALL = (np.arange(6 * 7 * 5) % 251).astype(np.int16).reshape(6, 7, 5)
WIDE = (np.arange(17 * 18 * 16) % 250).astype(np.uint8).reshape(17, 18, 16)


def seeds() -> Iterator[tuple[str, str, bytes]]:
    """Yields the target, a name and the bytes of each seed."""
    for name, content in _nifti():
        yield "nifti", name, content
        yield "nifti-packed", name, content
    yield "gzip", "one", gzip.compress(_nifti_1(SMALL), mtime=0)
    yield "gzip", "two", gzip.compress(b"", mtime=0) + gzip.compress(_nifti_1(WIDE))
    for name, content in _pairs():
        yield "pair", name, content
    for name, content in _mgh():
        yield "mgh", name, content
    for name, content in _nrrd():
        yield "nrrd", name, content
    for name, content in _detached():
        yield "nrrd-detached", name, content
    for name, dataset in _datasets():
        yield "dicom", name, _written(dataset)
        plain = _written(dataset, ExplicitVRLittleEndian)
        yield "dicom-deflated", name, plain[plain.index(b"\x08\0\x16\0UI") :]
    for name, syntax in _SYNTAXES.items():
        yield "dicom", name, _written(_slice(), syntax)
    for name, content in _images():
        yield "image", name, content
    yield "zip", "mixed", _zip(a=_nifti_1(SMALL), b=_written(_slice()), c=b"no scan")
    yield "zip", "pair", _zip(**{"s.hdr": _pairs_files()[0], "s.img": bytes(420)})


def _nifti_1(voxels: np.ndarray, **fields: Any) -> bytes:
    return bytes(_image(nibabel.Nifti1Image, voxels, **fields).to_bytes())


def _image(kind: Any, voxels: np.ndarray, **fields: Any) -> Any:
    image = kind(voxels, np.diag([0.8, 0.9, 4, 1]))
    image.header["descrip"] = SECRET.encode()
    for field, value in fields.items():
        image.header[field] = value
    return image


def _nifti() -> Iterator[tuple[str, bytes]]:
    scaled = bytearray(_nifti_1(SMALL))
    scaled[112:120] = np.array([0.5, -9], "<f4").tobytes()
    yield "small", _nifti_1(SMALL)
    yield "wide", _nifti_1(WIDE)
    yield "scaled", bytes(scaled)
    yield "time", _nifti_1(np.stack([SMALL, SMALL], axis=-1), xyzt_units=1)
    yield "double", _nifti_1(SMALL.astype(np.float64))
    yield "flat", _nifti_1(WIDE[..., 0])
    yield "second", bytes(_image(nibabel.Nifti2Image, WIDE).to_bytes())
    big = nibabel.Nifti1Image(SMALL, None, _image(nibabel.Nifti1Image, SMALL).header)
    header = big.header.as_byteswapped(">")
    yield "big-endian", bytes(nibabel.Nifti1Image(SMALL, None, header).to_bytes())


def _pairs_files(kind: Any = nibabel.Nifti1Pair) -> tuple[bytes, bytes]:
    image = _image(kind, SMALL)
    files = {name: io.BytesIO() for name in image.file_map}
    for name, stream in files.items():
        image.file_map[name].fileobj = stream
    image.to_file_map()
    return files["header"].getvalue(), files["image"].getvalue()


def _pairs() -> Iterator[tuple[str, bytes]]:
    kinds = (nibabel.Nifti1Pair, nibabel.Nifti2Pair, nibabel.AnalyzeImage)
    for kind in kinds:
        header, voxels = _pairs_files(kind)
        yield kind.__name__, header.ljust(352, b"\0")[:352] + voxels
    header, voxels = _pairs_files()
    scaled = header[:112] + np.array([0.5, -9], "<f4").tobytes() + header[120:]
    yield "scaled", scaled.ljust(352, b"\0") + gzip.compress(voxels, mtime=0)


def _mgh() -> Iterator[tuple[str, bytes]]:
    for name, voxels in {
        "small": SMALL,
        "wide": WIDE,
        "frames": np.stack([SMALL, SMALL], axis=-1).astype(np.float32),
    }.items():
        yield name, bytes(nibabel.MGHImage(voxels, np.eye(4)).to_bytes())


def _nrrd() -> Iterator[tuple[str, bytes]]:
    raw = WIDE.tobytes(order="F")
    numbers = " ".join(map(str, SMALL.ravel(order="F"))).encode()
    yield "raw", _header("unsigned char", WIDE, "raw", "spacings: 1 1 NaN") + raw
    yield "gzip", _header("uint8", WIDE, "gzip") + gzip.compress(raw, mtime=0)
    yield "text", _header("short", SMALL, "ascii") + numbers
    directions = "space directions: none (0,1,0) (0,0.6,-4)\nkinds: list domain domain"
    more = f'space: RAS\n{directions}\nspace units: "mm" "mm" "mm"'
    yield "list", _header("short", SMALL, "raw", more) + SMALL.tobytes(order="F")
    skip = _header("short", SMALL, "raw", 'byte skip: -1\nunits: "cm" "m" "um"')
    yield "skip", skip + b"gap" + SMALL.tobytes(order="F")


def _header(kind: str, voxels: np.ndarray, encoding: str, more: str = "") -> bytes:
    sizes = " ".join(map(str, voxels.shape))
    lines = [
        *("NRRD0004", f"type: {kind}", f"dimension: {voxels.ndim}", f"sizes: {sizes}"),
        *(f"encoding: {encoding}", "endian: little", f"PatientName:={SECRET}"),
        *([more] if more else []),
    ]
    return "\n".join(lines).encode() + b"\n\n"


def _detached() -> Iterator[tuple[str, bytes]]:
    raw = SMALL.tobytes(order="F")
    lines = _header("short", SMALL, "raw", "data file: a.raw\nline skip: 1")
    yield "lines", lines + b"one\n" + raw
    skip = _header("short", SMALL, "gzip", "datafile: ./a.raw\nbyteskip: 3")
    yield "bytes", skip + gzip.compress(b"gap" + raw, mtime=0)


def _slice(**attributes: Any) -> pydicom.Dataset:
    dataset = pydicom.Dataset()
    dataset.SOPClassUID, dataset.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", "1.2.3.4"
    dataset.PatientName, dataset.SeriesDescription = SECRET, SECRET
    dataset.SeriesInstanceUID, dataset.SeriesNumber = "1.2.3", 1
    dataset.InstanceNumber, dataset.EchoTime = 3, 90.0
    dataset.PixelSpacing, dataset.SliceThickness = [0.5, 0.75], 4
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.ImagePositionPatient = [0, 0, 2.5]
    pixels = WIDE[..., 3].astype(np.uint16)
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation = 15, 0
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.PixelData = pixels.tobytes()
    for name, value in attributes.items():
        setattr(dataset, name, value)
    return dataset


def _item(name: str, **attributes: Any) -> pydicom.Dataset:
    inner, outer = pydicom.Dataset(), pydicom.Dataset()
    for key, value in attributes.items():
        setattr(inner, key, value)
    setattr(outer, name, [inner])
    return outer


def _datasets() -> Iterator[tuple[str, pydicom.Dataset]]:
    yield "slice", _slice()
    yield "inverted", _slice(PhotometricInterpretation="MONOCHROME1", RescaleSlope=2)
    yield "colour", _slice(PhotometricInterpretation="RGB", SamplesPerPixel=3)
    frames = np.moveaxis(WIDE[..., :3], -1, 0)
    shared = _item("PixelMeasuresSequence", PixelSpacing=[2, 3], SliceThickness=1)
    places = [
        _item("PlanePositionSequence", ImagePositionPatient=[0, 0, z]) for z in (4, 0)
    ]
    yield (
        "frames",
        _slice(
            PixelData=frames.tobytes(),
            NumberOfFrames=3,
            BitsAllocated=8,
            BitsStored=8,
            HighBit=7,
            SharedFunctionalGroupsSequence=[shared],
            PerFrameFunctionalGroupsSequence=places,
        ),
    )


_SYNTAXES = {
    "implicit": ImplicitVRLittleEndian,
    "big-endian": ExplicitVRBigEndian,
    "deflated": DeflatedExplicitVRLittleEndian,
    "rle": RLELossless,
}


def _written(dataset: pydicom.Dataset, syntax: Any = ExplicitVRLittleEndian) -> bytes:
    if syntax == RLELossless:
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        dataset.compress(syntax)
    elif syntax == ExplicitVRBigEndian:
        little = np.frombuffer(dataset.PixelData, "<u2")
        dataset.PixelData = little.astype(">u2").tobytes()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = syntax
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _images() -> Iterator[tuple[str, bytes]]:
    grey = Image.fromarray(WIDE[..., 5])
    deep = Image.fromarray(WIDE[..., 5].astype(np.uint16) * 99)
    yield "grey.png", _saved(grey, "PNG")
    yield "deep.png", _saved(deep, "PNG")
    yield "palette.png", _saved(grey.convert("P"), "PNG", transparency=3)
    yield "rgba.png", _saved(grey.convert("RGBA"), "PNG")
    yield "grey.jpg", _saved(grey, "JPEG")
    yield "progressive.jpg", _saved(grey.convert("RGB"), "JPEG", progressive=True)
    yield "deep.tif", _saved(deep, "TIFF", description=SECRET)
    yield "packed.tif", _saved(grey, "TIFF", compression="tiff_lzw")
    yield "pages.tif", _saved(grey, "TIFF", save_all=True, append_images=[deep])
    yield "float.tif", _saved(Image.fromarray(WIDE[..., 5].astype(np.float32)), "TIFF")


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def _zip(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def main() -> None:
    """Writes the seeds into `tests/fuzz/corpus`."""
    for target, name, content in seeds():
        folder = Path(__file__).parent / "corpus" / target
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)


if __name__ == "__main__":
    main()
