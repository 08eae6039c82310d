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
NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz", "scan.hdr"])
@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.float32, ">i2"])
def test_nifti_keeps_values_dtype_and_spacing(
    nifti: Write, volume: np.ndarray, name: str, dtype: Any
) -> None:
    voxels = (volume // 4).astype(dtype)
    image = nibabel.Nifti1Pair if name.endswith("hdr") else nibabel.Nifti1Image
    path = nifti(voxels, "other.nii").parent / name
    made = image(voxels, np.diag([0.8, 0.9, 4, 1]))
    nibabel.save(made, path)
    scan = read_scan(path)
    assert scan.voxels.dtype == np.dtype(dtype).newbyteorder("=")
    assert scan.voxels.dtype.isnative
    np.testing.assert_array_equal(scan.voxels, voxels)
    assert scan.spacing == pytest.approx((0.8, 0.9, 4))
    assert scan.notes == ()


def test_header_scaling_is_applied(nifti: Write, volume: np.ndarray) -> None:
    path = nifti(volume)
    raw = bytearray(gzip.decompress(path.read_bytes()))
    raw[112:120] = np.array([0.5, -100], "<f4").tobytes()  # scl_slope, scl_inter
    np.testing.assert_allclose(
        read_scan(bytes(raw)).voxels, volume * 0.5 - 100, rtol=1e-6
    )


def test_nifti_2_is_read(tmp_path: Path, volume: np.ndarray) -> None:
    path = tmp_path / "scan.nii.gz"
    nibabel.save(nibabel.Nifti2Image(volume, np.eye(4)), path)
    np.testing.assert_array_equal(read_scan(path).voxels, volume)


def test_4d_gives_the_first_volume_and_says_so(
    nifti: Write, volume: np.ndarray
) -> None:
    for name in ("scan.nii", "scan.nii.gz"):
        scan = read_scan(nifti(np.stack([volume, volume * 0, volume], axis=-1), name))
        np.testing.assert_array_equal(scan.voxels, volume)
        assert scan.notes == ("4-D: first of 3 volumes used",)


def test_trailing_axes_of_1_are_no_volumes(nifti: Write, volume: np.ndarray) -> None:
    scan = read_scan(nifti(volume[..., np.newaxis, np.newaxis]))
    assert scan.voxels.shape == volume.shape
    assert scan.notes == ()


def test_one_slice_is_a_scan(nifti: Write, volume: np.ndarray) -> None:
    flat = read_scan(nifti(volume[:, :, 20], "flat.nii"))
    thin = read_scan(nifti(volume[:, :, 20:21], "thin.nii"))
    assert flat.voxels.shape == thin.voxels.shape == (40, 48, 1)
    assert cut(flat).shape[1:] == (150, 150)


def test_nan_and_infinite_voxels_are_kept_and_can_be_cut(
    nifti: Write, volume: np.ndarray
) -> None:
    voxels = volume.astype(np.float32)
    voxels[:4], voxels[4] = np.nan, np.inf
    scan = read_scan(nifti(voxels))
    np.testing.assert_array_equal(scan.voxels, voxels)
    assert cut(scan).any()


def test_rgb_nifti_is_refused(nifti: Write) -> None:
    rgb = np.zeros((4, 4, 4), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    with pytest.raises(UnreadableScan, match="RGB"):
        read_scan(nifti(rgb))


def test_complex_nifti_is_refused(nifti: Write) -> None:
    with pytest.raises(UnreadableScan, match="complex64; give the magnitude"):
        read_scan(nifti(np.zeros((4, 4, 4), np.complex64)))


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_a_truncated_nifti_is_unreadable(
    nifti: Write, volume: np.ndarray, name: str, share: float
) -> None:
    path = nifti(volume, name)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(UnreadableScan, match="cut short"):
        read_scan(path)


def test_damaged_gzip_data_is_noticed(nifti: Write, volume: np.ndarray) -> None:
    whole = bytearray(nifti(volume).read_bytes())
    whole[-6] ^= 0xFF  # in the checksum
    with pytest.raises(UnreadableScan, match="gzip data is damaged"):
        read_scan(bytes(whole))


def test_gzip_of_several_members_is_read(nifti: Write, volume: np.ndarray) -> None:
    raw = nifti(volume, "scan.nii").read_bytes()
    parts = gzip.compress(raw[:5000]) + gzip.compress(raw[5000:])
    np.testing.assert_array_equal(read_scan(parts).voxels, volume)


def test_a_header_that_claims_a_huge_volume_is_refused(
    nifti: Write, volume: np.ndarray
) -> None:
    raw = bytearray(nifti(volume, "scan.nii").read_bytes())
    raw[40:48] = np.array([3, 30000, 30000, 30000], "<i2").tobytes()
    with pytest.raises(UnreadableScan, match="30000x30000x30000"):
        read_scan(bytes(raw))


@pytest.mark.parametrize("code", [0, 1, 4096])
def test_a_header_with_an_unknown_dtype_is_refused(
    nifti: Write, volume: np.ndarray, code: int
) -> None:
    raw = bytearray(nifti(volume, "scan.nii").read_bytes())
    raw[70:72] = np.array([code], "<i2").tobytes()
    with pytest.raises(UnreadableScan):
        read_scan(bytes(raw))


def test_an_unknown_voxel_size_is_assumed_and_said_so(
    nifti: Write, volume: np.ndarray
) -> None:
    raw = bytearray(nifti(volume, "scan.nii").read_bytes())
    raw[80:92] = np.array([0, np.nan, -2], "<f4").tobytes()  # pixdim[1:4]
    scan = read_scan(bytes(raw))
    assert scan.spacing == (1.0, 1.0, 2.0)
    assert scan.notes == ("voxel size unknown: 1 mm assumed",)


def test_half_of_a_pair_is_refused(tmp_path: Path, volume: np.ndarray) -> None:
    path = tmp_path / "scan.hdr"
    nibabel.save(nibabel.Nifti1Pair(volume, np.eye(4)), path)
    with pytest.raises(UnreadableScan, match=r"half of a \.hdr/\.img pair"):
        read_scan(path.read_bytes())
    np.testing.assert_array_equal(read_scan(path.with_suffix(".img")).voxels, volume)
    path.with_suffix(".img").unlink()
    with pytest.raises(UnreadableScan, match="one half is missing"):
        read_scan(path)


@pytest.mark.parametrize(
    "name", ["anatomical.nii", "example4d.nii.gz", "example_nifti2.nii.gz"]
)
def test_nibabels_own_files_read_as_nibabel_reads_them(name: str) -> None:
    image = nibabel.load(NIBABEL / name)
    expected = image.get_fdata()
    scan = read_scan(NIBABEL / name)
    first = expected if expected.ndim == 3 else expected[..., 0]
    np.testing.assert_allclose(scan.voxels, first, rtol=1e-5)
    assert scan.spacing == pytest.approx(image.header.get_zooms()[:3])


def test_an_unknown_unit_of_length_counts_as_millimetres(
    nifti: Write, volume: np.ndarray
) -> None:
    raw = bytearray(gzip.decompress(nifti(volume).read_bytes()))
    raw[123] = 4  # xyzt_units: no unit has this code
    assert read_scan(bytes(raw)).spacing == pytest.approx((1, 1, 1))


@pytest.mark.parametrize("start", [1e30, 1e19, 1e13, 1e8, 12.0, -5.0, np.nan])
@pytest.mark.parametrize("packed", [False, True])
def test_a_damaged_offset_of_the_voxels_is_refused(
    nifti: Write, volume: np.ndarray, tmp_path: Path, start: float, packed: bool
) -> None:
    raw = bytearray(gzip.decompress(nifti(volume).read_bytes()))
    raw[108:112] = np.array([start], "<f4").tobytes()
    path = tmp_path / "damaged.nii"
    path.write_bytes(gzip.compress(raw) if packed else raw)
    with pytest.raises(UnreadableScan, match=r"begin at byte|makes no sense"):
        read_scan(path)


@pytest.mark.parametrize("start", [1e30, 1e19, 1e13, 1e11, np.nan])
@pytest.mark.parametrize("ending", ["", ".gz"])
def test_a_damaged_offset_in_a_pair_is_refused(
    volume: np.ndarray, tmp_path: Path, start: float, ending: str
) -> None:
    path = tmp_path / f"pair.hdr{ending}"
    nibabel.save(nibabel.Nifti1Pair(volume, np.eye(4)), path)
    raw = bytearray(gzip.decompress(path.read_bytes()) if ending else path.read_bytes())
    raw[108:112] = np.array([start], "<f4").tobytes()
    path.write_bytes(gzip.compress(raw) if ending else raw)
    with pytest.raises(UnreadableScan):
        read_scan(path)


@pytest.mark.parametrize("names", [("s.hdr", "s.img"), ("S.HDR", "S.IMG")])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Pair, nibabel.Nifti2Pair])
def test_a_pair_is_one_scan_in_a_folder_and_in_a_zip(
    tmp_path: Path,
    zipped: Callable[[dict[str, bytes]], bytes],
    volume: np.ndarray,
    names: tuple[str, str],
    kind: Any,
) -> None:
    looks_like_dicom = volume.copy()
    looks_like_dicom[:2, 0, 0] = 8, 16  # the voxels begin as an old DICOM file does
    nibabel.save(kind(looks_like_dicom, np.eye(4)), tmp_path / "made.hdr")
    study = tmp_path / "study"
    study.mkdir()
    files = {}
    for name, made in zip(names, ("made.hdr", "made.img"), strict=True):
        files[f"a/{name}"] = (tmp_path / made).read_bytes()
        (study / name).write_bytes(files[f"a/{name}"])
    for source in (study, study / names[0], study / names[1], zipped(files)):
        scan = read_scan(source)
        np.testing.assert_array_equal(scan.voxels, looks_like_dicom)
        assert scan.part is None


def test_a_packed_pair_is_read(tmp_path: Path, volume: np.ndarray) -> None:
    path = tmp_path / "scan.hdr.gz"
    nibabel.save(nibabel.Nifti1Pair(volume, np.eye(4)), path)
    np.testing.assert_array_equal(read_scan(path).voxels, volume)
    np.testing.assert_array_equal(read_scan(tmp_path / "scan.img.gz").voxels, volume)


def test_a_lone_img_asks_for_its_header(tmp_path: Path) -> None:
    (tmp_path / "scan.img").write_bytes(bytes(1000))
    with pytest.raises(UnreadableScan, match="one half is missing"):
        read_scan(tmp_path / "scan.img")


def test_a_pair_cut_short_says_so(tmp_path: Path, volume: np.ndarray) -> None:
    nibabel.save(nibabel.Nifti1Pair(volume, np.eye(4)), tmp_path / "scan.hdr")
    voxels = (tmp_path / "scan.img").read_bytes()
    (tmp_path / "scan.img").write_bytes(voxels[:-5])
    with pytest.raises(UnreadableScan, match="cut short"):
        read_scan(tmp_path / "scan.hdr")


def test_header_extensions_are_passed_over(nifti: Write, volume: np.ndarray) -> None:
    image = nibabel.Nifti1Image(volume, np.eye(4))
    for comment in (b"Secret^Person", bytes(40_000)):
        image.header.extensions.append(nibabel.nifti1.Nifti1Extension(6, comment))
    for content in (image.to_bytes(), gzip.compress(image.to_bytes())):
        np.testing.assert_array_equal(read_scan(content).voxels, volume)


@pytest.mark.parametrize(
    "dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"]
)
@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("kind", [nibabel.Nifti1Image, nibabel.Nifti2Image])
def test_every_real_dtype_is_read_in_both_byte_orders(
    volume: np.ndarray, dtype: str, order: str, kind: Any
) -> None:
    voxels = (volume[::4, ::4, ::4] // 8).astype(dtype)
    image = kind(voxels, np.eye(4), dtype=voxels.dtype)
    header = image.header.as_byteswapped(order)
    scan = read_scan(kind(voxels, None, header).to_bytes())
    assert scan.voxels.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(scan.voxels, voxels)
