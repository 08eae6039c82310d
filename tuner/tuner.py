"""Takes trials from an oracle and trains each in a process of its own."""

import contextlib
import dataclasses
import json
import logging
import math
import pickle
import time
from pathlib import Path
from typing import Any, Final

from keras_tuner.engine import base_tuner
from keras_tuner.errors import FailedTrialError

from pipeline.command import DONE, INTERRUPTED, WRONG_USE
from pipeline.files import write_json
from pipeline.manifest import Manifest
from pipeline.processes import run_apart
from pipeline.provenance import STARTED_BY, command_line
from pipeline.settings import TrainConfig
from tuner import chief, hparams, job
from tuner.budget import Budget, parameters_of
from tuner.dashboard import write_page
from tuner.oracles import (
    OBJECTIVE,
    REJECTED,
    Bayesian,
    Hyperband,
    Lasting,
    Random,
    initial_points,
)
from tuner.remote import RemoteOracle
from tuner.roles import Role
from tuner.settings import SearchConfig, has_ended
from tuner.space import configure, space
from tuner.trials import FILE, Trial, learning_curve, load_trials
from tuner.winner import Winner

PAGE_SECONDS: Final = 5.0
"""Between two versions of the page, at least."""

_log = logging.getLogger(__name__)


def make_oracle(config: SearchConfig, *, single: bool) -> Lasting:
    """Returns what proposes the trials.

    Args:
        config: Of the search.
        single: Trials are trained by the process that proposes them.
    """
    shared = {
        "hyperparameters": space(config.space),
        "seed": config.seed + 1,  # KerasTuner takes 0 for none and draws one
    }
    oracle: Lasting
    if config.oracle == "hyperband":
        oracle = Hyperband(max_epochs=config.epochs, factor=config.factor, **shared)
    elif config.oracle == "bayesian":
        points = initial_points(config.trials)
        oracle = Bayesian(num_initial_points=points, **shared)
    else:
        oracle = Random(**shared)
    oracle.single, oracle.wanted = single, config.trials
    oracle.max_trials = config.trials
    oracle.most_seconds = None if config.minutes is None else 60 * config.minutes
    oracle.verbose = 0
    return oracle


class Tuner(base_tuner.BaseTuner):  # type: ignore[misc]  # KerasTuner has no types
    """A search, or a worker of one."""

    oracle: Lasting | RemoteOracle

    def __init__(self, config: SearchConfig, manifest: Manifest, role: Role) -> None:
        self._config, self._manifest, self._role = config, manifest, role
        self._proposing = make_oracle(config, single=role.kind == "single")
        super().__init__(
            self._proposing, directory=str(config.folder), project_name="oracle"
        )
        self.oracle.verbose = 0  # its tables; trials are reported by our log
        if role.kind == "worker":
            self.oracle = RemoteOracle(self._proposing, 60 * config.wait_minutes)
        self._seen = 0
        self._page_is_old, self._shown = True, -math.inf

    @property
    def reason(self) -> str:
        """Why the search ended before its time; empty where it did not."""
        oracle = self._proposing
        if not oracle.reason:
            return ""
        failed = [name for name in oracle.end_order if not _completed(oracle, name)]
        trials = {trial.name: trial for trial in load_trials(self._config.folder)}
        last = trials[self._run(failed[-1]).name]
        return f"{oracle.reason}, the last with: {last.message}"

    def search(self) -> None:
        """Runs trials until the search ends, or gives them to workers."""
        if self._role.kind != "chief":
            super().search()
            return
        self.save()
        if not has_ended(self._config):
            wait = 60 * self._config.wait_minutes
            chief.serve(self._proposing, wait, self.look)

    def save(self) -> None:
        """Saves the state, whole or not at all."""
        if self._role.kind != "worker":
            self._proposing.save()
        write_json(Path(self._get_tuner_fname()), self.get_state())

    def _get_tuner_fname(self) -> str:
        # One name for all who hold the state, or KerasTuner would begin anew where a
        # search goes on with workers or without.
        name = self._role.name if self._role.kind == "worker" else "tuner0"
        return str(Path(self.project_dir) / f"{name}.json")

    def on_search_begin(self) -> None:
        """Makes a search known before its first trial, so that it too is repeated."""
        self.save()

    def run_trial(self, trial: Any) -> dict[str, float]:
        """Trains a trial from its first step, or goes on where it was stopped.

        Hyperband's promoted trials too: going on would start from the end of a cosine
        schedule and without the optimizer's state, which KerasTuner does not restore.
        """
        values = trial.hyperparameters.values
        run = self._run(trial.trial_id)
        epochs = values.get("tuner/epochs", self._config.epochs)
        training = dataclasses.replace(
            configure(
                trial.hyperparameters, self._config.training(), self._config.space
            ),
            run=run,
            epochs=epochs,
        )
        record = Trial(
            name=run.name,
            status="running",
            values={name: values[name] for name in values if "/" not in name},
            worker="worker-0" if self._role.kind == "single" else self._role.name,
            epochs=epochs,
            parameters=parameters_of(training.hyper),
            started=time.time(),
        )
        record.save(self._config.folder)
        _report(training)
        # A promoted one was within the budget before; times vary a little.
        promoted = "tuner/trial_id" in values
        budget = Budget() if promoted else self._config.budget
        if over := budget.exceeded_by(record.parameters):
            raise self._rejected(trial, record, over)
        return self._train(trial, record, job.Job(training, budget))

    def _train(self, trial: Any, record: Trial, work: job.Job) -> dict[str, float]:
        """Trains in another process; notes what it took and what came of it."""
        before = sum(each["seconds"] for each in self._curve(record))
        start = time.perf_counter()
        alive: contextlib.AbstractContextManager[None] = contextlib.nullcontext()
        if isinstance(self.oracle, RemoteOracle):
            alive = self.oracle.alive(trial.trial_id)
        with alive:
            code = run_apart(
                "tuner.job",
                given=pickle.dumps(work),
                environment={
                    STARTED_BY: command_line() or "",
                    "TTY_COMPATIBLE": "0",  # rich's bars of several would mix
                },
                quiet=True,  # the network's summary, which the run holds
            )
        if code == INTERRUPTED:
            raise KeyboardInterrupt
        found = job.load_found(work.training.run)
        record = dataclasses.replace(
            record,
            milliseconds=found.milliseconds,
            memory_mib=found.memory_mib,
            seconds=before + time.perf_counter() - start,
        )
        if code == job.REJECTED:
            raise self._rejected(trial, record, found.message)
        if code != DONE:
            raise self._failed(record, code, found.message)
        best = min(self._curve(record), key=lambda each: each[OBJECTIVE])
        record = dataclasses.replace(
            record,
            status="completed",
            score=best[OBJECTIVE],
            accuracy=best["validation_accuracy"],
        )
        self._end(record)
        return {OBJECTIVE: best[OBJECTIVE]}

    def _rejected(self, trial: Any, record: Trial, over: str) -> FailedTrialError:
        self._end(dataclasses.replace(record, status="rejected", message=over))
        self.oracle.update_trial(trial.trial_id, {OBJECTIVE: math.inf, REJECTED: 1.0})
        return FailedTrialError(over)

    def _failed(self, record: Trial, code: int, message: str) -> Exception:
        """What a training's own error did, it would do again; a kill might not."""
        message = message or f"its process ended with code {code}"
        self._end(dataclasses.replace(record, status="failed", message=message))
        return (FailedTrialError if code == WRONG_USE else RuntimeError)(message)

    def _end(self, record: Trial) -> None:
        record.save(self._config.folder)
        hparams.write_trial(self._config.folder, record)
        if record.status == "completed":
            _log.info("%s: %s %.4f", record.name, OBJECTIVE, record.score)
        else:
            _log.warning("%s %s: %s", record.name, record.status, record.message)

    def on_trial_end(self, trial: Any) -> None:
        """Tells the oracle, and in a single process the user."""
        self._explain(trial)
        super().on_trial_end(trial)
        if self._role.kind == "single":
            self.look()

    def _explain(self, trial: Any) -> None:
        """Notes an error that was none of the training's: KerasTuner keeps silent."""
        path = self._run(trial.trial_id) / FILE
        record = Trial(**json.loads(path.read_text())) if path.is_file() else None
        if record and record.status == "running" and trial.message:
            last = trial.message.strip().splitlines()[-1]
            self._end(dataclasses.replace(record, status="failed", message=last))

    def look(self) -> None:
        """Reports the best trial so far, where any has ended since the last look."""
        ended = self._proposing.end_order
        if len(ended) > self._seen:
            self._seen = len(ended)
            self._page_is_old = True
            if any(_completed(self._proposing, name) for name in ended):
                self.record_winner()
        if self._page_is_old and time.monotonic() - self._shown >= PAGE_SECONDS:
            self.show()

    def show(self) -> None:
        """Writes the page; a search does not end for want of one."""
        try:
            write_page(self._config.folder)
        except (ValueError, OSError) as error:
            _log.warning("no new dashboard.html: %s", error)
        self._page_is_old, self._shown = False, time.monotonic()

    def record_winner(self) -> None:
        """Writes `winner.json`.

        Raises:
            ValueError: No trial has come to its end.
        """
        best = self._proposing.get_best_trials(1)
        if not best or best[0].status != "COMPLETED":
            raise ValueError(
                f"no trial of {self._config.folder} came to its end; the trial.json of "
                "each says why"
            )
        trial = best[0]
        winner = Winner(
            trial=self._run(trial.trial_id).name,
            objective=OBJECTIVE,
            value=trial.score,
            training=configure(
                trial.hyperparameters, self._config.training(), self._config.space
            ),
            manifest_sha256=self._manifest.sha256,
        )
        winner.save(self._config.folder / "winner.json")
        _log.info("best so far: %s, %s %.4f", winner.trial, OBJECTIVE, winner.value)

    def _curve(self, record: Trial) -> list[dict[str, float]]:
        return learning_curve(self._config.folder, record.name)

    def _run(self, trial_id: str) -> Path:
        return self._config.folder / f"trial-{int(trial_id):04d}"


def _completed(oracle: Lasting, name: str) -> bool:
    return bool(oracle.trials[name].status == "COMPLETED")


def _report(training: TrainConfig) -> None:
    network = training.hyper
    _log.info(
        "%s: %d epochs, filters %s, kernel %d, dense %s, dropout %g, "
        "learning rate %.2g, weight decay %.2g",
        *(training.run.name, training.epochs, network.filters, network.kernel),
        *(network.dense, network.dropout, training.learning_rate),
        training.weight_decay,
    )
