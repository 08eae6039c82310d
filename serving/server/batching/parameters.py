"""TF Serving's batching parameters, with its defaults and its texts of refusal."""

import dataclasses
import itertools
import os


@dataclasses.dataclass(frozen=True, slots=True)
class BatchingParameters:
    """How calls are merged.

    Attributes:
        max_batch_size: Most rows of a call; of a merged batch, too, unless
            `max_execution_batch_size` says otherwise.
        batch_timeout_micros: How long a batch that is not full waits for more rows;
            0 takes what is queued as soon as a thread is free.
        max_enqueued_batches: Batches that wait; a call that needs one more is refused.
        num_batch_threads: Batches computed at once, of all models together.
        thread_pool_name: Label of the metrics.
        allowed_batch_sizes: A batch is filled up to the next of these sizes.
        pad_variable_length_inputs: Fills up other dimensions, too.
        enable_large_batch_splitting: Cuts calls to fill batches.
        max_execution_batch_size: Most rows of a batch, where calls are cut.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = len(os.sched_getaffinity(0))
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int | None = None

    def __post_init__(self) -> None:
        for name, least in (
            ("max_batch_size", 1),
            ("batch_timeout_micros", 0),
            ("max_enqueued_batches", 0),
            ("num_batch_threads", 1),
        ):
            if getattr(self, name) < least:
                raise ValueError(
                    f"{name} must be {least} or more, got {getattr(self, name)}"
                )
        if not 1 <= self.execution_limit <= self.max_batch_size:
            raise ValueError(
                f"max_execution_batch_size must be from 1 to max_batch_size, "
                f"{self.max_batch_size}, got {self.execution_limit}"
            )
        self._check_allowed()

    def _check_allowed(self) -> None:
        sizes = self.allowed_batch_sizes
        if not sizes:
            return
        if sizes[0] < 1 or any(a >= b for a, b in itertools.pairwise(sizes)):
            raise ValueError(
                "allowed_batch_sizes entries must be monotonically increasing"
            )
        if sizes[-1] != self.execution_limit:
            limit = (
                "max_execution_batch_size"
                if self.enable_large_batch_splitting
                else "max_batch_size"
            )
            raise ValueError(
                f"Last entry in allowed_batch_sizes must match {limit}; last entry "
                f"was {sizes[-1]}; expected {self.execution_limit}"
            )

    @property
    def execution_limit(self) -> int:
        """Most rows of a batch."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size:
            return self.max_execution_batch_size
        return self.max_batch_size

    def filled(self, rows: int) -> int:
        """Returns how many rows a batch of so many is computed with."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)
