from pathlib import Path

import numpy as np
import pytest
import scipy.special

from pipeline.dataset import evaluation_batches
from pipeline.hyper import HyperParameters
from pipeline.manifest import Manifest
from pipeline.model import build
from pipeline.scoring import normalise, score


@pytest.mark.parametrize("heads", [True, False])
def test_scores_tell_truth_and_what_the_heads_say_in_the_order_of_the_slices(
    lasting_shards: tuple[Path, Manifest], heads: bool
) -> None:
    model = build(HyperParameters((4, 4), dense=(), heads=heads))
    batches = evaluation_batches(lasting_shards[0], "train", batch_size=16)
    found = score(model, batches)
    (whole,) = evaluation_batches(lasting_shards[0], "train", batch_size=40)
    outputs = model(normalise(whole["image"]), training=False)
    np.testing.assert_allclose(found.logits, outputs["logits"], atol=1e-5)
    np.testing.assert_array_equal(found.labels, whole["label"])
    np.testing.assert_array_equal(found.planes, whole["plane"])
    np.testing.assert_array_equal(found.gadolinium, whole["gadolinium"])
    np.testing.assert_array_equal(found.scans.astype(bytes), whole["scan"])
    if not heads:
        assert (found.said_planes, found.said_gadolinium) == (None, None)
        return
    np.testing.assert_array_equal(
        found.said_planes, outputs["plane"].numpy().argmax(axis=1)
    )
    np.testing.assert_allclose(
        found.said_gadolinium,
        scipy.special.expit(outputs["gadolinium"].numpy()[:, 0]),
        atol=1e-5,
    )
