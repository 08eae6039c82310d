from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from mri_contrast import Scan, read_scan
from mri_contrast._hints_read import hints_of
from mri_contrast.hints import Hints, conflicts, said
from mri_contrast.scans import find_parts


@pytest.mark.parametrize(
    ("text", "contrast"),
    [
        ("AX T2 FLAIR", "FLAIR"),
        ("t2_tirm_tra_dark-fluid", "FLAIR"),
        ("SAG CUBE FLAIR", "FLAIR"),
        ("t1 flair sag", "T1"),
        ("T1_MPRAGE_sag_p2", "T1"),
        ("sT1W_3D_TFE", "T1"),
        ("3D SPGR BRAVO +C", "T1"),
        ("updated protocol for epilepsy T1", "T1"),
        ("t2_tse_tra_p2", "T2"),
        ("T2W_TSE", "T2"),
        ("t2*_gre", "other"),
        ("T2star", "other"),
        ("T1map", "other"),
        ("ep2d_diff_3scan_trace", "other"),
        ("SWI_mip", "other"),
        ("localizer", "other"),
        ("PD+T2", None),
        ("T1 T2 PD", None),
        ("brain", None),
        ("series T10 of T20", None),
    ],
)
def test_series_texts_name_a_contrast_where_they_name_one(
    text: str, contrast: str | None
) -> None:
    assert said((text,)) == contrast


@pytest.mark.parametrize(
    ("hints", "contrast", "reasons"),
    [
        # Typical protocols agree with themselves.
        (Hints(2300, 2.98, 900), "T1", []),
        (Hints(500, 14), "T1", []),
        (Hints(9000, 120, 2500), "FLAIR", []),
        (Hints(5000, 395, 1800), "FLAIR", []),
        (Hints(4500, 100), "T2", []),
        (Hints(3200, 565), "T2", []),
        (Hints(9000, 120), "FLAIR", []),
        (Hints(4500, 100), "T1", ["its echo time is too long for T1"]),
        (Hints(2300, 2.98, 900), "T2", ["its echo time is too short for T2"]),
        (Hints(9000, 120, 2500), "T2", ["its inversion time is that of FLAIR"]),
        (Hints(4000, 60, 160), "FLAIR", ["its inversion time is too short for FLAIR"]),
        (Hints(suffix="PDw"), "T2", ["its BIDS name says other"]),
        (Hints(suffix="T1w"), "T1", []),
        (Hints(suffix="01"), "T1", []),
        (Hints(texts=("AX FLAIR",), suffix="T1w", echo=120), "unsure", []),
        (Hints(), "T1", []),
        (Hints(2300, 2.98, 900), "other", []),
        (Hints(texts=("t1_mprage",)), "other", ["its series text says T1"]),
    ],
)
def test_a_conflict_is_what_cannot_be_true_together(
    hints: Hints, contrast: str, reasons: list[str]
) -> None:
    assert list(conflicts(hints, contrast)) == reasons


def test_no_text_of_the_header_is_in_the_repr() -> None:
    assert "Smith" not in repr(Hints(texts=("Smith FLAIR",)))


def test_a_sidecar_counts_in_seconds_and_a_description_in_milliseconds(
    nifti: Callable[..., Path], volume: np.ndarray
) -> None:
    path = nifti(volume, "sub-1_ses-2_FLAIR.nii.gz", descrip=b"TR=9000ms/TE=125ms")
    assert hints_of(path)(None).repetition == 9000
    fields = {"EchoTime": 0.12, "InversionTime": 2.5, "ProtocolName": "dark fluid"}
    path.with_name("sub-1_ses-2_FLAIR.json").write_text(json.dumps(fields))
    found = hints_of(path)(None)
    assert (found.repetition, found.echo, found.inversion) == (9000, 120, 2500)
    assert (found.texts, found.suffix) == (("dark fluid",), "FLAIR")


@pytest.mark.parametrize("content", ["", "[1]", "{not json", '{"EchoTime": "soon"}'])
def test_a_damaged_sidecar_says_nothing(
    nifti: Callable[..., Path], volume: np.ndarray, content: str
) -> None:
    path = nifti(volume, "sub-1_T1w.nii")
    path.with_name("sub-1_T1w.json").write_text(content)
    assert hints_of(path)(None) == Hints(suffix="T1w", axial=hints_of(path)(None).axial)


def test_a_file_name_that_is_not_bids_says_nothing(
    nifti: Callable[..., Path], volume: np.ndarray
) -> None:
    assert hints_of(nifti(volume, "Smith_T1w.nii"))(None).suffix is None


@pytest.mark.parametrize("order", [(0, 1, 2), (1, 2, 0), (2, 0, 1), (0, 2, 1)])
def test_the_axis_from_feet_to_head_is_found_however_voxels_are_stored(
    tmp_path: Path, volume: np.ndarray, order: tuple[int, ...]
) -> None:
    affine = np.zeros((4, 4))
    for axis, world in enumerate(order):
        affine[world, axis] = -1.5 if axis == 1 else 1.5
    affine[3, 3] = 1
    nibabel.save(nibabel.Nifti1Image(volume, affine), tmp_path / "scan.nii.gz")
    assert hints_of(tmp_path / "scan.nii.gz")(None).axial == order.index(2)


def test_a_nifti_that_does_not_say_how_it_lies_has_no_axial_plane(
    tmp_path: Path, volume: np.ndarray
) -> None:
    nibabel.save(nibabel.Nifti1Image(volume, None), tmp_path / "scan.nii")
    assert hints_of(tmp_path / "scan.nii")(None).axial is None


@pytest.mark.parametrize(
    ("cosines", "axial"),
    [([1, 0, 0, 0, 1, 0], 2), ([0, 1, 0, 0, 0, -1], 0), ([0, 0, 1, 1, 0, 0], 1)],
)
def test_dicom_voxels_are_rows_columns_and_slices(
    dicom: Callable[..., bytes], cosines: list[int], axial: int
) -> None:
    pixels = np.arange(600, dtype=np.uint16).reshape(20, 30)
    found = hints_of(dicom(pixels, ImageOrientationPatient=cosines))(None)
    assert found.axial == axial


def test_an_enhanced_file_keeps_its_times_in_shared_groups(
    dicom: Callable[..., bytes],
) -> None:
    def one(**fields: Any) -> Sequence:
        item = Dataset()
        for name, value in fields.items():
            setattr(item, name, value)
        return Sequence([item])

    shared = one(
        MRTimingAndRelatedParametersSequence=one(RepetitionTime=9000.0),
        MREchoSequence=one(EffectiveEchoTime=121.0),
    )
    pixels = np.zeros((2, 20, 30), np.uint16)
    found = hints_of(
        dicom(pixels, NumberOfFrames=2, SharedFunctionalGroupsSequence=shared)
    )(None)
    assert (found.repetition, found.echo) == (9000, 121)


def test_each_series_of_a_zip_has_its_own_hints(
    dicom: Callable[..., bytes], zipped: Callable[..., bytes]
) -> None:
    pixels = np.arange(400, dtype=np.uint16).reshape(20, 20)

    def series(number: int, text: str, echo: float) -> bytes:
        return dicom(
            pixels,
            SeriesNumber=number,
            SeriesInstanceUID=f"1.2.{number}.{echo}",
            SeriesDescription=text,
            EchoTime=echo,
        )

    study = zipped(
        {
            "a": series(3, "AX FLAIR", 120),
            "b": series(5, "dual echo", 12),
            "c": series(5, "dual echo", 90),
            "notes.txt": b"no scan",
        }
    )
    of = hints_of(study)
    parts = [part.name for part in find_parts(study)]
    assert parts == ["series 3", "series 5, part 1", "series 5, part 2"]
    assert (of(parts[0]).texts, of(parts[0]).echo) == (("AX FLAIR",), 120)
    assert [of(p).texts for p in parts[1:]] == [("dual echo",)] * 2
    assert [of(p).echo for p in parts[1:]] == [None, None], (
        "two echoes, which is whose?"
    )


def test_what_has_no_header_has_no_hints(volume: np.ndarray) -> None:
    assert hints_of(volume)(None) == hints_of(Scan(volume))(None) == Hints()
    assert hints_of(b"no scan")(None) == Hints()
    assert read_scan(volume).part is None
