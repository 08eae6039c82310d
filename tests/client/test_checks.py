from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mri_contrast import Answer, Client, UnreadableScan
from mri_contrast.checks import Check, judge, upload
from tests.client.small_server import SmallServer, always, ball


@pytest.fixture(scope="module")
def small() -> Iterator[SmallServer]:
    with SmallServer() as server:
        yield server


@pytest.fixture
def client(small: SmallServer) -> Iterator[Client]:
    with Client(small.target) as made:
        yield made


def answer(contrast: str, probability: float = 0.97, **given: Any) -> Answer:
    shares = {"FLAIR": 0.01, "T1": 0.01, "T2": 0.01, "other": 0.01}
    return Answer(contrast, probability, shares, 24, 7, **given)


@pytest.mark.parametrize(
    ("pixels", "expected", "verdict", "said"),
    [
        ("T1", "T1", "ok", "ok, probability 0.9"),
        ("FLAIR", "T1", "wrong slot", "wrong slot (looks like FLAIR), probability"),
        ("other", "T1", "not usable", "not usable (other), probability 0."),
        ("other", "other", "ok", "ok, "),
    ],
)
def test_a_slot_gets_a_verdict_with_its_probability(
    client: Client, pixels: str, expected: str, verdict: str, said: str
) -> None:
    check = client.check(ball(pixels), expected=expected)
    assert (check.verdict, check.ok) == (verdict, verdict == "ok")
    assert check.looks_like == pixels
    assert check.probability > 0.9
    assert str(check).startswith(said)
    assert check.answer is not None
    assert check.answer.slices == 24


def test_no_other_class_is_named_where_none_is_accepted(small: SmallServer) -> None:
    with Client(small.target, accept=0.999) as strict:
        check = strict.check(ball("FLAIR"), expected="T1")
    assert (check.verdict, check.looks_like, check.ok) == ("unsure", None, False)
    assert "FLAIR" not in str(check)
    assert check.probability > 0.9


@pytest.mark.parametrize("name", ["t1", "T1w", "T1"])
def test_a_slot_may_be_named_as_bids_does(client: Client, name: str) -> None:
    check = client.check(ball("T1"), expected=name)
    assert (check.verdict, check.expected) == ("ok", "T1")


def test_a_slot_that_no_class_fits_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match=r"'PD'; the model knows FLAIR, T1, T2, other"):
        client.check(ball("T1"), expected="PD")


def test_swapped_slots_are_found_in_one_call(
    client: Client, small: SmallServer
) -> None:
    before = len(small.requests)
    found = client.check_upload({"T1": ball("FLAIR"), "FLAIR": ball("T1")})
    assert len(small.requests) == before + 1
    assert found.swapped == {"T1": "FLAIR", "FLAIR": "T1"}
    assert [str(c).partition(",")[0] for c in found.slots.values()] == [
        "wrong slot (looks like FLAIR)",
        "wrong slot (looks like T1)",
    ]
    assert not found.ok


def test_a_call_takes_at_most_64_slices_and_no_scan_is_divided(
    client: Client, small: SmallServer
) -> None:
    before = len(small.requests)
    slots = {name: ball(name) for name in ("T1", "T2", "FLAIR", "other")}
    found = client.check_upload(slots)
    assert found.ok
    assert found.swapped == {}
    sizes = [
        request.inputs["slices"].tensor_shape.dim[0].size
        for request in small.requests[before:]
    ]
    assert sizes == [48, 48]


def test_one_scan_that_cannot_be_read_does_not_stop_the_upload(client: Client) -> None:
    found = client.check_upload({"T1": b"no scan at all", "FLAIR": ball("FLAIR")})
    assert found.slots["FLAIR"].ok
    refused = found.slots["T1"]
    assert (refused.verdict, refused.looks_like, refused.answer) == (
        "not usable",
        None,
        None,
    )
    assert isinstance(refused.error, UnreadableScan)
    assert str(refused).startswith("not usable (it is not PNG")
    assert not found.ok


def test_an_upload_of_nothing_is_refused(client: Client) -> None:
    with pytest.raises(ValueError, match="no slot is given"):
        client.check_upload({})


def checks(**looks: str) -> dict[str, Check]:
    return {slot: judge(answer(found), slot) for slot, found in looks.items()}


def test_three_slots_in_a_ring_are_all_moved() -> None:
    found = upload(checks(T1="T2", T2="FLAIR", FLAIR="T1"))
    assert found.swapped == {"T1": "T2", "T2": "FLAIR", "FLAIR": "T1"}


@pytest.mark.parametrize(
    "looks",
    [
        {"T1": "FLAIR", "FLAIR": "FLAIR"},  # the other one is where it belongs
        {"T1": "FLAIR", "T2": "FLAIR", "FLAIR": "T1"},  # two claim one slot
        {"T1": "T2", "FLAIR": "T1"},  # nothing would be left for FLAIR
        {"T1": "T1", "FLAIR": "other"},
    ],
)
def test_what_exchanging_would_not_set_right_is_not_called_swapped(
    looks: dict[str, str],
) -> None:
    assert upload(checks(**looks)).swapped == {}


def test_a_bids_name_and_a_sidecar_that_disagree_are_a_conflict(
    client: Client, nifti: Callable[..., Path]
) -> None:
    path = nifti(ball("T1"), "sub-1_T2w.nii.gz")
    (path.parent / "sub-1_T2w.json").write_text(
        '{"EchoTime": 0.0029, "RepetitionTime": 2.3, "SeriesDescription": "t2_tse_tra"}'
    )
    check = client.check(path, expected="T1")
    assert check.verdict == "ok"
    assert check.conflict == ("its BIDS name says T2", "its series text says T2")
    assert "; conflict: its BIDS name says T2" in str(check)
    agreed = client.check(nifti(ball("T2"), "sub-1_T2w.nii.gz"), expected="T2")
    assert agreed.conflict == ("its echo time is too short for T2",)


def test_a_dicom_header_that_disagrees_is_a_conflict_that_quotes_nothing(
    dicom: Callable[..., bytes],
) -> None:
    said = {
        "SeriesDescription": "AX FLAIR Secret",
        "EchoTime": 90,
        "InversionTime": 2500,
    }
    scan = io.BytesIO(dicom(ball("T1")[20].astype(np.uint16), **said))
    with SmallServer(says=always("T1")) as server, Client(server.target) as client:
        check = client.check(scan, expected="T1")
    assert check.ok
    assert check.conflict == (
        "its series text says FLAIR",
        "its echo time is too long for T1",
    )
    assert "Secret" not in f"{check} {check!r}"
