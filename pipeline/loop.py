"""The training loop: timed fetches, compiled steps, checkpoints on the way.

It is our own, since Keras' `fit` hides how long it waits for input and refuses several
hosts: the next batch is fetched in Python, where the wait can be timed, then one
compiled step augments, learns and counts.
"""

import dataclasses
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import tensorflow as tf

from pipeline.checkpoints import Position, save_checkpoint
from pipeline.devices import Devices
from pipeline.files import replacing
from pipeline.progress import Advance
from pipeline.signals import Stop
from pipeline.step import Batch, TrainStep, ValidationStep

FETCH: Final = 10
"""Losses are fetched from the device after so many steps: after each, a GPU would wait
for Python. That many batches are kept, so that one that breaks training is found."""


SAVING: Final = 0.1
"""Largest share of the time that goes into checkpoints between epochs."""


class Interrupted(Exception):  # noqa: N818 - no error, as KeyboardInterrupt
    """The training was told to stop, and its position is saved."""


@dataclasses.dataclass(slots=True)
class Meter:
    """Measures speed, and how much of the time was spent waiting for input."""

    slices: int
    start: float = dataclasses.field(default_factory=time.perf_counter)
    waited: float = 0.0
    steps: int = 0

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.perf_counter() - self.start

    def restart(self) -> None:
        """Forgets what was measured: the first steps are compiled as they are taken."""
        self.start, self.waited, self.steps = time.perf_counter(), 0.0, 0

    def summary(self) -> dict[str, float]:
        """Slices per second and input-bound share; nothing before the first step."""
        if not self.steps:
            return {}
        seconds = self.seconds
        return {
            "slices_per_second": self.steps * self.slices / seconds,
            "input_bound": self.waited / seconds,
        }


@dataclasses.dataclass(slots=True)
class Loop:
    """A training that runs.

    Attributes:
        run: Folder of the run.
        devices: What it runs on.
        model: The network, built in the strategy's scope.
        optimizer: Its optimizer.
        train_step: Compiled.
        validation_step: Compiled.
        batches: One iterator a device of this process, from `position` on.
        validation: One data set a device of this process.
        steps: In an epoch.
        slices: In a step, over all devices.
        position: How far it has come.
        identity: What checkpoints are marked with.
        stop: Asked after every step.
        checkpoint_seconds: Time between two checkpoints within an epoch.
        compiled: Whether the train step was compiled, by taking the first steps.
        clocked: When the time of the epoch was added up last.
        saved: When the last checkpoint was written, by `time.perf_counter`.
        saving: Seconds that it took.
    """

    run: Path
    devices: Devices
    model: keras.Model
    optimizer: keras.Optimizer
    train_step: TrainStep
    validation_step: ValidationStep
    batches: list[Iterator[Batch]]
    validation: list[tf.data.Dataset]
    steps: int
    slices: int
    position: Position
    identity: dict[str, Any]
    stop: Stop
    checkpoint_seconds: float
    compiled: bool = False
    clocked: float = dataclasses.field(default_factory=time.perf_counter)
    saved: float = dataclasses.field(default_factory=time.perf_counter)
    saving: float = 0.0

    def clock(self) -> float:
        """Adds up the time of the epoch at `position`; returns it, in seconds."""
        now = time.perf_counter()
        self.position.seconds += now - self.clocked
        self.clocked = now
        return self.position.seconds

    def save(self) -> None:
        """Writes a checkpoint; all hosts hold the same, so the chief does it."""
        self.clock()
        if self.devices.chief:
            started = time.perf_counter()
            variables = [*self.model.variables, *self.optimizer.variables]
            save_checkpoint(self.run, self.position, self.identity, variables)
            self.saved = time.perf_counter()
            self.saving = self.saved - started

    def save_between(self) -> None:
        """Writes a checkpoint between epochs, unless they are shorter than it takes.

        The study's base has 22 million weights: 270 MB with the optimizer's moments,
        after every second of an epoch of 9 steps. What is left out is trained again,
        to the same result.
        """
        wait = min(self.checkpoint_seconds, self.saving / SAVING)
        if time.perf_counter() - self.saved >= wait:
            self.save()

    def learn(
        self, callbacks: keras.callbacks.CallbackList, advance: Advance
    ) -> dict[str, float]:
        """Takes the steps that are left of the epoch at `position`.

        Args:
            callbacks: Told of every step.
            advance: Told of progress.

        Returns:
            Means over the epoch; speed and input-bound share of the steps taken here.

        Raises:
            Interrupted: A stop was requested; a checkpoint is written.
            ValueError: The loss is no number; the batch that did it is saved.
        """
        position, meter = self.position, Meter(self.slices)
        while position.step < self.steps:
            taken = self._take_steps(meter)
            stopping = self._count(taken, callbacks)
            speed = meter.summary()
            if not self.compiled and position.step < self.steps:
                meter.restart()
            self.compiled = True
            advance(
                len(taken),
                loss=f"{position.loss_sum / position.step:.3f}",
                speed=f"{speed['slices_per_second']:.0f} slices/s",
                waiting=f"{speed['input_bound']:.1%}",
            )
            if stopping:
                self.save()
                self.stop.heard.set()
                raise Interrupted
            if time.perf_counter() - self.saved > self.checkpoint_seconds:
                self.save()
        return {
            "loss": position.loss_sum / position.step,
            "accuracy": position.right_sum / position.step,
            "learning_rate": float(self.optimizer.learning_rate),
            **meter.summary(),
        }

    def validate(self) -> dict[str, float]:
        """Loss and accuracy over the validation slices, each once.

        Raises:
            Interrupted: A stop was requested; a checkpoint is written.
        """
        sums = np.zeros(3)
        for parts in zip(*self.devices.iterate(self.validation), strict=True):
            # Several hosts must not part company within a collective call.
            if self.stop.requested and self.devices.workers == 1:
                self.save()
                self.stop.heard.set()
                raise Interrupted
            sums += self.validation_step(self.devices.together(parts)).numpy()
        loss, right, count = sums
        return {"validation_loss": loss / count, "validation_accuracy": right / count}

    def _take_steps(self, meter: Meter) -> list[tuple[Sequence[Batch], tf.Tensor]]:
        """Takes up to `FETCH` steps; returns each one's batches and its result."""
        taken: list[tuple[Sequence[Batch], tf.Tensor]] = []
        left = self.steps - self.position.step
        first = (self.position.epoch - 1) * self.steps + self.position.step
        for number in range(first, first + min(FETCH, left)):
            asked = time.perf_counter()
            parts = [next(iterator) for iterator in self.batches]
            meter.waited += time.perf_counter() - asked
            result = self.train_step(
                self.devices.together(parts),
                tf.constant(number, tf.int32),
                tf.constant(float(self.stop.requested)),
            )
            taken.append((parts, result))
            meter.steps += 1
            if self.stop.requested and self.devices.workers == 1:
                break
        return taken

    def _count(
        self,
        taken: Sequence[tuple[Sequence[Batch], tf.Tensor]],
        callbacks: keras.callbacks.CallbackList,
    ) -> bool:
        """Adds results up; returns whether any host was told to stop."""
        stopping = False
        for parts, result in taken:
            loss, right, stop = map(float, result.numpy())
            if not math.isfinite(loss):
                raise self._broken(loss, parts)
            self.position.loss_sum += loss
            self.position.right_sum += right
            self.position.step += 1
            stopping |= stop > 0
            logs = {"loss": loss, "accuracy": right}
            callbacks.on_train_batch_end(self.position.step, logs)
        return stopping or (self.stop.requested and self.devices.workers == 1)

    def _broken(self, loss: float, parts: Sequence[Batch]) -> ValueError:
        """Saves the batch of a step whose loss is no number."""
        step = self.position.step + 1
        path = self.run / f"broken-batch-{self.devices.worker}.npz"
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                image=np.concatenate([part["image"].numpy() for part in parts]),
                label=np.concatenate([part["label"].numpy() for part in parts]),
                epoch=self.position.epoch,
                step=step,
            )
        return ValueError(
            f"the loss is {loss} after step {step} of epoch {self.position.epoch}; its "
            f"slices and labels are in {path}: look for broken ones, or lower "
            "--learning-rate and pass --restart"
        )
