from __future__ import annotations

import contextlib
import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mri_contrast import _files
from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import Scan, find_parts, read_scan, read_series
from mri_contrast.slices import cut

Encode = Callable[..., bytes]
Write = Callable[..., Path]
Zip = Callable[[dict[str, bytes]], bytes]


RAMP = np.arange(30 * 40, dtype=np.uint16).reshape(30, 40)


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


def test_an_empty_file_folder_or_zip_is_unreadable(zipped: Zip, tmp_path: Path) -> None:
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
    zipped: Zip, tmp_path: Path, nifti: Write, volume: np.ndarray
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


def test_an_encrypted_zip_says_so(zipped: Zip) -> None:
    content = bytearray(zipped({"a.nii": b"x" * 100}))
    content[6] |= 1  # the flag in the member's header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # and in the directory
    with pytest.raises(UnreadableScan, match="encrypted"):
        read_scan(bytes(content))


def test_a_damaged_zip_says_so(zipped: Zip) -> None:
    with pytest.raises(UnreadableScan, match="zip is damaged"):
        read_scan(zipped({"a": b"x" * 1000})[:60])


def test_a_zip_bomb_is_refused_before_it_is_unpacked(zipped: Zip) -> None:
    content = bytearray(zipped({"a": b"x", "b": b"y"}))
    at = 0
    for _ in range(2):  # each member claims 2.5 GiB
        at = content.index(b"PK\x01\x02", at + 1)
        content[at + 24 : at + 28] = (5 * 2**29).to_bytes(4, "little")
    with pytest.raises(UnreadableScan, match=r"2 files of 5\.0 GiB"):
        read_scan(bytes(content))


def test_too_many_files_are_refused(
    zipped: Zip, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_files, "MAX_FILES", 2)
    with pytest.raises(UnreadableScan, match="3 files"):
        read_scan(zipped({"a": b"", "b": b"", "c": b""}))


@pytest.mark.parametrize("source", [None, 7, io.StringIO("text")])
def test_what_is_no_source_is_a_type_error(source: Any) -> None:
    with pytest.raises(TypeError, match=r"path, bytes|binary mode"):
        read_scan(source)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")  # says what is damaged
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_bytes_give_a_scan_or_a_reason_and_nothing_else(
    zipped: Zip, data: Any, png: Encode, dicom: Encode
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


def test_every_real_file_gives_slices_or_a_clear_reason(real_data: Path) -> None:
    files = [p for p in sorted(real_data.rglob("*")) if p.is_file()]
    scans = [p for p in files if p.suffix in {".gz", ".nii", ".dcm"}]
    assert scans
    for path in scans:
        assert cut(read_scan(path)).shape[1:] == (150, 150), path.name
    for path in set(files) - set(scans):  # the list of the files, its description
        with pytest.raises(UnreadableScan, match="it is not PNG, JPEG, TIFF, NIfTI"):
            read_scan(path)


@pytest.mark.parametrize("library", [nibabel, pydicom])
def test_every_file_of_a_librarys_own_tests_gives_slices_or_a_clear_reason(
    library: Any, recwarn: pytest.WarningsRecorder
) -> None:
    """Hundreds of files that once were trouble, of these and of other formats."""
    files = Path(library.__file__).parent.rglob("*data/**/*")
    told = [
        (path, reason)
        for path in files
        if path.is_file() and path.suffix not in {".py", ".pyc"}
        for reason in reasons(path)
    ]
    refused = [(path, reason) for path, reason in told if reason]
    assert len(told) - len(refused) > 2
    assert all(len(reason) > 20 for _, reason in refused)
    assert not [p for p, reason in refused if p.suffix and p.name in reason]
    assert list(recwarn) == []


def reasons(path: Path) -> list[str]:
    """Why each part of a file gave no slices; empty for a part that did."""
    found = []
    try:
        for part in find_parts(path):
            found.append("" if len(cut(part.read())) else "no slice")
    except UnreadableScan as error:
        found.append(str(error))
    return found


def test_slices_as_the_study_keeps_them_are_read_one_by_one(
    tmp_path: Path, png: Encode
) -> None:
    small = Image.fromarray(np.tile(RAMP // 5, (2, 1)).astype(np.uint8))
    for name in ("T1/T1_497_3.png", "T1/T1_497_4.png", "flair/flair_497_3.png"):
        (tmp_path / "test" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "test" / name).write_bytes(png(small))
    scans = read_series(tmp_path / "test")
    names = ["T1/T1_497_3.png", "T1/T1_497_4.png", "flair/flair_497_3.png"]
    assert [scan.part for scan in scans] == names
    assert all(cut(scan).shape == (1, 150, 150) for scan in scans)


def test_a_bids_folder_gives_its_scans_by_name(
    tmp_path: Path, nifti: Write, volume: np.ndarray
) -> None:
    content = nifti(volume).rename(tmp_path.parent / "kept.nii.gz").read_bytes()
    names = ["sub-01/anat/sub-01_FLAIR.nii.gz", "sub-01/anat/sub-01_T1w.nii.gz"]
    for name in (*names, "sub-01/anat/sub-01_T1w.json", "dataset_description.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content if name in names else b"{}")
    assert [part.name for part in find_parts(tmp_path)] == names
    assert all(scan.voxels.shape == volume.shape for scan in read_series(tmp_path))


def test_an_empty_path_is_not_the_current_folder() -> None:
    with pytest.raises(UnreadableScan, match="path is empty"):
        read_scan("")
