"""Searches of made-up trials, written as a search writes them."""

import json
import math
import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tuner.trials import Trial

MakeSearch = Callable[[Path, int], Path]


def one_trial(index: int, generator: random.Random) -> Trial:
    """The loss depends on the learning rate and on nothing else; some do not end."""
    dense = generator.choice([0, 1, 2])
    values = {
        "blocks": generator.choice([2, 3, 4]),
        "kernel": generator.choice([2, 3, 5]),
        "dense_layers": dense,
        "learning_rate": 10 ** generator.uniform(-4, -2),
        **{f"width_{layer}": generator.choice([32, 64]) for layer in range(dense)},
    }
    score = 0.2 + (math.log10(values["learning_rate"]) + 4) / 2
    name = f"trial-{index:04d}"
    shared = {"name": name, "values": values, "worker": "worker-0", "epochs": 4}
    started = 1.8e9 + 100 * index
    if index % 10 == 7:
        return Trial(**shared, status="rejected", message="3 ms <b>a slice</b>")
    if index % 10 == 8:
        return Trial(**shared, status="failed", started=started, message="loss is NaN")
    return Trial(
        **shared,
        status="completed",
        parameters=1000 * index + 500,
        milliseconds=0.5 + generator.random(),
        score=score,
        accuracy=1 - score / 4,
        seconds=90.0,
        memory_mib=900.0 + index,
        started=started,
    )


@pytest.fixture(scope="session")
def make_search() -> MakeSearch:
    """Writes a search of some trials; the same ones each time."""

    def make(folder: Path, count: int) -> Path:
        generator = random.Random(4)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "config.json").write_text(json.dumps({"trials": 40}))
        for index in range(count):
            trial = one_trial(index, generator)
            trial.save(folder)
            if trial.score is None:
                continue
            losses = [trial.score + 1 / epoch for epoch in range(1, 5)]
            lines = [json.dumps({"validation_loss": loss}) for loss in losses]
            (folder / trial.name / "metrics.jsonl").write_text("\n".join(lines) + "\n")
        return folder

    return make
