"""What proposes trials: KerasTuner's oracles, made to last through kills and restarts.

Theirs write files that a kill can halve, give finished trials out again after it, lock
up where a call fails, and end with workers unheard. Ours keep what a search needs:
every trial once, and none lost but those that run.
"""

import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import keras_tuner
from keras_tuner.src.engine import oracle as theirs

from pipeline.files import write_json
from tuner.budget import MOST_REJECTED
from tuner.roles import SINGLE

OBJECTIVE: Final = "validation_loss"
REJECTED: Final = "rejected"
"""Metric of a trial that was over budget: KerasTuner has no status for it."""

MOST_FAILED: Final = 3
"""Trials that fail in a row end a search: the next would fail, too."""

_ENDED: Final = ("COMPLETED", "FAILED")

Result = TypeVar("Result")


class Lasting(keras_tuner.Oracle):  # type: ignore[misc]  # KerasTuner has no types
    """Adds to an oracle what KerasTuner's lack.

    Attributes:
        single: Trains its trials itself; else workers ask for them.
        wanted: Trials that end a search, rejected ones not counted.
        most_seconds: After which no trial begins, over all starts; None for no end.
        reason: Why the search ends before its time; empty while it does not.
        broken: What made a call fail, so that nothing further can be trusted.
        told: Budgets of which a worker was told that nothing is left to do.
    """

    single: bool = True
    wanted: int = 0
    most_seconds: float | None = None
    reason: str = ""
    broken: BaseException | None = None
    told: list[float | None] | None = None

    trials: dict[str, Any]  # theirs
    _retry_queue: list[str]

    def __init__(self, **arguments: Any) -> None:
        super().__init__(
            objective=keras_tuner.Objective(OBJECTIVE, "min"),
            allow_new_entries=False,
            # Once more for a trial whose process was killed.
            max_retries_per_trial=1,
            # Theirs raises while it holds its lock, and counts rejected ones.
            max_consecutive_failed_trials=sys.maxsize,
            **arguments,
        )
        self._began = time.monotonic()
        self._spent = 0.0
        self._ended_before = 0
        self._held: dict[str, Any] = {}
        self._heard: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """That the search took so far, over all starts."""
        return self._spent + time.monotonic() - self._began

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do: an earlier start may have told so."""
        return self.told == self._asked

    @property
    def rejected(self) -> int:
        """Number of trials that were over budget."""
        return sum(trial.metrics.exists(REJECTED) for trial in self.trials.values())

    def create_trial(self, tuner_id: str) -> Any:
        """Returns the trial that a worker has, one to be repeated, or a new one.

        While others train, one who finds nothing to do waits: a trial may yet be left
        by its worker, or be rejected.
        """
        self._heard[tuner_id] = time.monotonic()
        self._stop_where_hopeless()
        ending = self.reason or self._late()
        # Theirs stops where there are so many, whatever became of them.
        self.max_trials = len(self.trials) if ending else self.wanted + self.rejected
        trial = self._careful(lambda: super(Lasting, self).create_trial(tuner_id))
        if trial.status == "STOPPED" and self.ongoing_trials:
            trial.status = "IDLE"
            self.tuner_ids.add(tuner_id)
        elif trial.status == "STOPPED":
            self._heard.pop(tuner_id, None)
            self._note_end()
        return trial

    def update_trial(
        self, trial_id: str, metrics: dict[str, float], step: int = 0
    ) -> Any:
        """Takes results; of a trial that has ended, as they are told twice, none."""
        if trial_id in self.end_order:
            return self.trials[trial_id]
        return self._careful(
            lambda: super(Lasting, self).update_trial(trial_id, metrics, step)
        )

    def end_trial(self, trial: Any) -> None:
        """Ends a trial, once: a worker may tell it again after a restart of ours."""
        if trial.trial_id in self.end_order:
            self._forget(trial.trial_id)
            return
        without_unused(trial)
        self._careful(lambda: super(Lasting, self).end_trial(trial))
        if trial.trial_id in self.end_order and trial.trial_id in self._retry_queue:
            self._retry_queue.remove(trial.trial_id)  # of a worker that seemed lost
        # Theirs saves before it lets go of the trial, and a kill gives it out again.
        self._careful(self.save)

    def get_trial(self, trial_id: str) -> Any:
        """Returns a trial; who asks is at work on it."""
        for tuner_id, trial in self.ongoing_trials.items():
            if trial.trial_id == trial_id:
                self._heard[tuner_id] = time.monotonic()
        return super().get_trial(trial_id)

    def release_lost(self, seconds: float) -> list[str]:
        """Gives the trials of workers back that were not heard of for so long.

        Returns:
            The names of those workers.
        """
        lost: list[str] = self._careful(lambda: self._release_lost(seconds))
        return lost

    @keras_tuner.synchronized
    def _release_lost(self, seconds: float) -> list[str]:
        now = time.monotonic()
        lost = [
            name
            for name in sorted({*self.tuner_ids, *self.ongoing_trials})
            if now - self._heard.setdefault(name, now) > seconds
        ]
        for name in lost:
            self.tuner_ids.discard(name)
            self._heard.pop(name)
            if name in self.ongoing_trials:
                self._retry_queue.append(self.ongoing_trials.pop(name).trial_id)
        if lost:
            self.save()
        return lost

    def save(self) -> None:
        """Writes its state, whole or not at all."""
        write_json(Path(self._get_oracle_fname()), self.get_state())

    def _save_trial(self, trial: Any) -> None:
        folder = Path(self._get_trial_dir(trial.trial_id))
        write_json(folder / "trial.json", trial.get_state())

    def get_state(self) -> dict[str, Any]:
        """Returns what is saved."""
        return {**super().get_state(), "seconds": self.seconds, "told": self.told}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes what was saved."""
        super().set_state(state)
        self._spent = state.get("seconds", 0.0)
        self.told = state.get("told")
        self._began = time.monotonic()
        self._held = dict(self.ongoing_trials)

    def reload(self) -> None:
        """Goes on from where an earlier start was, however it ended.

        Workers that are known keep their trials, since they may be alive. Trials that
        ended as we were killed stay ended, and those that had not quite begun have not.
        """
        super().reload()
        self.trials = {name: self.trials[name] for name in self.start_order}
        for name, trial in self.trials.items():
            if trial.status in _ENDED and name not in self.end_order:
                self.end_order.append(name)
                self._run_times[name] += 1
        held = {
            tuner_id: trial
            for tuner_id, trial in self._held.items()
            if trial.trial_id not in self.end_order
            and (tuner_id == SINGLE) == self.single
        }
        kept = {trial.trial_id for trial in held.values()}
        self._retry_queue = [
            name
            for name in dict.fromkeys(self._retry_queue)
            if name not in kept and name not in self.end_order
        ]
        for tuner_id, trial in held.items():
            trial.status = "RUNNING"
            self.ongoing_trials[tuner_id] = trial
            self.tuner_ids.add(tuner_id)
        self._ended_before = len(self.end_order)

    def _late(self) -> bool:
        """Whether time is up for trials that have not begun."""
        late = self.most_seconds is not None and self.seconds >= self.most_seconds
        return late and not self._retry_queue

    def _stop_where_hopeless(self) -> None:
        """Ends a search whose trials fail or are rejected one after the other."""
        recent = [self.trials[name] for name in self.end_order[self._ended_before :]]
        in_a_row = {"failed": 0, "rejected": 0}
        for trial in reversed(recent):
            if trial.status == "COMPLETED":
                break
            in_a_row["rejected" if trial.metrics.exists(REJECTED) else "failed"] += 1
        if in_a_row["failed"] >= MOST_FAILED:
            self.reason = f"{MOST_FAILED} trials in a row failed"
        elif in_a_row["rejected"] >= MOST_REJECTED:
            self.reason = f"{MOST_REJECTED} trials in a row were over budget"

    @property
    def _asked(self) -> list[float | None]:
        return [self.wanted, self.most_seconds]

    def _note_end(self) -> None:
        """Saves that nothing is left: workers that heard of it do not ask again."""
        if not self.reason and not self.ended:
            self.told = self._asked
            self._careful(self.save)

    def _forget(self, trial_id: str) -> None:
        for tuner_id, trial in list(self.ongoing_trials.items()):
            if trial.trial_id == trial_id:
                del self.ongoing_trials[tuner_id]

    def _careful(self, call: Callable[[], Result]) -> Result:
        """Calls what is synchronized; theirs keeps the lock where that fails."""
        try:
            return call()
        except BaseException as error:
            self.broken = error
            if theirs.THREADS[self] is not None:
                theirs.THREADS[self] = None
                theirs.LOCKS[self].release()
            raise


class Hyperband(Lasting, keras_tuner.oracles.HyperbandOracle):  # type: ignore[misc]
    """Hyperband that replaces trials that came to nothing.

    In KerasTuner's they stay in their bracket, and where a third of its first trials
    is lost, none of the others is ever trained further.
    """

    def end_trial(self, trial: Any) -> None:
        """Ends a trial, and makes room for another where it failed."""
        super().end_trial(trial)
        if self.trials[trial.trial_id].status == "FAILED":
            for bracket in self._brackets:
                first = bracket["rounds"][0]
                first[:] = [each for each in first if each["id"] != trial.trial_id]
            self._careful(self.save)


class Bayesian(Lasting, keras_tuner.oracles.BayesianOptimizationOracle):  # type: ignore[misc]
    """Bayesian optimization that learns from trials that came to nothing."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Proposes what was not tried yet."""
        proposed: dict[str, Any] = super().populate_space(trial_id)
        if proposed.get("values") and self._duplicate(proposed["values"]):
            proposed = self._random_populate_space()
        return proposed

    def _vectorize_trials(self) -> Any:
        """Counts what failed as bad as the worst: KerasTuner's would forget it."""
        trials = self.trials.values()
        worst = max(trial.score for trial in trials if trial.status == "COMPLETED")
        lost = [trial for trial in trials if trial.status == "FAILED"]
        for trial in lost:
            trial.status, trial.score = "COMPLETED", worst
        try:
            return super()._vectorize_trials()
        finally:
            for trial in lost:
                trial.status, trial.score = "FAILED", None


class Random(Lasting, keras_tuner.oracles.RandomSearchOracle):  # type: ignore[misc]
    """Random search."""


def without_unused(trial: Any) -> None:
    """Drops values that mean nothing at a trial's point of the space.

    KerasTuner's messages bring the defaults of all layers, those too that a network of
    fewer has not.
    """
    trial.hyperparameters.ensure_active_values()


def initial_points(trials: int) -> int:
    """Random trials before Bayesian optimization begins to learn.

    KerasTuner's three for each hyper-parameter, 54 of ours, would be all of a search.
    """
    return max(3, math.ceil(trials / 3))
