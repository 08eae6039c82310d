"""Figures of the heads, on answers whose truth is set."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.answering import of_run
from pipeline.evaluate import heads
from pipeline.hyper import HyperParameters
from pipeline.model import build
from pipeline.runs import Calibration, Run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(
        path=tmp_path,
        model=build(HyperParameters(filters=(4, 8))),
        classes=("T1", "T2", "FLAIR", "other"),
        calibration=Calibration(temperature=1.0, rho=0.5, accept=0.5),
        manifest_sha256=None,
        hyper={},
        metrics={},
        shards=tmp_path,
    )


def batches() -> Iterator[dict[str, tf.Tensor]]:
    """Two T1 with agent, two without, and one of which nothing is known."""
    scans = ["with-1", "with-1", "with-2", "without-1", "without-2", "unknown"]
    yield {
        "image": tf.zeros((6, 150, 150), tf.uint8),
        "scan": tf.constant(scans),
        "subject": tf.constant([name.replace("with", "of") for name in scans]),
        "plane": tf.constant([0, 1, 2, 2, -1, -1], tf.int64),
        "gadolinium": tf.constant([1, 1, 1, 0, 0, -1], tf.int64),
    }


def test_planes_are_counted_where_known_and_agent_by_scan(run: Run) -> None:
    said = {
        "plane": np.array([0, 1, 0, 2, 2, 2]),
        "gadolinium": np.array([0.9, 0.1, 0.8, 0.6, 0.2, 0.9], np.float32),
    }
    answerer = dataclasses.replace(of_run(run), heads=lambda slices: said)
    found = heads.measure(answerer, batches())
    assert found is not None
    assert found["plane"] == {"count": 4, "accuracy": 0.75}
    # Means by scan: 0.5 and 0.8 with, 0.6 and 0.2 without: 3 of 4 pairs in order.
    low, high = found["gadolinium"].pop("interval")
    assert 0 <= low < 0.75 < high == 1
    assert found["gadolinium"] == {"count": 4, "auroc": 0.75}


def test_a_network_tells_both_and_one_without_heads_neither(run: Run) -> None:
    found = heads.measure(of_run(run), batches())
    assert found is not None
    assert found["plane"]["count"] == 4
    assert 0 <= found["gadolinium"]["auroc"] <= 1
    plain = build(HyperParameters(filters=(4, 8), heads=False))
    silent = of_run(dataclasses.replace(run, model=plain))
    assert heads.measure(silent, batches()) is None


def test_where_no_scan_tells_of_the_agent_there_is_no_area(run: Run) -> None:
    (batch,) = batches()
    batch["gadolinium"] = tf.fill([6], tf.constant(-1, tf.int64))
    found = heads.measure(of_run(run), [batch])
    assert found is not None
    assert found["gadolinium"] == {"count": 0, "auroc": None, "interval": None}
