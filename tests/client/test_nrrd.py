from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mri_contrast import _nrrd
from mri_contrast.errors import UnreadableScan
from mri_contrast.scans import find_parts, read_scan
from mri_contrast.slices import cut

Zip = Callable[[dict[str, bytes]], bytes]

SPACE = {"space": "left-posterior-superior"}
DIRECTIONS = {**SPACE, "space directions": "(0.8,0,0) (0,0.9,0) (0,0.6,-4)"}


def nrrd(voxels: np.ndarray, encoding: str = "raw", **fields: Any) -> bytes:
    """A file as the format's description has it; keywords add or replace fields."""
    order = "big" if voxels.dtype.str[0] == ">" else "little"
    names = {"i1": "int8", "u1": "uchar", "i2": "short", "u2": "unsigned short"}
    names |= {"i4": "int", "u4": "uint32", "i8": "long long", "f4": "float"}
    said: dict[str, Any] = {
        "type": names.get(voxels.dtype.str[1:], "double"),
        "dimension": voxels.ndim,
        "sizes": " ".join(map(str, voxels.shape)),
        "encoding": encoding,
        "endian": order,
    }
    said |= {name.replace("_", " "): value for name, value in fields.items()}
    lines = ["NRRD0005", "# made by a test", *(f"{k}: {v}" for k, v in said.items())]
    lines += ["PatientName:=Secret^Person"]
    return "\n".join(lines).encode() + b"\n\n" + data(voxels, encoding)


def data(voxels: np.ndarray, encoding: str = "raw") -> bytes:
    raw = voxels.tobytes(order="F")
    if encoding in ("gzip", "gz"):
        return gzip.compress(raw, mtime=0)
    if encoding in ("ascii", "txt", "text"):
        return " ".join(map(str, voxels.ravel(order="F"))).encode()
    return raw


@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
@pytest.mark.parametrize("dtype", ["i1", "u1", "<i2", ">u2", ">i4", "<u4", ">f4", "f8"])
def test_nrrd_keeps_values_dtype_and_spacing(
    volume: np.ndarray, dtype: str, encoding: str
) -> None:
    voxels = (volume[::4, ::4, ::4] // 8).astype(dtype)
    scan = read_scan(nrrd(voxels, encoding, **DIRECTIONS))
    assert scan.voxels.dtype == np.dtype(dtype).newbyteorder("=")
    assert scan.voxels.dtype.isnative
    np.testing.assert_array_equal(scan.voxels, voxels)
    assert scan.spacing == pytest.approx((0.8, 0.9, np.hypot(0.6, 4)))
    assert scan.notes == ()


def test_nrrd_can_be_cut(volume: np.ndarray) -> None:
    whole = cut(read_scan(nrrd(volume, spacings="1 1 1")))
    np.testing.assert_array_equal(whole, cut(read_scan(volume)))


def test_spacings_and_units_are_read(volume: np.ndarray) -> None:
    plain = read_scan(nrrd(volume, spacings="2 3 4"))
    assert (plain.spacing, plain.notes) == ((2, 3, 4), ())
    metres = read_scan(nrrd(volume, spacings="2 3 4", units='"cm" "m" "mm"'))
    assert metres.spacing == pytest.approx((20, 3000, 4))
    unknown = read_scan(nrrd(volume, spacings="2 NaN x"))
    assert unknown.spacing == (2, 1, 1)
    assert unknown.notes == ("voxel size unknown: 1 mm assumed",)
    centimetres = {**DIRECTIONS, "space units": '"cm" "cm" "cm"'}
    assert read_scan(nrrd(volume, **centimetres)).spacing[:2] == pytest.approx((8, 9))


def test_the_first_volume_is_taken_whichever_axis_counts_them(
    volume: np.ndarray,
) -> None:
    small = volume[::2, ::2, ::2]
    series = np.stack([small, small * 0, small], axis=-1)
    last = nrrd(series, "gzip", kinds="domain domain domain list")
    first = nrrd(
        np.moveaxis(series, -1, 0),
        **SPACE,
        kinds="list domain domain domain",
        **{"space directions": "none (1,0,0) (0,2,0) (0,0,3)"},
    )
    sized = nrrd(np.moveaxis(series, -1, 0), spacings="NaN 1 2 3")
    for made, spacing in ((last, (1, 1, 1)), (first, (1, 2, 3)), (sized, (1, 2, 3))):
        scan = read_scan(made)
        np.testing.assert_array_equal(scan.voxels, small)
        assert scan.spacing == spacing
        assert "4-D: first of 3 volumes used" in scan.notes


def test_one_image_is_a_scan(volume: np.ndarray) -> None:
    scan = read_scan(nrrd(volume[:, :, 20], spacings="1 1"))
    assert scan.voxels.shape == (40, 48, 1)
    assert scan.notes == ()


@pytest.mark.parametrize("encoding", ["raw", "gzip", "ascii"])
def test_a_detached_header_finds_its_data(
    volume: np.ndarray, tmp_path: Path, zipped: Zip, encoding: str
) -> None:
    small = volume[::4, ::4, ::4]
    before = b"two lines\nof a scanner\n"
    name = {"raw": "scan.raw", "gzip": "scan.raw.gz", "ascii": "scan.txt"}[encoding]
    header = nrrd(small, encoding, data_file=f"./{name}", line_skip=2)
    header = header[: header.index(b"\n\n") + 1]  # as some writers, no blank line
    files = {"a/scan.nhdr": header, f"a/{name}": before + data(small, encoding)}
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    for source in (tmp_path / "a/scan.nhdr", tmp_path, zipped(files)):
        scan = read_scan(source)
        np.testing.assert_array_equal(scan.voxels, small)
        assert scan.part is None
    if encoding != "ascii":  # the data file is as good a name for the scan
        assert read_scan(tmp_path / "a" / name).voxels.shape == small.shape


def test_bytes_before_the_data_are_skipped(volume: np.ndarray, tmp_path: Path) -> None:
    for skip in (7, -1):
        header = nrrd(volume, data_file="x.bin", byte_skip=skip)
        (tmp_path / "x.nhdr").write_bytes(header[: -volume.nbytes])
        (tmp_path / "x.bin").write_bytes(b"7 bytes" + data(volume))
        scan = read_scan(tmp_path / "x.nhdr")
        np.testing.assert_array_equal(scan.voxels, volume)


@pytest.mark.parametrize(
    "name", ["../x.raw", "/etc/hostname", "sub/x.raw", "absent.raw", "..", "a\0b"]
)
def test_a_data_file_elsewhere_is_not_opened(
    volume: np.ndarray, tmp_path: Path, zipped: Zip, name: str
) -> None:
    (tmp_path / "in" / "sub").mkdir(parents=True)
    for place in ("x.raw", "in/sub/x.raw"):
        (tmp_path / place).write_bytes(data(volume))
    header = nrrd(volume, data_file=name)[: -volume.nbytes]
    (tmp_path / "in" / "x.nhdr").write_bytes(header)
    sources = (tmp_path / "in" / "x.nhdr", header, zipped({"x.nhdr": header}))
    for source in sources:
        with pytest.raises(UnreadableScan, match="not beside it") as caught:
            read_scan(source)
        assert "x.raw" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"encoding": "bzip2"}, "'encoding'"),
        ({"type": "block"}, "'type'"),
        ({"endian": "middle"}, "'endian'"),
        ({"sizes": "40 48 many"}, "'sizes'"),
        ({"sizes": "40 48 -44"}, "make no volume"),
        ({"sizes": "40"}, "make no volume"),
        ({"sizes": "40 48 99999999999"}, "make no volume"),
        ({"sizes": "9" * 5000 + " 2"}, "'sizes'"),
        ({"sizes": "40000 40000 44"}, "40000x40000x44"),
        ({"sizes": "100000 16 1"}, "100000x16x1.*65536 along one axis"),
        ({"sizes": "40 48 45"}, "cut short"),
        ({"kinds": "RGB-color domain domain"}, "colours"),
        ({"kinds": "complex domain domain"}, "complex numbers"),
        ({"kinds": "list vector domain"}, "fewer than two"),
        ({"byte_skip": 2**40}, "skip 1099511627776 bytes"),
        ({"line_skip": -3}, "skip -3 lines"),
        ({"line_skip": 100_000}, "skip 100000 lines"),
        ({"line_skip": 2**80}, "skip 1208925819614629174706176 lines"),
        ({"data_file": "LIST"}, "several data files"),
        ({"data_file": "slice%03d.raw 1 44 1"}, "several data files"),
    ],
)
def test_a_header_that_makes_no_sense_says_what_is_wrong(
    volume: np.ndarray, fields: dict[str, Any], reason: str
) -> None:
    with pytest.raises(UnreadableScan, match=reason) as caught:
        read_scan(nrrd(volume, **fields))
    assert "Secret" not in str(caught.value)


def test_text_that_is_no_number_or_out_of_range_is_refused(volume: np.ndarray) -> None:
    small = volume[:4, :4, :4]
    good = nrrd(small, "ascii")
    with pytest.raises(UnreadableScan, match="not the 64 numbers"):
        read_scan(good[:-9])
    with pytest.raises(UnreadableScan, match="not the 64 numbers"):
        read_scan(good.replace(b"10 ", b"ten ", 1))
    for number in (b"99999 ", b"nan "):
        with pytest.raises(UnreadableScan, match="no int16"):
            read_scan(good.replace(b"10 ", number, 1))


def test_8_byte_integers_as_text_are_read(volume: np.ndarray) -> None:
    small = volume[:4, :4, :4].astype(np.int64)
    scan = read_scan(nrrd(small, "ascii"))
    np.testing.assert_array_equal(scan.voxels, small)


def test_a_large_volume_as_text_is_refused(
    volume: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_nrrd, "_MOST_AS_TEXT", 1000)
    with pytest.raises(UnreadableScan, match="at most 1000"):
        read_scan(nrrd(volume, "ascii"))


@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("share", [0.5, 0.99])
def test_a_truncated_nrrd_is_unreadable(
    volume: np.ndarray, encoding: str, share: float
) -> None:
    whole = nrrd(volume, encoding)
    with pytest.raises(UnreadableScan, match="cut short"):
        read_scan(whole[: int(len(whole) * share)])


def test_a_header_without_end_is_refused() -> None:
    with pytest.raises(UnreadableScan, match="does not end"):
        read_scan(b"NRRD0005\n" + b"# and on\n" * 2**17)


def test_several_files_in_a_folder_are_parts(
    volume: np.ndarray, tmp_path: Path
) -> None:
    for name in ("b.nrrd", "a.nrrd"):
        (tmp_path / name).write_bytes(nrrd(volume))
    assert [part.name for part in find_parts(tmp_path)] == ["a.nrrd", "b.nrrd"]
