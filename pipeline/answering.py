"""What answers: the network of a run, or an exported model, behind one face."""

import dataclasses
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mri_contrast.slices import SIZE
from mri_contrast.verdict import Verdict, combine
from pipeline import scoring
from pipeline.contrasts import CLASSES
from pipeline.released import RELEASED, newest_version
from pipeline.runs import Run, load_run, newest_run
from pipeline.saliency import heat_of, logits_of

_log = logging.getLogger(__name__)

SIGNATURE: Final = "slices_v1"
_HEADS: Final = frozenset({"plane", "gadolinium"})
_CARD: Final = "assets.extra/model_card.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Answerer:
    """Says what slices show.

    Attributes:
        name: What it is, to be read: the run's name, or the model's and its version.
        kind: `run` or `export`.
        folder: Where it lies.
        classes: Names of the columns of its answers.
        rho: Correlation of the slices of one scan, in [0, 1].
        accept: Below this probability of the winner the verdict is `unsure`.
        log_probabilities: (n, 150, 150) uint8 to (n, classes) float64, n >= 1.
        heat: (n, 150, 150) uint8 to (n, 150, 150) float32 in [0, 1]: what spoke for
            the winning class.
        heads: (n, 150, 150) uint8 to `plane` (n,), the likeliest index into
            `pipeline.labelled.PLANES`, and `gadolinium` (n,), the probability of
            contrast agent in a T1; None where the model does not tell.
        shards: What it was trained on; None where that is not known.
        card: Further facts to be shown: revision, digest of its data, libraries.
    """

    name: str
    kind: str
    folder: Path
    classes: tuple[str, ...]
    rho: float
    accept: float
    log_probabilities: Callable[[NDArray[np.uint8]], NDArray[np.float64]]
    heat: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    heads: Callable[[NDArray[np.uint8]], dict[str, NDArray[Any]]] | None
    shards: Path | None
    card: dict[str, Any]

    def verdict(self, logs: NDArray[np.float64]) -> Verdict:
        """The verdict on one scan, from the log-probabilities of its slices."""
        columns = {name: logs[:, index] for index, name in enumerate(self.classes)}
        return combine(columns, rho=self.rho, accept=self.accept)


def open_answerer(
    run: Path | None, model: Path | None, released: Path = RELEASED
) -> Answerer:
    """Opens what is to answer.

    Args:
        run: Folder of a finished run; where neither is named the newest one, and the
            released model where there is no run.
        model: Folder of an exported model, or of its versions.
        released: Folder of the released model.

    Raises:
        FileNotFoundError: It is not there.
        ValueError: Both are named, or it is damaged or no model of this project.
    """
    if run is not None and model is not None:
        raise ValueError(f"name a run or a model, not both: {run} and {model}")
    if model is not None:
        return of_export(model)
    if run is not None:
        return of_run(load_run(run))
    try:
        newest = newest_run()
    except FileNotFoundError:
        found = newest_version(released)
        if found is None:
            raise
        _log.info("no run of yours yet: the released model answers (%s)", found)
        return of_export(found)
    return of_run(load_run(newest))


def of_run(run: Run) -> Answerer:
    """Answers with the network of a run and its calibration."""
    forward = scoring.forward_pass(run.model)
    heat = tf.function(
        heat_of(run.model),
        input_signature=[tf.TensorSpec((None, SIZE, SIZE), tf.uint8)],
    )

    def log_probabilities(slices: NDArray[np.uint8]) -> NDArray[np.float64]:
        logits = logits_of(forward(slices)).numpy()
        return scoring.log_softmax(logits, run.calibration.temperature)

    answer = scoring.answer_pass(run.model)

    def heads(slices: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        said = answer(slices)
        return {
            "plane": said["said_planes"].numpy(),
            "gadolinium": said["said_gadolinium"].numpy(),
        }

    return Answerer(
        name=run.path.name,
        kind="run",
        folder=run.path,
        classes=run.classes,
        rho=run.calibration.rho,
        accept=run.calibration.accept,
        log_probabilities=log_probabilities,
        heat=lambda slices: np.asarray(heat(slices).numpy()),
        heads=heads if _tells_heads(run.model) else None,
        shards=run.shards,
        card={"data_manifest_sha256": run.manifest_sha256},
    )


def of_export(folder: Path) -> Answerer:
    """Answers with an exported model, by its own signatures.

    Args:
        folder: A SavedModel, or a folder of versions, of which the highest is taken.

    Raises:
        FileNotFoundError: No SavedModel is there.
        ValueError: It is damaged, or has no signature that takes slices.
    """
    found = _version_in(folder)
    loaded = _load(found)
    missing = {SIGNATURE, "explain"} - set(loaded.signatures)
    if missing:
        raise ValueError(
            f"{found} has no signature {' and no '.join(sorted(missing))}, only "
            f"{', '.join(sorted(loaded.signatures))}; export it again: make publish"
        )
    answer, explain = loaded.signatures[SIGNATURE], loaded.signatures["explain"]
    card = _card_of(found)
    classes = _classes_of(card, answer.structured_outputs)
    blank = answer(slices=tf.zeros((1, SIZE, SIZE), tf.uint8))

    def log_probabilities(slices: NDArray[np.uint8]) -> NDArray[np.float64]:
        named = answer(slices=tf.constant(slices))
        return np.stack([named[name].numpy() for name in classes], 1).astype(np.float64)

    def heads(slices: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
        named = answer(slices=tf.constant(slices))
        return {name: named[f"aux_{name}"].numpy() for name in _HEADS}

    told = {f"aux_{name}" for name in _HEADS} <= set(answer.structured_outputs)
    facts = ("run", "source_revision", "data_manifest_sha256", "libraries")
    return Answerer(
        name=f"{card.get('name', folder.name)} version {found.name}",
        kind="export",
        folder=found,
        classes=classes,
        rho=float(blank["aux_rho"][0]),
        accept=float(blank["aux_accept"][0]),
        log_probabilities=log_probabilities,
        heat=lambda slices: np.asarray(explain(slices=tf.constant(slices))["heat"]),
        heads=heads if told else None,
        shards=None,
        card={name: card[name] for name in facts if name in card},
    )


def _load(model: Path) -> Any:
    try:
        return tf.saved_model.load(str(model))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise ValueError(
            f"{model} holds no model that can be used ({error}); export it again, or "
            "check it out again with git if it is the released one"
        ) from error


def _tells_heads(model: keras.Model) -> bool:
    return isinstance(model.output, dict) and set(model.output) >= _HEADS


def _version_in(folder: Path) -> Path:
    if (folder / "saved_model.pb").is_file():
        return folder
    newest = newest_version(folder)
    if newest is None:
        raise FileNotFoundError(
            f"{folder} holds no saved_model.pb, nor a version that does; name the "
            "folder of an exported model, or of its versions"
        )
    return newest


def _classes_of(card: dict[str, Any], outputs: dict[str, Any]) -> tuple[str, ...]:
    """The card's classes, or those of the outputs, which come ordered by name."""
    if "classes" in card:
        return tuple(card["classes"])
    return tuple(name for name in CLASSES if name in outputs)


def _card_of(model: Path) -> dict[str, Any]:
    path = model / _CARD
    try:
        card: dict[str, Any] = json.loads(path.read_text()) if path.is_file() else {}
    except ValueError as error:
        raise ValueError(
            f"{path} is damaged ({error}); export the model again"
        ) from None
    return card
