"""What the simulated scans are made of, each of which can be left out to see its worth.

    scans = phantom_scans(PhantomConfig(40, without=("fat", "folding")))

Everything is drawn as always and then set back to a plain value, so that two
collections differ in nothing but the ingredient.
"""

import dataclasses
from collections.abc import Callable
from typing import Any, Final, TypeVar

import numpy as np

from pipeline.phantom import physics
from pipeline.phantom.acquisition import Acquisition
from pipeline.phantom.anatomy import Subject
from pipeline.phantom.protocols import Protocol

_Drawn = TypeVar("_Drawn", Subject, Protocol, Acquisition)


def _plain_sulci(subject: Subject) -> Subject:
    return _with_tissues(subject, folding=0.3)


def _one_age(subject: Subject) -> Subject:
    return _with_tissues(subject, atrophy=0.0, fluid_mm=1.0)


def _healthy(subject: Subject) -> Subject:
    return dataclasses.replace(subject, lesion_load=0.0, tumour=None)


def _unbent(subject: Subject) -> Subject:
    return dataclasses.replace(
        subject,
        linear=np.eye(3),
        smooth=np.zeros_like(subject.smooth),
        fine=np.zeros_like(subject.fine),
    )


def _with_tissues(subject: Subject, **values: Any) -> Subject:
    tissues = dataclasses.replace(subject.tissues, **values)
    return dataclasses.replace(subject, tissues=tissues)


def _naive_fat(protocol: Protocol) -> Protocol:
    return _with_signal(protocol, physics.FAT, 1 / protocol.fat_gain)


def _no_vessels(protocol: Protocol) -> Protocol:
    signal = protocol.signal.copy()
    signal[[physics.BLOOD, physics.DURA]] = signal[physics.FLUID]
    return dataclasses.replace(protocol, signal=signal)


def _with_signal(protocol: Protocol, tissue: int, factor: float) -> Protocol:
    signal = protocol.signal.copy()
    signal[tissue] *= factor
    return dataclasses.replace(protocol, signal=signal)


def _no_head(taken: Acquisition) -> Acquisition:
    """The brain alone: no skull, scalp, face or neck."""
    return dataclasses.replace(taken, stripped="skull")


def _no_stripping(taken: Acquisition) -> Acquisition:
    return dataclasses.replace(taken, stripped="")


def _even(taken: Acquisition) -> Acquisition:
    return dataclasses.replace(
        taken,
        bias=np.zeros_like(taken.bias),
        texture=np.zeros_like(taken.texture),
        shading=np.zeros_like(taken.shading),
        gamma=1.0,
    )


def _corrected(taken: Acquisition) -> Acquisition:
    return dataclasses.replace(taken, array=None)


def _clean(taken: Acquisition) -> Acquisition:
    return dataclasses.replace(
        taken, noise=0.0, blur=0.0, artefact="", clean_background=True
    )


def _thin(taken: Acquisition) -> Acquisition:
    return dataclasses.replace(taken, thickness=1, gap=0, resampled=False)


def _whole_view(taken: Acquisition) -> Acquisition:
    return dataclasses.replace(taken, margin=(0.0, 0.0, 0.0))


_OF_SUBJECT: Final[dict[str, Callable[[Subject], Subject]]] = {
    "folding": _plain_sulci,
    "age": _one_age,
    "lesions": _healthy,
    "shape": _unbent,
}
_OF_PROTOCOL: Final[dict[str, Callable[[Protocol], Protocol]]] = {
    "fat": _naive_fat,
    "vessels": _no_vessels,
}
_OF_ACQUISITION: Final[dict[str, Callable[[Acquisition], Acquisition]]] = {
    "head": _no_head,
    "stripping": _no_stripping,
    "shading": _even,
    "coil": _corrected,
    "damage": _clean,
    "thick-slices": _thin,
    "field-of-view": _whole_view,
}

VARIETY: Final = "variety"
"""Of the class `other`: without it there are three common families alone."""

INGREDIENTS: Final = (*_OF_SUBJECT, *_OF_PROTOCOL, *_OF_ACQUISITION, VARIETY)
"""Names of all that can be left out."""


def leave_out(drawn: _Drawn, without: tuple[str, ...]) -> _Drawn:
    """Returns what was drawn with some ingredients set back to a plain value.

    Args:
        drawn: A subject, a protocol or an acquisition.
        without: Names of `INGREDIENTS`.
    """
    tables: dict[type, dict[str, Callable[..., Any]]] = {
        Subject: _OF_SUBJECT,
        Protocol: _OF_PROTOCOL,
        Acquisition: _OF_ACQUISITION,
    }
    table = tables[type(drawn)]
    for name in without:
        if name in table:
            drawn = table[name](drawn)
    return drawn
