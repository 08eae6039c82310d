"""What the exported graph computes: one function for each signature of the contract."""

import dataclasses
from collections.abc import Callable
from typing import Any, Final

import keras
import tensorflow as tf

from mri_contrast.slices import SIZE
from pipeline.runs import Run
from pipeline.saliency import heat_of
from pipeline.scoring import normalise, said
from serving.images import read_images

SLICES: Final = "slices_v1"
"""Name of the signature that the client asks for; the format is its version."""

Outputs = dict[str, tf.Tensor]


@dataclasses.dataclass(frozen=True, slots=True)
class Signature:
    """A function of the graph and what it takes.

    Attributes:
        function: Takes one tensor, returns named tensors.
        takes: Name, dtype and shape of that tensor.
    """

    function: Callable[[tf.Tensor], Outputs]
    takes: tf.TensorSpec


def signatures(run: Run) -> dict[str, Signature]:
    """Returns the signatures of a run's network by their names.

    Each passes its input through `tf.ensure_shape`: without it a tensor of the wrong
    rank ends the whole serving process in a failed check of the convolution.
    """
    slices = tf.TensorSpec((None, SIZE, SIZE), tf.uint8, name="slices")
    images = tf.TensorSpec((None,), tf.string, name="images")
    examples = tf.TensorSpec((None,), tf.string, name="inputs")
    answer = Signature(_slices(run), slices)
    return {
        "serving_default": answer,
        SLICES: answer,
        "encoded": Signature(_encoded(run), images),
        "classify": Signature(_classify(run), examples),
        "explain": Signature(_explain(run.model), slices),
    }


def named_outputs(run: Run, outputs: Outputs) -> Outputs:
    """What the network says of each slice, named as the contract has it.

    Args:
        run: Gives class names and temperature.
        outputs: Of the network.

    Returns:
        (n,) float32 each: the calibrated log-probability of every class and, where the
        network has heads, `aux_gadolinium`, the probability of contrast agent given
        that it is a T1, and `aux_plane`, index of the likeliest plane.
    """
    logs = _log_probabilities(run, outputs)
    named = {name: logs[:, column] for column, name in enumerate(run.classes)}
    heads = said(outputs)
    if "said_gadolinium" in heads:
        named["aux_gadolinium"] = heads["said_gadolinium"]
    if "said_planes" in heads:
        named["aux_plane"] = tf.cast(heads["said_planes"], tf.float32)
    return named


def _log_probabilities(run: Run, outputs: Outputs) -> tf.Tensor:
    """(n, classes) float32 calibrated log-probabilities of the network's outputs."""
    logits = tf.cast(outputs["logits"], tf.float32)
    return tf.nn.log_softmax(logits / run.calibration.temperature)


def _answer(run: Run, slices: tf.Tensor) -> Outputs:
    """What is said of (n, 150, 150) uint8 slices, with the constants of a verdict."""
    named = named_outputs(run, run.model(normalise(slices), training=False))
    count = tf.shape(slices)[:1]
    return named | {
        "aux_rho": tf.fill(count, tf.constant(run.calibration.rho, tf.float32)),
        "aux_accept": tf.fill(count, tf.constant(run.calibration.accept, tf.float32)),
    }


def _slices(run: Run) -> Callable[[tf.Tensor], Outputs]:
    def slices_v1(slices: tf.Tensor) -> Outputs:
        return _answer(run, tf.ensure_shape(slices, (None, SIZE, SIZE)))

    return slices_v1


def _encoded(run: Run) -> Callable[[tf.Tensor], Outputs]:
    def encoded(images: tf.Tensor) -> Outputs:
        slices, errors = read_images(tf.ensure_shape(images, (None,)))
        return _answer(run, slices) | {"error": errors}

    return encoded


def _classify(run: Run) -> Callable[[tf.Tensor], Outputs]:
    features = {"image/encoded": tf.io.FixedLenFeature((), tf.string)}

    def classify(inputs: tf.Tensor) -> Outputs:
        examples = tf.ensure_shape(inputs, (None,))
        images = tf.io.parse_example(examples, features)["image/encoded"]
        slices, errors = read_images(images)
        bad = tf.boolean_mask(errors, tf.not_equal(errors, ""))
        check = tf.debugging.Assert(tf.equal(tf.size(bad), 0), [bad])
        with tf.control_dependencies([check]):
            outputs = run.model(normalise(slices), training=False)
            scores = tf.exp(_log_probabilities(run, outputs))
        names = tf.constant(run.classes)[tf.newaxis]
        return {"classes": tf.tile(names, [tf.shape(scores)[0], 1]), "scores": scores}

    return classify


def _explain(model: keras.Model) -> Callable[[tf.Tensor], Outputs]:
    heat = heat_of(model)

    def explain(slices: tf.Tensor) -> Outputs:
        return {"heat": heat(tf.ensure_shape(slices, (None, SIZE, SIZE)))}

    return explain


def archive(run: Run) -> keras.export.ExportArchive:
    """Collects a run's signatures into an archive that can be written out.

    The network is not tracked: the endpoints bring its variables along, and tracking
    would store each of them a second time.
    """
    collected: Any = keras.export.ExportArchive()
    places = {id(each.value): place for place, each in enumerate(run.model.variables)}
    for name, signature in signatures(run).items():
        endpoint = collected.add_endpoint(name, signature.function, [signature.takes])
        graph = endpoint.get_concrete_function().graph
        # They come in the order of their addresses, which is that of the file, too.
        graph.variables = sorted(graph.variables, key=lambda each: places[id(each)])
    return collected
