import random
from pathlib import Path

import keras
import numpy as np
import pytest

from pipeline.checkpoints import Position, load_checkpoint, restore, save_checkpoint

IDENTITY = {"seed": 3, "epochs": 4}


def variables(value: float) -> list[keras.Variable]:
    return [keras.Variable(np.full((3, 2), value)), keras.Variable(value)]


def save(run: Path, step: int) -> None:
    save_checkpoint(run, Position(step=step), IDENTITY, variables(float(step)))


def test_what_was_saved_is_restored(tmp_path: Path) -> None:
    position = Position(epoch=3, step=7, loss_sum=0.1 + 0.2, best_loss=1 / 3)
    save_checkpoint(tmp_path, position, IDENTITY, variables(2.5))
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.position == position
    assert found.identity == IDENTITY
    empty = variables(0.0)
    restore(found, empty)
    assert all((variable.numpy() == 2.5).all() for variable in empty)


def test_no_best_loss_yet_survives_the_disk(tmp_path: Path) -> None:
    save(tmp_path, 1)
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.position.best_loss == float("inf")


def test_a_run_without_checkpoints_has_none(tmp_path: Path) -> None:
    assert load_checkpoint(tmp_path) is None


def test_a_kill_between_the_two_renames_costs_one_checkpoint(tmp_path: Path) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    (tmp_path / "checkpoints" / "last.npz").unlink()
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.position.step == 1


def test_whichever_byte_flips_the_arrays_are_right_or_the_one_before_is_taken(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    last = tmp_path / "checkpoints" / "last.npz"
    whole = last.read_bytes()
    draw = random.Random(0)
    fallen_back = 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        last.write_bytes(damaged)
        found = load_checkpoint(tmp_path)
        assert found is not None
        assert found.identity == IDENTITY
        fallen_back += found.position.step == 1
        for array in found.arrays:
            assert (array == found.position.step).all()
    assert fallen_back > 100
    assert "last.npz is damaged" in caplog.text


@pytest.mark.parametrize("share", [0.0, 0.3, 0.99])
def test_a_truncated_file_is_damage(tmp_path: Path, share: float) -> None:
    save(tmp_path, 1)
    save(tmp_path, 2)
    last = tmp_path / "checkpoints" / "last.npz"
    content = last.read_bytes()
    last.write_bytes(content[: int(share * len(content))])
    found = load_checkpoint(tmp_path)
    assert found is not None
    assert found.position.step == 1


def test_only_damaged_files_are_named_with_what_to_do(tmp_path: Path) -> None:
    save(tmp_path, 1)
    (tmp_path / "checkpoints" / "last.npz").write_bytes(b"nothing")
    with pytest.raises(
        ValueError, match=r"damaged checkpoints \(last.npz\).*--restart"
    ):
        load_checkpoint(tmp_path)


def test_variables_of_another_network_are_refused(tmp_path: Path) -> None:
    save(tmp_path, 1)
    found = load_checkpoint(tmp_path)
    assert found is not None
    with pytest.raises(ValueError, match="variables of other shapes"):
        restore(found, variables(0.0)[:1])
