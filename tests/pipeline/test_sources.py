import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from pipeline.labelled import UNKNOWN, FileScan, LabelledScan
from pipeline.names import subject_of
from pipeline.sources import find_scans


def rows(scans: list[LabelledScan]) -> set[tuple[str, str, str, str | None]]:
    return {(scan.name, scan.contrast, scan.subject, scan.split) for scan in scans}


def touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")


def test_class_folders_hold_files_folders_of_a_subject_and_dicom_folders(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(
        tmp_path / "T1w" / "IXI002-Guys-0828-T1.nii.gz",
        tmp_path / "T1w" / "IXI002-Guys-0828-T1.json",
        tmp_path / "T1w" / ".DS_Store",
        tmp_path / "T2" / "anna" / "slice_1.png",
        tmp_path / "T2" / "anna" / "slice_2.png",
        tmp_path / "flair" / "bert" / "IM0001",
        tmp_path / "flair" / "bert" / "IM0002",
        tmp_path / "other" / "1.2.840.113",
    )
    with caplog.at_level(logging.INFO):
        scans = find_scans(tmp_path)
    assert rows(scans) == {
        ("T1w/IXI002-Guys-0828-T1.nii.gz", "T1", "IXI002-Guys-0828", None),
        ("T2/anna/slice_1.png", "T2", "anna", None),
        ("T2/anna/slice_2.png", "T2", "anna", None),
        ("flair/bert", "FLAIR", "bert", None),
        ("other/1.2.840.113", "other", "1.2.840.113", None),
    }
    assert {scan.source for scan in scans} == {tmp_path.name}
    assert "class folders, 5 scans: 1 T1, 2 T2, 1 FLAIR, 1 other" in caplog.text


def test_the_order_of_scans_is_fixed(class_folders: Path) -> None:
    names = [scan.name for scan in find_scans(class_folders)]
    assert names == sorted(names)
    assert len(set(names)) == 48


@pytest.mark.parametrize(
    "folders", [("train", "val", "test"), ("entrenamiento", "validacion", "test")]
)
def test_split_folders_fix_the_split(
    tmp_path: Path, folders: tuple[str, str, str]
) -> None:
    for number, folder in enumerate(folders):
        for name in ("T1", "T2", "flair", "other"):
            touch(tmp_path / folder / name / f"{name}_49{number}_3.png")
    scans = find_scans(tmp_path)
    assert {(scan.split, scan.subject) for scan in scans} == {
        ("train", "490"),
        ("validation", "491"),
        ("test", "492"),
    }
    assert len(scans) == 12
    assert f"{folders[0]}/flair/flair_490_3.png" in {scan.name for scan in scans}


def test_csv_gives_labels_and_what_else_it_names(tmp_path: Path) -> None:
    table = tmp_path / "scans.csv"
    table.write_text(
        "path,label,subject,split,source\n"
        "a/x.nii,T1c,p1,train,clinic\n"
        "a/y.nii,T2,,val,\n"
        "a/z.nii,flair,p3,test,clinic\n"
        "a/w.nii,DWI,p4,train,clinic\n"
    )
    scans = find_scans(table)
    assert rows(scans) == {
        ("a/x.nii", "T1", "p1", "train"),
        ("a/y.nii", "T2", "y", "validation"),
        ("a/z.nii", "FLAIR", "p3", "test"),
        ("a/w.nii", "other", "p4", "train"),
    }
    assert [scan.source for scan in scans] == ["clinic", "clinic", "scans", "clinic"]
    assert {scan.name: scan.gadolinium for scan in scans} == {
        **dict.fromkeys(("a/y.nii", "a/z.nii", "a/w.nii"), UNKNOWN),
        "a/x.nii": 1,
    }


def test_csv_with_path_and_label_alone_is_enough(tmp_path: Path) -> None:
    table = tmp_path / "scans.csv"
    table.write_text("path,label\ns1_T1.png,T1\ns1_T2.png,T2\ns1_FLAIR.png,FLAIR\n")
    assert {scan.subject for scan in find_scans(table)} == {"s1"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,kind\nx.png,T1\n", "no column label; its first line must be"),
        ("path,label\nx.png,T1\ny.png,T7\n", "line 3: 'T7' names no contrast"),
        ("path,label\nx.png,T1\nx.png,T2\n", "line 3: path 'x.png' is .* there twice"),
        ("path,label,split\nx.png,T1,dev\n", "line 2: split 'dev'; write one of train"),
    ],
)
def test_a_wrong_csv_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    table = tmp_path / "scans.csv"
    table.write_text(text)
    with pytest.raises(ValueError, match=message):
        find_scans(table)


def test_bids_suffixes_become_classes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    anat = tmp_path / "sub-01" / "anat"
    session = tmp_path / "sub-02" / "ses-x" / "anat"
    touch(
        tmp_path / "dataset_description.json",
        tmp_path / "derivatives" / "sub-01" / "sub-01_T1w.nii.gz",
        anat / "sub-01_T1w.nii.gz",
        anat / "sub-01_T1w.json",
        anat / "sub-01_ce-gadolinium_run-2_T1w.nii",
        anat / "sub-01_acq-highres_T2w.nii.gz",
        anat / "sub-01_inplaneT2.nii.gz",
        anat / "sub-01_T2starw.nii.gz",
        anat / "sub-01_part-phase_T1w.nii.gz",
        anat / "sub-01_UNIT1.nii.gz",
        session / "sub-02_ses-x_FLAIR.nii.gz",
        session / "sub-02_ses-x_PDw.nii.gz",
        tmp_path / "sub-02" / "ses-x" / "dwi" / "sub-02_ses-x_dwi.nii.gz",
        tmp_path / "sub-02" / "ses-x" / "func" / "sub-02_ses-x_task-rest_bold.nii.gz",
    )
    with caplog.at_level(logging.INFO):
        scans = find_scans(tmp_path)
    assert {(Path(scan.name).name, scan.contrast, scan.subject) for scan in scans} == {
        ("sub-01_T1w.nii.gz", "T1", "sub-01"),
        ("sub-01_ce-gadolinium_run-2_T1w.nii", "T1", "sub-01"),
        ("sub-01_acq-highres_T2w.nii.gz", "T2", "sub-01"),
        ("sub-01_inplaneT2.nii.gz", "T2", "sub-01"),
        ("sub-01_T2starw.nii.gz", "other", "sub-01"),
        ("sub-01_part-phase_T1w.nii.gz", "other", "sub-01"),
        ("sub-02_ses-x_FLAIR.nii.gz", "FLAIR", "sub-02"),
        ("sub-02_ses-x_PDw.nii.gz", "other", "sub-02"),
        ("sub-02_ses-x_dwi.nii.gz", "other", "sub-02"),
        ("sub-02_ses-x_task-rest_bold.nii.gz", "other", "sub-02"),
    }
    assert [scan.name for scan in scans if scan.gadolinium != UNKNOWN] == [
        "sub-01/anat/sub-01_ce-gadolinium_run-2_T1w.nii"
    ]
    assert "left out, since they show two contrasts or none: 1 UNIT1" in caplog.text


@pytest.mark.parametrize(
    ("name", "subject"),
    [
        ("T1_497_3.png", "497"),
        ("flair_497_12.png", "497"),
        ("sub-A1_ses-2_acq-x_T1w.nii.gz", "sub-A1"),
        ("BraTS20_Training_001_t1ce.nii.gz", "BraTS20_Training_001"),
        ("scan.of.brain.nii.gz", "scan.of.brain"),
        ("1.2.840.113619.2", "1.2.840.113619.2"),
        ("IM0001", "IM0001"),
        ("week_3_1.png", "week_3_1"),
        ("patient1_slice05.png", "patient1"),
        ("patient1-z-12.png", "patient1"),
        ("T1_patient1_slice_05.png", "patient1"),
        ("T1_497-3_2.png", "497-3"),
        ("T1_person-03.png", "T1_person-03"),
        ("a_b-c_T2_sl-4.png", "a_b-c"),
        ("patient1_T1_slice_05.png", "patient1"),
        ("sub12_T1_004.png", "sub12"),
        ("IXI002_T1_12.png", "IXI002"),
        ("IXI002_flair_s12.png", "IXI002"),
    ],
)
def test_subject_comes_from_the_name_where_it_says_one(name: str, subject: str) -> None:
    assert subject_of(name) == subject


def test_a_scan_reads_its_file_and_can_be_sent_to_a_worker(
    tmp_path: Path, class_folders: Path, write_nifti
) -> None:
    write_nifti(class_folders / "T1" / "volume.nii.gz", 3)
    scans = {scan.name: scan for scan in find_scans(class_folders)}
    volume = pickle.loads(pickle.dumps(scans["T1/volume.nii.gz"]))
    assert isinstance(volume, FileScan)
    assert isinstance(volume, LabelledScan)
    assert volume.read().voxels.shape == (24, 28, 20)
    image = scans["T2/T2_5_1.png"].read()
    assert sorted(image.voxels.shape) == [1, 36, 40]
    assert np.ptp(image.voxels) > 100


def test_a_missing_root_says_so(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist; name a folder"):
        find_scans(tmp_path / "nowhere")


def test_an_empty_folder_says_what_to_put_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no scans; put PNG, JPEG, TIFF, NIfTI"):
        find_scans(tmp_path)


def test_a_missing_class_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "T1" / "a.png", tmp_path / "T2" / "a.png")
    with pytest.raises(ValueError, match="holds no FLAIR scan, only 1 T1, 1 T2"):
        find_scans(tmp_path)
    assert len(find_scans(tmp_path, required=("T1", "T2"))) == 2


def test_a_missing_other_class_is_only_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("T1", "T2", "flair"):
        touch(tmp_path / name / "a.png")
    assert len(find_scans(tmp_path)) == 3
    assert "no scan of the class 'other'" in caplog.text


def test_an_unknown_class_folder_is_named(tmp_path: Path) -> None:
    touch(tmp_path / "T1" / "a.png", tmp_path / "perfusion" / "a.png")
    with pytest.raises(ValueError, match=r"unknown class folder .*perfusion"):
        find_scans(tmp_path)


def test_folders_beside_split_folders_are_refused(tmp_path: Path) -> None:
    touch(tmp_path / "train" / "T1" / "a.png", tmp_path / "T2" / "a.png")
    with pytest.raises(ValueError, match=r"mixes split folders \(train\) with T2"):
        find_scans(tmp_path)


def test_a_pair_of_header_and_voxels_is_one_scan(tmp_path: Path) -> None:
    files = ("a.hdr", "a.img", "b.img", "c.hdr.gz", "c.img.gz", "D.HDR", "D.IMG")
    touch(*(tmp_path / "T1" / name for name in files))
    names = [scan.name for scan in find_scans(tmp_path, required=("T1",))]
    assert names == ["T1/D.HDR", "T1/a.hdr", "T1/b.img", "T1/c.hdr.gz"]


def test_many_scans_of_as_many_subjects_are_questioned(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    touch(*(tmp_path / "T1" / f"scan{n}.png" for n in range(21)))
    find_scans(tmp_path, required=("T1",))
    assert "no two of the 21 scans share a subject" in caplog.text


def test_a_stamp_tells_of_a_change_in_a_file_or_in_the_folder_of_a_series(
    tmp_path: Path,
) -> None:
    touch(tmp_path / "T1" / "a.png", tmp_path / "T1" / "series" / "IM1")
    scans = find_scans(tmp_path, required=("T1",))
    before = [scan.stamp() for scan in scans]
    assert before == [scan.stamp() for scan in scans]
    (tmp_path / "T1" / "a.png").write_bytes(b"12")
    touch(tmp_path / "T1" / "series" / "IM2")
    (tmp_path / "T1" / "series" / "IM2").write_bytes(b"345")
    after = [scan.stamp() for scan in scans]
    assert [size for size, _ in after] == [2, 3]
    assert all(old != new for old, new in zip(before, after, strict=True))
    (tmp_path / "T1" / "a.png").unlink()
    assert scans[0].stamp() == (0, 0)


def test_scans_of_a_subject_share_its_name_and_their_root(tmp_path: Path) -> None:
    touch(*(tmp_path / "T1" / f"T1_49712_{number}.png" for number in range(3)))
    scans = find_scans(tmp_path, required=("T1",))
    assert len({id(scan.subject) for scan in scans}) == 1
    assert len({id(scan.root) for scan in scans}) == 1
    assert [scan.path for scan in scans] == [tmp_path / scan.name for scan in scans]
