from __future__ import annotations

import contextlib
import gzip
import io
import logging
import zipfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from PIL import Image

from mri_contrast import _files, _scan
from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import Scan, find_parts, read_scan, read_series
from mri_contrast.slices import cut

Encode = Callable[..., bytes]
Write = Callable[..., Path]
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"
NIBABEL = Path(nibabel.__file__).parent / "tests" / "data"


def pixels(source: bytes) -> np.ndarray:
    """The `(h, w)` pixels that were read from an image."""
    voxels = read_scan(source).voxels
    assert voxels.shape[2] == 1
    return voxels[:, :, 0]


RAMP = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)


# Images


@given(
    image=arrays(
        st.sampled_from([np.uint8, np.uint16]),
        array_shapes(min_dims=2, max_dims=2, max_side=9),
    ),
    form=st.sampled_from(["PNG", "TIFF"]),
)
def test_grey_images_keep_every_value(image: np.ndarray, form: str) -> None:
    stream = io.BytesIO()
    Image.fromarray(image).save(stream, form)
    read = pixels(stream.getvalue())
    assert read.dtype == image.dtype
    np.testing.assert_array_equal(read, image)


def test_16_bit_png_keeps_its_range(png: Encode) -> None:
    deep = RAMP * 50
    np.testing.assert_array_equal(pixels(png(Image.fromarray(deep))), deep)


def test_big_endian_16_bit_tiff_is_read_in_native_order(png: Encode) -> None:
    image = Image.frombytes("I;16B", (40, 30), RAMP.astype(">u2").tobytes())
    read = pixels(png(image, "TIFF"))
    assert read.dtype.isnative
    np.testing.assert_array_equal(read, RAMP)


def test_float_tiff_keeps_its_values(png: Encode) -> None:
    values = RAMP.astype(np.float32) / 7 - 20
    np.testing.assert_array_equal(pixels(png(Image.fromarray(values), "TIFF")), values)


def test_palette_png_is_read_by_its_colours_not_its_indices(png: Encode) -> None:
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([200, 200, 200, 10, 10, 10])
    assert pixels(png(image)).tolist() == [[200, 10]]


def test_transparent_palette_png_lies_on_black(png: Encode) -> None:
    image = Image.frombytes("P", (2, 1), bytes([0, 1]))
    image.putpalette([200, 200, 200, 90, 90, 90])
    image.info["transparency"] = 0
    assert pixels(png(image)).tolist() == [[0, 90]]


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_lies_on_black(png: Encode, mode: str) -> None:
    grey = Image.frombytes("L", (3, 1), bytes([200, 200, 200]))
    image = grey.convert(mode)
    image.putalpha(Image.frombytes("L", (3, 1), bytes([255, 128, 0])))
    assert pixels(png(image)).tolist() == [[200, 100, 0]]


def test_colour_becomes_luma(png: Encode) -> None:
    image = Image.new("RGB", (1, 1), (255, 0, 0))
    assert pixels(png(image)).tolist() == [[76]]  # 0.299 x 255


def test_black_and_white_png_has_the_full_range(png: Encode) -> None:
    image = Image.frombytes("L", (2, 1), bytes([0, 255])).convert("1")
    assert pixels(png(image)).tolist() == [[0, 255]]


def test_jpeg_is_read_within_its_own_loss(png: Encode) -> None:
    smooth = np.tile(np.linspace(0, 255, 64).astype(np.uint8), (64, 1))
    read = pixels(png(Image.fromarray(smooth), "JPEG"))
    assert np.abs(read.astype(int) - smooth).max() < 8


def test_further_pages_of_a_tiff_are_left_out_and_said_so() -> None:
    stream = io.BytesIO()
    first, second = Image.new("L", (3, 2), 1), Image.new("L", (3, 2), 2)
    first.save(stream, "TIFF", save_all=True, append_images=[second])
    scan = read_scan(stream.getvalue())
    assert scan.notes == ("2 pages: the first used",)
    assert scan.voxels.max() == 1


@pytest.mark.parametrize("form", ["PNG", "JPEG", "TIFF"])
def test_a_truncated_image_is_unreadable(png: Encode, form: str) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (64, 64), dtype=np.uint8)
    whole = png(Image.fromarray(noise), form)
    with pytest.raises(UnreadableScan, match="damaged or cut short"):
        read_scan(whole[: len(whole) // 2])


def test_an_image_that_claims_too_many_pixels_is_refused_before_decoding(
    png: Encode,
) -> None:
    side = int(_scan.MAX_PIXELS**0.5) + 1
    with pytest.raises(UnreadableScan, match=f"too large.*{side}x{side}"):
        read_scan(png(Image.new("1", (side, side))))


# NIfTI


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


# DICOM


@pytest.fixture
def series(dicom: Encode) -> Callable[..., list[bytes]]:
    """Slices 2.5 mm apart, told apart by their value; numbered backwards."""

    def make(count: int = 5, start: int = 0, **attributes: Any) -> list[bytes]:
        return [
            dicom(
                np.full((6, 8), start + i, np.uint16),
                ImagePositionPatient=[0, 0, 2.5 * i],
                InstanceNumber=count - i,
                **attributes,
            )
            for i in range(count)
        ]

    return make


def fill(folder: Path, files: list[bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for i, content in enumerate(files):
        # Names in another order than positions.
        (folder / f"{(i * 7) % 11:02}.dcm").write_bytes(content)
    return folder


def zipped(files: dict[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return stream.getvalue()


def test_a_dicom_folder_is_sorted_by_position(
    tmp_path: Path, series: Callable[..., list[bytes]]
) -> None:
    folder = fill(tmp_path / "study" / "deep", series()).parent
    (folder / "README.txt").write_text("no scan")
    scan = read_scan(folder)
    assert scan.voxels.shape == (6, 8, 5)
    assert scan.voxels[0, 0].tolist() == [0, 1, 2, 3, 4]
    assert scan.spacing == pytest.approx((0.5, 0.75, 2.5))
    assert (scan.notes, scan.part) == ((), None)


def test_a_zip_of_dicom_is_read_like_its_folder(
    tmp_path: Path, series: Callable[..., list[bytes]]
) -> None:
    files = series()
    from_folder = read_scan(fill(tmp_path / "study", files))
    content = zipped({f"a/{i}": f for i, f in enumerate(files)} | {"b.txt": b"hello"})
    (tmp_path / "study.zip").write_bytes(content)
    for source in (content, tmp_path / "study.zip", io.BytesIO(content)):
        scan = read_scan(source)
        np.testing.assert_array_equal(scan.voxels, from_folder.voxels)
        assert scan.spacing == from_folder.spacing


def test_slices_without_positions_are_sorted_by_instance_number(
    tmp_path: Path, dicom: Encode
) -> None:
    files = [
        dicom(np.full((4, 4), i, np.uint8), InstanceNumber=i + 1, SliceThickness=3)
        for i in range(4)
    ]
    scan = read_scan(fill(tmp_path / "study", files))
    assert scan.voxels[0, 0].tolist() == [0, 1, 2, 3]
    assert scan.spacing[2] == 3.0


def test_the_slice_step_follows_an_oblique_normal(
    tmp_path: Path, dicom: Encode
) -> None:
    files = [
        dicom(
            np.full((4, 4), 4 - i, np.uint8),
            ImageOrientationPatient=[0.8, 0.6, 0, 0, 0, -1],
            ImagePositionPatient=[-0.6 * 3 * i, 0.8 * 3 * i, 5],
        )
        for i in range(4)
    ]
    assert read_scan(fill(tmp_path / "s", files)).spacing[2] == pytest.approx(3)


def test_series_are_kept_apart_and_named_by_number(
    tmp_path: Path, series: Callable[..., list[bytes]]
) -> None:
    folder = fill(tmp_path / "a", series(3, SeriesNumber=7, SeriesInstanceUID="1.7"))
    fill(folder / "b", series(2, start=9, SeriesNumber=2, SeriesInstanceUID="1.2"))
    with pytest.raises(UnreadableScan, match="2 series"):
        read_scan(folder)
    scans = read_series(folder)
    assert [(s.part, s.voxels.shape[2]) for s in scans] == [
        ("series 2", 2),
        ("series 7", 3),
    ]


@pytest.mark.parametrize(
    "other",
    [{"EchoTime": 90.0}, {"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}],
    ids=["echo", "plane"],
)
def test_a_series_of_two_echoes_or_planes_is_two(
    tmp_path: Path, series: Callable[..., list[bytes]], other: dict[str, Any]
) -> None:
    folder = fill(tmp_path / "a", series(3))
    fill(folder / "b", series(3, **other))
    assert [s.part for s in read_series(folder)] == [
        "series 1, part 1",
        "series 1, part 2",
    ]


def test_repeated_positions_give_the_first_image_and_a_note(
    tmp_path: Path, series: Callable[..., list[bytes]], dicom: Encode
) -> None:
    later = [
        dicom(
            np.full((6, 8), 99, np.uint16),
            ImagePositionPatient=[0, 0, 2.5 * i],
            InstanceNumber=100 + i,
        )
        for i in range(5)
    ]
    folder = fill(tmp_path / "a", series())
    fill(folder / "0", later)
    scan = read_scan(folder)
    assert scan.voxels[0, 0].tolist() == [0, 1, 2, 3, 4]
    assert scan.notes == ("2 images at each position: the first used",)


def test_a_missing_slice_is_noted(
    tmp_path: Path, series: Callable[..., list[bytes]]
) -> None:
    files = series(6)
    del files[2]
    scan = read_scan(fill(tmp_path / "a", files))
    assert scan.notes == ("slices are missing or unevenly spaced",)
    assert scan.spacing[2] == pytest.approx(2.5)


def test_rescale_slope_and_intercept_are_applied(dicom: Encode) -> None:
    scan = read_scan(dicom(RAMP, RescaleSlope=2, RescaleIntercept=-7))
    np.testing.assert_array_equal(scan.voxels[..., 0], RAMP * 2.0 - 7)


@pytest.mark.parametrize("dtype", [np.uint16, np.int16])
def test_monochrome1_is_inverted(dicom: Encode, dtype: Any) -> None:
    stored = (RAMP * (50 if dtype == np.uint16 else 1)).astype(dtype)
    scan = read_scan(dicom(stored, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(
        scan.voxels[..., 0], int(stored.max()) - stored.astype(int)
    )


def test_enhanced_multi_frame_files_are_sorted_by_position(dicom: Encode) -> None:
    def group(name: str, **attributes: Any) -> pydicom.Dataset:
        item, outer = pydicom.Dataset(), pydicom.Dataset()
        for key, value in attributes.items():
            setattr(item, key, value)
        setattr(outer, name, [item])
        return outer

    frames = np.stack([np.full((4, 5), i, np.uint16) for i in range(3)])
    places = [
        group("PlanePositionSequence", ImagePositionPatient=[0, 0, z])
        for z in (8, 0, 4)
    ]
    shared = group("PixelMeasuresSequence", PixelSpacing=[2, 3], SliceThickness=1)
    scan = read_scan(
        dicom(
            frames,
            NumberOfFrames=3,
            PerFrameFunctionalGroupsSequence=places,
            SharedFunctionalGroupsSequence=[shared],
        )
    )
    assert scan.voxels[0, 0].tolist() == [1, 2, 0]
    assert scan.spacing == pytest.approx((2, 3, 4))


def test_a_truncated_dicom_is_unreadable(dicom: Encode) -> None:
    whole = dicom(RAMP)
    for share in (0.2, 0.5, 0.9):
        with pytest.raises(UnreadableScan):
            read_scan(whole[: int(len(whole) * share)])


def test_colour_dicom_is_refused(dicom: Encode) -> None:
    rgb = np.zeros((3, 4, 4), np.uint8)
    with pytest.raises(UnreadableScan, match="in colour"):
        read_scan(dicom(rgb, SamplesPerPixel=3, PhotometricInterpretation="RGB"))


def test_dicom_that_claims_too_many_frames_is_refused(dicom: Encode) -> None:
    with pytest.raises(UnreadableScan, match="30x40x100000000"):
        read_scan(dicom(RAMP, NumberOfFrames=10**8))


@pytest.mark.parametrize(
    "name",
    [
        *("CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm"),
        *("MR_small_implicit.dcm", "MR_small_jp2klossless.dcm", "examples_overlay.dcm"),
    ],
)
def test_pydicoms_own_files_read_as_pydicom_reads_them(name: str) -> None:
    dataset = pydicom.dcmread(PYDICOM / name)
    expected = dataset.pixel_array * float(dataset.get("RescaleSlope", 1)) + float(
        dataset.get("RescaleIntercept", 0)
    )
    scan = read_scan(PYDICOM / name)
    np.testing.assert_allclose(scan.voxels[..., 0], expected)
    assert scan.spacing[:2] == pytest.approx(tuple(dataset.PixelSpacing))


def test_pixels_that_no_installed_decoder_reads_say_what_to_install() -> None:
    with pytest.raises(UnreadableScan, match="pip install pylibjpeg"):
        read_scan(PYDICOM / "JPEG-lossy.dcm")


def test_reports_and_directories_are_no_scans() -> None:
    for name in ("test-SR.dcm", "rtplan.dcm", "dicomdirtests/DICOMDIR"):
        with pytest.raises(UnreadableScan, match="holds no image"):
            read_scan(PYDICOM / name)


def test_nothing_of_a_header_is_logged_or_warned(
    dicom: Encode, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    odd = (PYDICOM / "badVR.dcm").read_bytes()
    with caplog.at_level(logging.DEBUG), pytest.raises(UnreadableScan) as caught:
        read_scan(odd)
    assert "1A" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert caplog.records == []
    assert list(recwarn) == []
    assert logging.getLogger("pydicom").disabled is False


def test_threads_that_read_dicom_leave_the_log_as_it_was(dicom: Encode) -> None:
    content = dicom(RAMP)
    with ThreadPoolExecutor(4) as pool:
        scans = list(pool.map(lambda _: read_scan(content), range(32)))
    assert all((scan.voxels[..., 0] == RAMP).all() for scan in scans)
    assert logging.getLogger("pydicom").disabled is False


# Sources


def test_an_array_is_a_scan() -> None:
    flat = np.zeros((3, 4), bool)
    flat[1, 2] = True
    scan = read_scan(flat)
    assert scan.voxels.shape == (3, 4, 1)
    assert scan.voxels.dtype == np.uint8
    assert scan.spacing == (1.0, 1.0, 1.0)
    assert read_scan(scan) is scan


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.zeros(4), r"shape is \(4,\)"),
        (np.zeros((2, 2, 2, 2)), r"\(2, 2, 2, 2\)"),
        (np.zeros((0, 4)), "none empty"),
        (np.zeros((4, 4), complex), "complex128"),
        (np.array([["a"]]), "one real number"),
    ],
)
def test_an_array_that_is_no_scan_is_refused(array: np.ndarray, reason: str) -> None:
    with pytest.raises(UnreadableScan, match=reason):
        read_scan(array)


@pytest.mark.parametrize("spacing", [(0.0, 1.0, 1.0), (1.0, -1.0, 1.0)])
def test_a_scan_needs_positive_spacing(spacing: tuple[float, float, float]) -> None:
    with pytest.raises(UnreadableScan, match="positive numbers"):
        Scan(np.zeros((2, 2, 2)), spacing)


def test_a_missing_file_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableScan, match="no such file") as caught:
        read_scan(tmp_path / "secret-name.nii.gz")
    assert "secret-name" not in str(caught.value)


def test_an_empty_file_folder_or_zip_is_unreadable(tmp_path: Path) -> None:
    with pytest.raises(UnreadableScan, match="the file is empty"):
        read_scan(b"")
    with pytest.raises(UnreadableScan, match="the folder is empty"):
        read_scan(tmp_path)
    with pytest.raises(UnreadableScan, match="the zip is empty"):
        read_scan(zipped({}))


def test_a_folder_without_a_scan_says_what_would_be_one(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    with pytest.raises(UnreadableScan, match=r"none of its 1 files is a scan \(PNG"):
        read_scan(tmp_path)


def test_formats_are_told_by_content_not_by_name(
    tmp_path: Path, nifti: Write, volume: np.ndarray
) -> None:
    odd = nifti(volume).rename(tmp_path / "scan.png")
    np.testing.assert_array_equal(read_scan(odd).voxels, volume)


def test_a_folder_or_zip_may_hold_one_nifti(
    tmp_path: Path, nifti: Write, volume: np.ndarray
) -> None:
    content = nifti(volume).read_bytes()
    for source in (tmp_path, zipped({"a/scan": content, "scan.json": b"{}"})):
        scan = read_scan(source)
        np.testing.assert_array_equal(scan.voxels, volume)
        assert scan.part is None


def test_a_bad_file_in_a_folder_leaves_the_others_readable(
    tmp_path: Path, nifti: Write, volume: np.ndarray
) -> None:
    content = nifti(volume, "a.nii.gz").read_bytes()
    (tmp_path / "b.nii.gz").write_bytes(content[:-100])
    (scan,) = read_series(tmp_path)
    assert scan.part == "a.nii.gz"
    assert scan.notes == ("1 other series could not be read",)
    assert [part.name for part in find_parts(tmp_path)] == ["a.nii.gz", "b.nii.gz"]


def test_an_encrypted_zip_says_so() -> None:
    content = bytearray(zipped({"a.nii": b"x" * 100}))
    content[6] |= 1  # the flag in the member's header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    with pytest.raises(UnreadableScan, match="encrypted"):
        read_scan(bytes(content))


def test_a_damaged_zip_says_so() -> None:
    with pytest.raises(UnreadableScan, match="zip is damaged"):
        read_scan(zipped({"a": b"x" * 1000})[:60])


def test_a_zip_bomb_is_refused_before_it_is_unpacked() -> None:
    content = bytearray(zipped({"a": b"x", "b": b"y"}))
    at = 0
    for _ in range(2):  # each member claims 2.5 GiB
        at = content.index(b"PK\x01\x02", at + 1)
        content[at + 24 : at + 28] = (5 * 2**29).to_bytes(4, "little")
    with pytest.raises(UnreadableScan, match=r"2 files of 5\.0 GiB"):
        read_scan(bytes(content))


def test_too_many_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_files, "MAX_FILES", 2)
    with pytest.raises(UnreadableScan, match="3 files"):
        read_scan(zipped({"a": b"", "b": b"", "c": b""}))


@pytest.mark.parametrize("source", [None, 7, io.StringIO("text")])
def test_what_is_no_source_is_a_type_error(source: Any) -> None:
    with pytest.raises(TypeError, match=r"path, bytes|binary mode"):
        read_scan(source)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_a_scan_or_a_reason_and_nothing_else(
    data: Any, png: Encode, dicom: Encode
) -> None:
    small = (np.arange(6 * 7 * 5) % 251).astype(np.int16).reshape(6, 7, 5)
    plain = nibabel.Nifti1Image(small, np.eye(4)).to_bytes()
    whole = data.draw(
        st.sampled_from(
            [
                plain,
                gzip.compress(plain, mtime=0),
                png(Image.fromarray(RAMP)),
                png(Image.fromarray(RAMP), "TIFF"),
                png(Image.fromarray(RAMP.astype(np.uint8)), "JPEG"),
                dicom(RAMP),
                zipped({"a": plain, "b.dcm": dicom(RAMP)}),
            ]
        )
    )
    changes = st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255))
    damaged = bytearray(whole)
    for place, value in data.draw(st.lists(changes, max_size=8)):
        damaged[place] = value
    end = data.draw(st.integers(0, len(whole)) | st.just(len(whole)))
    with contextlib.suppress(UnreadableScan):
        assert all(scan.voxels.size for scan in read_series(bytes(damaged[:end])))


def test_every_real_file_is_read_or_refused_with_a_reason(real_data: Path) -> None:
    files = [p for p in real_data.rglob("*") if p.suffix in {".gz", ".nii", ".dcm"}]
    assert files
    for path in files:
        scan = read_scan(path)
        assert scan.voxels.ndim == 3, path.name
        assert cut(scan).shape[1:] == (150, 150), path.name
