"""The model card as a page."""

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from pipeline.released import newest_version
from serving.card_page import render
from serving.inspecting import CARD

BARE: dict[str, Any] = {
    "name": "mri_contrast",
    "intended_use": "Routing of uploads.",
    "warning": "Not a medical device.",
    "licence": "Apache-2.0",
    "classes": ["T1", "T2", "FLAIR", "other"],
    "slices": {"signature": "slices_v1", "slicer_version": 1},
    "calibration": {"temperature": 1.5, "rho": 0.25, "accept": 0.6},
    "metrics": None,
    "data_manifest_sha256": None,
    "hyper_parameters": {"filters": [8, 16]},
    "parameters": 12,
    "run": "<script>alert(1)</script>",
    "training": {"command": None, "hours": None, "machines": None, "data": None},
    "source_revision": None,
    "libraries": {"python": "3.11"},
    "gate": {},
}

COMPARED = {
    "decision": "overridden",
    "why": "the old one leaked",
    "reasons": ["less accurate than stable beyond noise: of 9 slices …"],
    "stable": 3,
    "largest_difference_to_keras": 2e-6,
    "test_split": {
        "count": 900,
        "subjects": 30,
        "wrong": 0.04,
        "calibration_error": 0.02,
        "stable": {"wrong": 0.03, "calibration_error": 0.01},
        "wrong_interval": [0.001, 0.02],
        "calibration_interval": [-0.01, 0.03],
    },
    "real": "not measured",
    "budget": {"bytes": 1.9e6, "max_bytes": 1e8, "ratio": 1.02, "max_ratio": 2.0},
}


class Tags(HTMLParser):
    """Whether every tag is closed, and what is loaded from elsewhere."""

    VOID = frozenset({"meta", "br", "img", "input", "hr", "link"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        assert not {"src", "href"} & {name for name, value in attrs if value[:1] != "#"}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"metrics": {"volumes": {"accuracy": 0.5}}},
        {"gate": COMPARED, "version": 2},
        {"gate": {**COMPARED, "test_split": {**COMPARED["test_split"], "stable": "-"}}},
        {"training": None, "source_revision": "a" * 40 + "+changes"},
    ],
)
def test_a_card_that_knows_little_is_a_page_all_the_same(changes):
    page = render({**BARE, **changes})
    assert Tags(page).open == []
    assert "Not a medical device." in page
    assert "<script" not in page


def test_what_the_gate_found_is_told():
    page = render({**BARE, "gate": COMPARED})
    told = " ".join(re.sub(r"<[^>]*>", " ", page).split())
    assert "Overridden , compared with version 3" in told
    assert "the old one leaked" in told
    assert "900 30 4.00 % 3.00 % 0.10–2.00 %" in told
    assert "real scans not measured" in told


@pytest.mark.skipif(newest_version() is None, reason="no model is released")
def test_the_page_of_a_measured_model_has_figures_and_pictures():
    version = newest_version()
    assert version is not None
    card = json.loads((version / CARD).read_text())
    page = render(card)
    assert Tags(page).open == []
    assert page == render(card), "the same from the same"
    assert page.count("<svg") >= 4
    for heading in ("Limits", "Real scans", "How to reproduce it", "trained on"):
        assert heading in page
    assert card["data_manifest_sha256"] in page
    assert len(page) < 200_000
