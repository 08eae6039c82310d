"""What TensorBoard's HParams page shows of a search.

    runs/tune/NAME/             all hyper-parameters and metrics, so that all are shown
    runs/tune/NAME/trial-0007/  the values of a trial, under its name

Written by TensorBoard's own writer: TensorFlow's would take the accelerator that a
trial trains on.
"""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.plugins.hparams import api_pb2, summary, summary_v2
from tensorboard.plugins.scalar import summary_v2 as scalars
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from tuner.space import RANGES, Space
from tuner.trials import Trial

METRICS: Final = {
    "score": "validation loss",
    "accuracy": "validation accuracy",
    "parameters": "parameters",
    "milliseconds": "ms a slice",
    "seconds": "seconds",
    "memory_mib": "peak MiB",
}
"""Fields of a trial, and what they are called on the page."""

_GROUP: Final = "trial/"
"""Before the names of metrics, so that they stand apart from a training's scalars."""


def write_experiment(search: Path, within: Space) -> None:
    """Names all hyper-parameters and metrics of a search, once."""
    if any(search.glob("events.out.tfevents.*")):
        return
    hparams = [
        summary_v2.HParam(
            name,
            summary_v2.RealInterval(float(values[0]), float(values[-1]))
            if name in RANGES
            else summary_v2.Discrete(list(values)),
        )
        for name, values in within.items()
    ]
    metrics = [
        summary_v2.Metric(f"{_GROUP}{field}", display_name=shown)
        for field, shown in METRICS.items()
    ]
    _write(search, [summary_v2.hparams_config_pb(hparams, metrics)])


def write_trial(search: Path, trial: Trial) -> None:
    """Writes a trial that has ended; what was written of it before is replaced."""
    folder = search / trial.name
    for before in folder.glob("events.out.tfevents.*"):
        before.unlink()
    fine = trial.status == "completed"
    status = api_pb2.STATUS_SUCCESS if fine else api_pb2.STATUS_FAILURE
    content = dataclasses.asdict(trial)
    measured = [
        scalars.scalar_pb(f"{_GROUP}{field}", content[field])
        for field in METRICS
        if content[field] is not None
    ]
    started = summary_v2.hparams_pb(trial.values, trial.name, trial.started)
    _write(folder, [started, *measured, summary.session_end_pb(status)])


def _write(folder: Path, contents: Sequence[Any]) -> None:
    writer = EventFileWriter(str(folder))
    for content in contents:
        # The plugins' messages are TensorFlow's where that is installed.
        same = Summary.FromString(content.SerializeToString())
        writer.add_event(Event(wall_time=time.time(), summary=same))
    writer.close()
