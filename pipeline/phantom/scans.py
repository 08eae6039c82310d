"""Numbered simulated scans: each a function of (seed, index) alone."""

import dataclasses
import functools
from typing import Final

import numpy as np

from mri_contrast.scans import Scan
from pipeline.labelled import NO_PLANES, UNKNOWN, Planes
from pipeline.phantom import effects, objects
from pipeline.phantom.acquisition import Acquisition, acquire, sample_acquisition
from pipeline.phantom.anatomy import Anatomy, Subject, render, sample_subject
from pipeline.phantom.ingredients import INGREDIENTS, VARIETY, leave_out
from pipeline.phantom.other_protocols import WITHOUT_MAGNET
from pipeline.phantom.protocols import Protocol, sample_protocol

_KINDS: Final = (
    *("T1", "T1", "T1", "T2", "T2", "T2", "FLAIR", "FLAIR", "FLAIR"),
    *("other", "other", "other", "object"),
)
"""What is taken of every subject. Rendering a head costs more than taking a scan of
it, so each is scanned several times, as people are. `other` has the most variety to
learn, so it gets a little more than a quarter."""

SCANS_PER_SUBJECT: Final = len(_KINDS)


@dataclasses.dataclass(frozen=True, slots=True)
class PhantomConfig:
    """Which simulated scans to make.

    Attributes:
        subjects: How many heads; each gives 13 scans.
        seed: Another seed gives other heads and other protocols.
        sealed: Of anatomies, protocol families and artefacts that no training sees:
            for a test that is looked at once.
        without: Names of `ingredients.INGREDIENTS` that are left out.
    """

    subjects: int = 160
    seed: int = 0
    sealed: bool = False
    without: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.subjects < 1:
            raise ValueError(f"subjects must be at least 1, got {self.subjects}")
        if self.seed < 0:
            raise ValueError(f"seed must not be negative, got {self.seed}")
        unknown = [name for name in self.without if name not in INGREDIENTS]
        if unknown:
            raise ValueError(
                f"{', '.join(unknown)} cannot be left out; there are "
                f"{', '.join(INGREDIENTS)}"
            )


@dataclasses.dataclass(frozen=True, slots=True)
class PhantomScan:
    """One simulated scan, rendered when it is read.

    Attributes:
        seed: The collection's.
        index: Place in the collection; scans of a subject stand together.
        split: Where the collection fixes it: sealed scans are for the test alone.
        sealed: Of the kind that no training sees.
        without: Names of `ingredients.INGREDIENTS` that are left out.
    """

    seed: int
    index: int
    split: str | None = None
    sealed: bool = False
    without: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Name in manifests and lists."""
        return f"{self._collection}-{self.index:06d}"

    @property
    def kind(self) -> str:
        """The class that is simulated, or `object` for what is no brain."""
        return _KINDS[self.index % SCANS_PER_SUBJECT]

    @property
    def contrast(self) -> str:
        """The class."""
        return "other" if self.kind == "object" else self.kind

    @property
    def subject(self) -> str:
        """The head that it was taken of."""
        return f"{self._collection}-{self.index // SCANS_PER_SUBJECT:05d}"

    @property
    def source(self) -> str:
        """Family, field strength and artefact: `phantom/FLAIR/slices/3T/ghost`.

        Only what there is: a CT has no field strength, a label map no artefact.
        """
        if self.kind == "object":
            return f"phantom/object/{objects.sample_kind(self._rng('object'))}"
        protocol = self.protocol()
        parts = ["phantom", protocol.family]
        if protocol.family not in WITHOUT_MAGNET:
            parts.append("3T" if protocol.three_tesla else "1.5T")
        artefact = self.acquisition().artefact
        if artefact and protocol.effect not in effects.COMPUTED:
            parts.append(artefact)
        return "/".join(parts)

    @property
    def planes(self) -> Planes:
        """The plane that slices across each stored axis show; objects have none."""
        if self.kind == "object":
            return NO_PLANES
        return self.acquisition().permutation

    @property
    def gadolinium(self) -> int:
        """Whether a T1 was taken after contrast agent; unknown of all others."""
        if self.kind != "T1":
            return UNKNOWN
        return int(self.protocol().gadolinium)

    def protocol(self) -> Protocol:
        """The protocol of this scan.

        Raises:
            ValueError: It is no brain, so none was drawn.
        """
        if self.kind == "object":
            raise ValueError(f"{self.name} shows no brain, so it has no protocol")
        # No family of `other` is kept back: what it holds has no end anyway.
        sealed = self.sealed and self.kind != "other"
        protocol = sample_protocol(
            self.kind,
            self._rng("protocol"),
            sealed=sealed,
            variety=VARIETY not in self.without,
        )
        return leave_out(protocol, self.without)

    def acquisition(self) -> Acquisition:
        """How this scan is taken and stored.

        Raises:
            ValueError: It is no brain, so none was drawn.
        """
        taken = sample_acquisition(
            self.protocol(),
            _subject(*self._head).voxel_mm,
            self._rng("acquisition"),
            sealed=self.sealed,
        )
        return leave_out(taken, self.without)

    def stamp(self) -> tuple[int, int]:
        """Nothing on a disk that could change: always the same."""
        return 0, 0

    def read(self) -> Scan:
        """Renders the scan: 0.1 s, and 0.4 s more for the first of a subject."""
        if self.kind == "object":
            return objects.sample_object(self._rng("object"))
        return acquire(_rendered(*self._head), self.protocol(), self.acquisition())

    @property
    def _collection(self) -> str:
        return f"{'sealed' if self.sealed else 'phantom'}-{self.seed}"

    @property
    def _head(self) -> tuple[int, int, bool, tuple[str, ...]]:
        subject = self.index // SCANS_PER_SUBJECT
        return self.seed, subject, self.sealed, self.without

    def _rng(self, purpose: str) -> np.random.Generator:
        return _rng(self.seed, purpose, self.index, sealed=self.sealed)


def _rng(seed: int, purpose: str, index: int, *, sealed: bool) -> np.random.Generator:
    """A stream of its own for each purpose, so that one draw never moves another.

    Sealed scans draw from streams that no other scan has, whatever the seed.
    """
    purposes = ("subject", "protocol", "acquisition", "object")
    number = purposes.index(purpose) + sealed * len(purposes)
    return np.random.default_rng([seed, number, index])


@functools.lru_cache(maxsize=1)
def _rendered(
    seed: int, subject: int, sealed: bool, without: tuple[str, ...]
) -> Anatomy:
    """The last head, kept because its scans are read one after the other: 60 MB."""
    return render(_subject(seed, subject, sealed, without))


@functools.lru_cache(maxsize=1)
def _subject(
    seed: int, subject: int, sealed: bool, without: tuple[str, ...]
) -> Subject:
    rng = _rng(seed, "subject", subject, sealed=sealed)
    drawn = sample_subject(rng, sealed=sealed)
    return leave_out(drawn, without)


def phantom_scans(config: PhantomConfig) -> list[PhantomScan]:
    """Lists the scans of a collection without rendering any."""
    split = "test" if config.sealed else None
    return [
        PhantomScan(config.seed, index, split, config.sealed, config.without)
        for index in range(config.subjects * SCANS_PER_SUBJECT)
    ]
