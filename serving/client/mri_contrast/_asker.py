"""What `Client` and `AsyncClient` are made of: the same options, the same questions."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from mri_contrast._jobs import Job, Sources, each_source, jobs_of
from mri_contrast.answers import Result
from mri_contrast.errors import (
    ClientTooOld,
    ModelNotFound,
    MriContrastError,
    ServerUnavailable,
)
from mri_contrast.transport import Transport

if TYPE_CHECKING:
    from mri_contrast._conversation import Conversation, Steps
    from mri_contrast._cut import Planes
    from mri_contrast._journal import Journal
    from mri_contrast._protocol import Protocol
    from mri_contrast.audit import Audit

# After these, the next scan would fail just the same.
HOPELESS = (ServerUnavailable, ModelNotFound, ClientTooOld)


class Asker(ABC):
    """The options of a client."""

    def __init__(
        self,
        target: str,
        *,
        model: str = "mri_contrast",
        label: str | None = None,
        version: int | None = None,
        timeout: float = 10.0,
        accept: float | None = None,
        planes: Planes = "all",
        transport: Transport | None = None,
        audit: Audit | None = None,
    ) -> None:
        """Prepares the connection; it is made at the first call.

        Args:
            target: HOST:PORT of the server's gRPC port, or a gRPC name such as
                `dns:///mri-serving:8500` (calls go round all its addresses) or
                `ipv4:10.0.0.1:8500,10.0.0.2:8500`.
            model: the model's name on the server.
            label: asks the version with this label, such as "stable" or "canary".
            version: asks this version; without label and version, the newest.
            timeout: seconds that each call may take, its retries included.
            accept: least probability of a verdict that is not "unsure", in [0, 1];
                without it, what the model was calibrated for.
            planes: "axial" sends axial slices only, which show no face; a scan whose
                file does not say how it lies is then refused.
            transport: TLS, tokens, retries and the like; `Transport()` without it.
            audit: records every decision.

        Raises:
            ValueError: an empty target or a URL, both label and version, a timeout
                that is not positive, `accept` outside [0, 1], unknown `planes`.
        """
        # Imported here: a program that only reads scans needs neither.
        import grpc  # noqa: F401

        from mri_contrast._conversation import Conversation
        from mri_contrast._protocol import Protocol

        self._transport = Transport() if transport is None else transport
        self._protocol: Protocol = Protocol(
            target, model, label, version, timeout, accept, planes
        )
        self._conversation: Conversation = Conversation(self._protocol, audit)
        self._connect()

    @abstractmethod
    def _connect(self) -> None:
        """Prepares what carries the calls."""


class Run:
    """One `identify_many`: what is to be asked, and what is known of it already."""

    def __init__(
        self,
        conversation: Conversation,
        sources: Sources,
        journal: str | os.PathLike[str] | None,
    ) -> None:
        self._conversation = conversation
        self._sources = sources
        self._path = journal
        self._journal: Journal | None = None
        self._open = ExitStack()

    def __enter__(self) -> Run:
        if self._path is not None:
            from mri_contrast._journal import Journal

            asked = self._conversation.protocol
            self._journal = self._open.enter_context(
                Journal(
                    self._path,
                    {
                        "model": asked.model,
                        "label": asked.label,
                        "version": asked.version,
                        "accept": asked.accept,
                        "planes": asked.planes,
                    },
                )
            )
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def items(self) -> Iterator[Job | Result]:
        """Scans to ask about, and results that the journal has, in order.

        Raises:
            UnreadableScan: a CSV file that lists no scans.
            ValueError: a journal, and a source that is no path.
        """
        for file, source in each_source(self._sources):
            if self._journal is None:
                yield from jobs_of(file, source, self._conversation.protocol.planes)
                continue
            if not file:
                raise ValueError("a journal is for paths; give paths, or no journal")
            if (known := self._journal.find(file, None)) is not None:
                yield known
                continue
            for job in jobs_of(file, source, self._conversation.protocol.planes):
                yield self._journal.find(file, job.part) or job

    def steps(self, job: Job) -> Steps[Result]:
        """Asks about one scan; its failure becomes its result.

        Raises:
            ServerUnavailable, ModelNotFound, ClientTooOld: the next would fail too.
        """
        try:
            cut = yield from self._conversation.cut(job.cut)
            (answer,) = yield from self._conversation.ask([cut])
        except HOPELESS:
            raise
        except MriContrastError as error:
            return Result(job.file, job.part, error=error)
        return Result(job.file, job.part, answer, preview=cut.preview)

    def keep(self, result: Result) -> Result:
        """Writes a new result to the journal, if there is one."""
        if self._journal is not None and not result.repeated:
            self._journal.add(result)
        return result
