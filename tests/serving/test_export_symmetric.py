"""A symmetric network, exported: it must say the same however a slice lies."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pipeline.contrasts import CLASSES
from pipeline.runs import Run
from serving import export, gate


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory, symmetric_run: Run) -> Path:
    models = tmp_path_factory.mktemp("symmetric")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("MRI_REAL_DATA", raising=False)
        rules = gate.Rules(allow_unmeasured=True)
        export.publish(symmetric_run.path, models, rules=rules)
    return models / "mri_contrast" / "1"


def test_the_gate_finds_it_equal_to_keras(exported: Path, symmetric_run: Run) -> None:
    evidence = gate.check(exported, symmetric_run)
    assert evidence["largest_difference_to_keras"] < 1e-5


def test_turned_slices_get_the_same_answer_and_turned_heat(exported: Path) -> None:
    loaded = tf.saved_model.load(str(exported))
    slices = np.random.default_rng(1).integers(0, 256, (2, 150, 150), np.uint8)
    turned = np.ascontiguousarray(np.rot90(slices, 1, (1, 2))[:, :, ::-1])
    told, again = (
        loaded.signatures["slices_v1"](slices=tf.constant(given))
        for given in (slices, turned)
    )
    for name in CLASSES:
        np.testing.assert_allclose(told[name], again[name], atol=1e-4)
    upright, moved = (
        loaded.signatures["explain"](slices=tf.constant(given))["heat"].numpy()
        for given in (slices, turned)
    )
    np.testing.assert_allclose(
        np.rot90(upright, 1, (1, 2))[:, :, ::-1], moved, atol=1e-3
    )
    assert upright.max() == pytest.approx(1)
