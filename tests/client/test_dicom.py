from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import read_scan, read_series

Encode = Callable[..., bytes]
Zip = Callable[[dict[str, bytes]], bytes]
PYDICOM = Path(pydicom.__file__).parent / "data" / "test_files"


RAMP = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)


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
    zipped: Zip, tmp_path: Path, series: Callable[..., list[bytes]]
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


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("JPEG-lossy.dcm", "pylibjpeg-libjpeg"),
        ("JPGExtended.dcm", "pylibjpeg-libjpeg"),
        ("MR_small_jpeg_ls_lossless.dcm", "pylibjpeg-libjpeg"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "pylibjpeg-openjpeg"),
    ],
)
def test_each_compression_names_the_decoder_that_reads_it(
    name: str, package: str
) -> None:
    with pytest.raises(UnreadableScan, match=package):
        read_scan(PYDICOM / name)


def test_an_enhanced_file_with_two_echoes_holds_two_series(dicom: Encode) -> None:
    def frame(echo: float, place: float) -> pydicom.Dataset:
        outer, times, plane = (pydicom.Dataset() for _ in range(3))
        times.EffectiveEchoTime = echo
        plane.ImagePositionPatient = [0, 0, place]
        outer.MREchoSequence, outer.PlanePositionSequence = [times], [plane]
        return outer

    pixels = np.stack([np.full((4, 5), i, np.uint16) for i in range(6)])
    frames = [frame(echo, place) for echo in (10, 90) for place in (0, 3, 6)]
    scans = read_series(
        dicom(pixels, NumberOfFrames=6, PerFrameFunctionalGroupsSequence=frames)
    )
    assert [scan.voxels[0, 0].tolist() for scan in scans] == [[0, 1, 2], [3, 4, 5]]
    assert [scan.spacing[2] for scan in scans] == [3, 3]


def test_an_image_beside_a_report_is_one_scan(tmp_path: Path, dicom: Encode) -> None:
    (tmp_path / "image.dcm").write_bytes(dicom(RAMP))
    (tmp_path / "report.dcm").write_bytes((PYDICOM / "test-SR.dcm").read_bytes())
    scan = read_scan(tmp_path)
    assert scan.voxels.shape == (30, 40, 1)
    assert "DICOM files could not be read" not in str(scan.notes)


def test_a_folder_without_the_library_says_how_to_install_it(
    tmp_path: Path, dicom: Encode, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(2):
        (tmp_path / f"{i}.dcm").write_bytes(dicom(RAMP))
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(UnreadableScan, match=r"mri-contrast\[dicom\]"):
        read_scan(tmp_path)
