"""What is read from a training: its network, and the one of a shorter patience."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from pipeline.experiments.job import Job, Reading, work
from pipeline.experiments.measured import Measured, out_of_patience
from pipeline.hyper import HyperParameters
from pipeline.manifest import Manifest
from pipeline.settings import TrainConfig

Built = tuple[Path, Manifest]


def job(shards: Path, run: Path, patience: int, *readings: Reading) -> Job:
    """Steps so long that some epoch soon is worse than the one before."""
    training = TrainConfig(
        shards=shards,
        run=run,
        epochs=12,
        patience=patience,
        batch_size=4,
        steps_per_epoch=9,
        validation_steps=1,
        learning_rate=1e-2,
        schedule="constant",
        hyper=HyperParameters(filters=(4, 4), dense=(8,)),
    )
    return Job(training, readings, shards, {"seed": 0})


def test_a_shorter_patience_is_read_from_the_longer_training(
    lasting_shards: Built, tmp_path: Path
) -> None:
    shards, manifest = lasting_shards
    paths = [tmp_path / f"{name}.npz" for name in ("short", "long", "alone")]
    long = job(
        *(shards, tmp_path / "long", 6),
        *(Reading(paths[0], 1), Reading(paths[1], None)),
    )
    assert work(long) == 0
    assert work(job(shards, tmp_path / "alone", 1, Reading(paths[2], None))) == 0
    short, whole, alone = map(Measured.load, paths)

    assert short.training.epochs < whole.training.epochs  # else nothing is shown
    np.testing.assert_array_equal(short.loss, alone.loss)
    np.testing.assert_array_equal(short.wrong, alone.wrong)
    for name in ("epochs", "best_epoch", "slices", "validation_loss"):
        assert getattr(short.training, name) == getattr(alone.training, name)
    assert len(short.wrong) == manifest.count("test")
    assert short.training.slices == short.training.epochs * 9 * 4


def test_what_is_stored_is_what_was_measured(
    lasting_shards: Built, tmp_path: Path
) -> None:
    path = tmp_path / "all.npz"
    once = job(lasting_shards[0], tmp_path / "run", 1, Reading(path, None))
    assert work(dataclasses.replace(once)) == 0
    first = path.read_bytes()
    found = Measured.load(path)
    assert found.settings == {"seed": 0}
    assert set(found.subjects) <= {str(number) for number in range(12)}
    assert np.isfinite(found.loss).all()
    path.unlink()
    assert work(once) == 0  # the training is finished: only read again
    np.testing.assert_array_equal(Measured.load(path).loss, found.loss)
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("losses", "patience", "epoch"),
    [
        ([3, 2, 1], 1, None),
        ([3, 2, 2], 1, 3),
        ([3, 4, 2, 5, 6], 2, 5),
        ([3, 4, 2, 5, 6], None, None),
    ],
)
def test_patience_runs_out_after_so_many_epochs_without_a_better_one(
    losses: list[float], patience: int | None, epoch: int | None
) -> None:
    assert out_of_patience(losses, patience) == epoch
