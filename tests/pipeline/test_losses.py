import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from sklearn.metrics import log_loss

from pipeline.hyper import HyperParameters
from pipeline.losses import losses, truths_of
from pipeline.model import build

SMALL = (4, 4)


def outputs(count: int) -> dict[str, tf.Tensor]:
    draw = np.random.default_rng(0)
    return {
        name: tf.constant(draw.normal(0, 2, (count, values)), tf.float32)
        for name, values in (("logits", 4), ("plane", 3), ("gadolinium", 1))
    }


def truth(**values: list[int]) -> dict[str, tf.Tensor]:
    return {name: tf.constant(each, tf.int64) for name, each in values.items()}


def test_known_truths_cost_their_cross_entropy() -> None:
    said = outputs(3)
    known = truth(label=[0, 3, 2], plane=[2, 0, 1], gadolinium=[1, 0, 1])
    found = {name: float(tf.reduce_mean(x)) for name, x in losses(said, known).items()}
    classes, planes = (
        scipy.special.softmax(said[name].numpy().astype(np.float64), axis=1)
        for name in ("logits", "plane")
    )
    agent = tf.sigmoid(said["gadolinium"])[:, 0]
    assert found == {
        "label": pytest.approx(
            log_loss(known["label"], classes, labels=range(4)), rel=1e-4
        ),
        "plane": pytest.approx(log_loss(known["plane"], planes), rel=1e-4),
        "gadolinium": pytest.approx(log_loss(known["gadolinium"], agent), rel=1e-4),
    }


def test_what_is_unknown_costs_nothing_and_moves_nothing() -> None:
    said = outputs(3)
    known = truth(label=[0, 1, 2], plane=[-1, 1, -1], gadolinium=[0, -1, -1])
    with tf.GradientTape() as tape:
        tape.watch(said)
        found = losses(said, known)
        total = tf.add_n([tf.reduce_sum(each) for each in found.values()])
    assert (found["plane"].numpy() > 0).tolist() == [False, True, False]
    assert (found["gadolinium"].numpy() > 0).tolist() == [True, False, False]
    moved = {
        name: np.abs(gradient).max(axis=1) > 0
        for name, gradient in tape.gradient(total, said).items()
    }
    assert moved["logits"].tolist() == [True, True, True]
    assert moved["plane"].tolist() == [False, True, False]
    assert moved["gadolinium"].tolist() == [True, False, False]


def test_a_network_without_heads_needs_no_truth_but_the_class() -> None:
    with_heads, without = (
        build(HyperParameters(SMALL, heads=heads)) for heads in (True, False)
    )
    assert truths_of(with_heads) == ("label", "plane", "gadolinium")
    assert truths_of(without) == ("label",)
    assert set(losses({"logits": tf.zeros((2, 4))}, truth(label=[0, 1]))) == {"label"}
