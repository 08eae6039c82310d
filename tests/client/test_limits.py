"""What is refused before its memory is taken, and what never leaves the source."""

from __future__ import annotations

import gzip
import io
import os
import stat
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian

from mri_contrast import _dicom, _dicom_file, _files, _unpack
from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import find_parts, read_scan, read_series
from mri_contrast.slices import cut

Encode = Callable[..., bytes]
Write = Callable[..., Path]
Zip = Callable[[dict[str, bytes]], bytes]
RAMP = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)
MIB = 2**20


def refused(source: Any, reason: str, most: int = 64 * MIB) -> None:
    """Asserts that a source is refused, and that Python took at most `most` bytes."""
    tracemalloc.start()
    try:
        with pytest.raises(UnreadableScan, match=reason):
            cut(read_scan(source))
        taken = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert taken < most, taken


def nifti(shape: tuple[int, ...], content: bytes = b"") -> bytes:
    image = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    header = bytearray(image.to_bytes()[:352])
    header[40 : 42 + 2 * len(shape)] = np.array([len(shape), *shape], "<i2").tobytes()
    return bytes(header) + content


def test_a_gzip_bomb_behind_a_small_header_is_unpacked_no_further() -> None:
    bomb = gzip.compress(nifti((16, 16, 16), bytes(300 * MIB)), 9)
    tracemalloc.start()
    scan = read_scan(bomb)
    taken = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert scan.voxels.shape == (16, 16, 16)
    assert taken < 64 * MIB


def test_a_header_that_claims_gigabytes_takes_none_of_them() -> None:
    """The claim is 1 GiB, 100 bytes are there; the process has 100 MB at its most."""
    code = (
        "import gzip, sys, nibabel\n"
        "import mri_contrast\n"
        "short = sys.stdin.buffer.read()\n"
        "for content in (short, gzip.compress(short)):\n"
        "    try: mri_contrast.read_scan(content)\n"
        "    except mri_contrast.UnreadableScan as error: print(error)\n"
        "print(open('/proc/self/status').read().split('VmHWM:')[1].split()[0])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=nifti((1024, 1024, 512), bytes(100)),
        capture_output=True,
        check=True,
    )
    first, second, kilobytes = done.stdout.decode().splitlines()
    assert "cut short" in first
    assert "cut short" in second
    assert int(kilobytes) < 300_000


@pytest.mark.parametrize("shape", [(-1, 9, 9), (9, 0, 9), (9, 9, -32768)])
def test_negative_and_empty_sides_are_refused(shape: tuple[int, ...]) -> None:
    refused(nifti(shape, bytes(2000)), "its shape is|makes no sense")


def test_nifti_2_may_claim_any_size_and_gets_none() -> None:
    image = nibabel.Nifti2Image(np.zeros((2, 2, 2), np.int16), np.eye(4))
    for sides in ((2**31, 2, 2), (2**62, 2**62, 2**62), (-5, 2, 2)):
        raw = bytearray(image.to_bytes())
        raw[16:48] = np.array([3, *sides], "<i8").tobytes()
        refused(bytes(raw), "values; at most|its shape is|makes no sense")


def test_a_gzip_file_of_a_million_empty_members_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_unpack, "_MOST_MEMBERS", 1000)
    whole = nifti((16, 16, 16))
    packed = gzip.compress(whole, mtime=0) + gzip.compress(b"", mtime=0) * 2000
    refused(packed, "gzip data is damaged")


def test_an_image_of_one_endless_side_is_refused() -> None:
    stream = io.BytesIO()
    Image.new("1", (16, 2**17)).save(stream, "PNG")
    refused(stream.getvalue(), "too large.*16x131072.*65536 along one axis")


def test_a_png_that_claims_gigapixels_is_refused() -> None:
    stream = io.BytesIO()
    Image.new("L", (16, 16)).save(stream, "PNG")
    raw = bytearray(stream.getvalue())
    raw[16:24] = struct.pack(">LL", 2**31 - 1, 2**31 - 1)
    raw[29:33] = struct.pack(">L", zlib.crc32(raw[12:29]))
    refused(bytes(raw), "too large")


def test_a_jpeg_of_a_thousand_scans_is_refused() -> None:
    stream = io.BytesIO()
    Image.fromarray(RAMP.astype(np.uint8)).save(stream, "JPEG", progressive=True)
    raw = stream.getvalue()
    assert read_scan(raw).voxels.shape == (30, 40, 1)
    at = raw.rindex(b"\xff\xda")
    refused(raw[:at] + raw[at:-2] * 1000 + raw[-2:], "drawn in 1[0-9]{3} scans")


def test_an_array_of_one_endless_side_is_refused() -> None:
    with pytest.raises(UnreadableScan, match="16x131072"):
        read_scan(np.zeros((16, 2**17), np.uint8))


def test_a_file_object_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            assert size > 0, "all of it was asked for"
            return bytes(size)

    monkeypatch.setattr(_files, "MAX_BYTES", 10 * MIB)
    refused(Endless(), "more than 10485760 bytes")


def test_a_file_object_is_read_in_pieces(
    nifti: Write, volume: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_files, "_PIECE", 1000)
    with nifti(volume).open("rb") as stream:
        np.testing.assert_array_equal(read_scan(stream).voxels, volume)


def test_an_endless_image_or_dicom_file_is_refused(
    dicom: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mri_contrast import _images

    monkeypatch.setattr(_dicom_file, "MAX_BYTES", 100)
    monkeypatch.setattr(_images, "MAX_BYTES", 100)
    picture = io.BytesIO()
    Image.fromarray(RAMP).save(picture, "PNG")
    for content in (dicom(RAMP), picture.getvalue()):
        (tmp_path / "scan").write_bytes(content)
        refused(tmp_path / "scan", r"the file has \d+ bytes; at most 100")


def deflated(dicom: Encode, pixels: np.ndarray) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(dicom(pixels)))
    dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def test_a_deflated_dicom_file_is_read(dicom: Encode) -> None:
    np.testing.assert_array_equal(read_scan(deflated(dicom, RAMP)).voxels[..., 0], RAMP)


def test_a_deflated_dicom_bomb_is_refused(
    dicom: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    bomb = deflated(dicom, np.zeros((8192, 8192), np.uint16))
    assert len(bomb) < MIB
    monkeypatch.setattr(_dicom_file, "MAX_BYTES", MIB)
    refused(bomb, "unpacks to more than 1048576 bytes", most=16 * MIB)
    refused(bomb[:-500], "unpacks to more than|cut short", most=16 * MIB)


def test_a_deflated_dicom_file_cut_short_says_so(dicom: Encode) -> None:
    refused(deflated(dicom, RAMP)[:-50], "cut short")


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"NumberOfFrames": 400_000}, "400000 frames in"),
        ({"NumberOfFrames": -1}, "-1 frames"),
        ({"Rows": 0}, "0x40"),
        ({"Rows": 65535, "Columns": 65535}, "65535x65535"),
    ],
)
def test_dicom_sides_that_make_no_sense_are_refused(
    dicom: Encode, attributes: dict[str, Any], reason: str
) -> None:
    refused(dicom(RAMP, **attributes), reason)


@pytest.mark.parametrize(
    "attributes",
    [
        {"SpacingBetweenSlices": [1, 2]},
        {"ImagePositionPatient": ["1e308", "1e308", "-1e308"]},
        {"PixelSpacing": ["1e308", "1e-308"]},
        {"SliceThickness": "1e307"},
        {"EchoTime": "nan"},
    ],
)
def test_wild_numbers_in_a_dicom_header_count_as_unknown(
    dicom: Encode, attributes: dict[str, Any]
) -> None:
    scan = read_scan(with_header(dicom(RAMP), attributes))
    assert cut(scan).shape[1:] == (150, 150)


def test_a_rescaling_out_of_range_is_refused(dicom: Encode) -> None:
    wild = {"RescaleSlope": "1e300", "RescaleIntercept": "-1e300"}
    refused(with_header(dicom(RAMP), wild), "no finite voxel")


def with_header(content: bytes, attributes: dict[str, Any]) -> bytes:
    dataset = pydicom.dcmread(io.BytesIO(content))
    with pydicom.config.disable_value_validation():
        for name, value in attributes.items():
            setattr(dataset, name, value)
        stream = io.BytesIO()
        dataset.save_as(stream)
    return stream.getvalue()


def test_more_planes_than_any_study_has_are_refused(
    dicom: Encode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_dicom, "_MOST_SERIES", 3)
    for i in range(5):
        (tmp_path / f"{i}.dcm").write_bytes(dicom(RAMP, EchoTime=10.0 + i))
    refused(tmp_path, "more than 3 series")


def test_a_zip_whose_directory_is_too_long_is_refused(
    zipped: Zip, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = zipped({f"{i:04}": b"" for i in range(200)})
    monkeypatch.setattr(_files, "MAX_FILES", 10)
    refused(content, "directory claims [0-9]+ bytes")
    at = content.rindex(b"PK\5\6")
    size, place = struct.unpack_from("<LL", content, at + 12)
    record = struct.pack(
        "<4sQHHLLQQQQ", b"PK\6\6", 44, 45, 45, 0, 0, 200, 200, size, place
    )
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, at, 1)
    short = bytearray(content[at:])
    short[12:16] = bytes(4)
    refused(content[:at] + record + locator + bytes(short), "directory claims")


def test_a_zip_path_that_climbs_out_is_refused(
    zipped: Zip, nifti: Write, volume: np.ndarray
) -> None:
    scan = nifti(volume).read_bytes()
    for name in ("../a.nii.gz", "a/../../b.nii.gz", "..\\a.nii.gz"):
        with pytest.raises(UnreadableScan, match="climbs out") as caught:
            read_scan(zipped({name: scan}))
        assert "nii" not in str(caught.value)


def test_absolute_paths_in_a_zip_lose_their_root(
    zipped: Zip, nifti: Write, volume: np.ndarray
) -> None:
    scan = nifti(volume).read_bytes()
    parts = find_parts(zipped({"/etc/a.nii": scan, "C:\\scans\\b.nii": scan}))
    assert [part.name for part in parts] == ["etc/a.nii", "scans/b.nii"]
    assert all(part.read().voxels.shape == volume.shape for part in parts)


def test_links_in_a_zip_are_not_followed(
    nifti: Write, volume: np.ndarray, tmp_path: Path
) -> None:
    path = nifti(volume)
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        link = zipfile.ZipInfo("link.nii.gz")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(link, str(path))
    refused(stream.getvalue(), "the zip is empty")


def test_links_in_a_folder_lead_to_files_only(
    nifti: Write, volume: np.ndarray, tmp_path: Path
) -> None:
    path = nifti(volume)
    study = tmp_path / "study"
    study.mkdir()
    (study / "scan.nii.gz").symlink_to(path)  # as git-annex keeps data sets
    (study / "gone").symlink_to(tmp_path / "absent")
    (study / "loop").symlink_to(study / "loop")
    (study / "up").symlink_to(tmp_path)
    (study / "zero").symlink_to("/dev/zero")
    os.mkfifo(study / "pipe")
    np.testing.assert_array_equal(read_scan(study).voxels, volume)
    for name in ("pipe", "zero"):
        refused(study / name, "a device or pipe")
    refused(study / "loop", "no such file")


def test_what_systems_hide_is_no_part(
    nifti: Write, volume: np.ndarray, tmp_path: Path, zipped: Zip
) -> None:
    content = nifti(volume).read_bytes()
    names = ["sub-01/anat/sub-01_T1w.nii.gz", ".git/annex/copy.nii.gz"]
    names += ["__MACOSX/sub-01/copy.nii", "sub-01/._sub-01_T1w.nii.gz"]
    study = tmp_path / "study"
    for name in names:
        (study / name).parent.mkdir(parents=True, exist_ok=True)
        (study / name).write_bytes(content)
    for source in (study, zipped(dict.fromkeys(names, content))):
        assert [part.name for part in find_parts(source)] == [None]


def test_a_damaged_dicom_file_beside_others_is_told(
    dicom: Encode, tmp_path: Path
) -> None:
    for i in range(3):
        position = {"ImagePositionPatient": [0, 0, 2 * i], "InstanceNumber": i}
        (tmp_path / f"{i}.dcm").write_bytes(dicom(RAMP, **position))
    (tmp_path / "9.dcm").write_bytes(dicom(RAMP, Rows=0))
    (scan,) = read_series(tmp_path)
    assert scan.notes == ("1 DICOM files could not be read",)


def test_a_folder_of_damaged_dicom_files_says_so(dicom: Encode, tmp_path: Path) -> None:
    for i in range(3):
        (tmp_path / f"{i}.dcm").write_bytes(dicom(RAMP, Rows=0))
    refused(tmp_path, "0x40")


def test_a_zip_with_a_senseless_name_or_place_is_damaged(zipped: Zip) -> None:
    content = bytearray(zipped({"ab": b"x" * 100}))
    at = content.index(b"PK\1\2")
    content[at + 8 : at + 10] = (0x800).to_bytes(2, "little")  # names are UTF-8 …
    content[at + 46 : at + 48] = b"\xff\xff"  # … and this is none
    refused(bytes(content), "the zip is damaged")


def test_a_file_without_a_name_in_a_zip_is_passed_over() -> None:
    """Found by fuzzing: zipfile itself asks for the last letter of the name."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(zipfile.ZipInfo("xy"), b"content")
    whole = stream.getvalue()
    refused(whole.replace(b"xy", b"\0y"), "the zip is empty")  # a name ends at a zero
