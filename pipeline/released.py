"""The released model: what answers where nobody has trained or published anything.

It is one version folder, `serving/released/mri_contrast/1`, as TF Serving takes it. It
is read through its signature alone: no network is built, no run is needed.
"""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from mri_contrast.verdict import Verdict, combine

RELEASED: Final = (
    Path(__file__).resolve().parents[1] / "serving" / "released" / "mri_contrast"
)
"""Its numbered folder lies in here; the newest counts."""

SIGNATURE: Final = "slices_v1"


@dataclasses.dataclass(frozen=True, slots=True)
class ReleasedModel:
    """An exported model, in this process.

    Attributes:
        path: Its version folder.
        classes: Names of the outputs that are classes, in the card's order.
        card: Its model card.
        call: The signature.
    """

    path: Path
    classes: tuple[str, ...]
    card: dict[str, Any]
    call: Callable[..., dict[str, tf.Tensor]]

    @property
    def version(self) -> int:
        """The number of its folder."""
        return int(self.path.name)

    def judge(self, slices: NDArray[np.uint8]) -> Verdict:
        """The verdict on one scan.

        Args:
            slices: (n, 150, 150) of the scan, n >= 1.
        """
        answer = self.call(slices=tf.constant(slices))
        return combine(
            {name: answer[name].numpy() for name in self.classes},
            rho=float(answer["aux_rho"][0]),
            accept=float(answer["aux_accept"][0]),
        )


def find_released(folder: Path = RELEASED) -> Path | None:
    """Returns the version folder of the released model; None where there is none."""
    if not folder.is_dir():
        return None
    versions = [
        child
        for child in folder.iterdir()
        if child.name.isdecimal() and (child / "saved_model.pb").is_file()
    ]
    return max(versions, key=lambda child: int(child.name), default=None)


def load_released(path: Path) -> ReleasedModel:
    """Loads an exported model with its card.

    Args:
        path: A version folder.

    Raises:
        ValueError: It is damaged, or of another kind.
    """
    try:
        card = json.loads((path / "assets.extra" / "model_card.json").read_text())
        loaded = tf.saved_model.load(str(path))
        # The signature lives as long as the model does, and no longer.
        call = loaded.signatures[SIGNATURE]
        call.model = loaded
        return ReleasedModel(path, tuple(card["classes"]), card, call)
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise ValueError(
            f"{path} holds no model that can be used ({error}); check it out again "
            "with git, or name a run of yours with RUN="
        ) from error
