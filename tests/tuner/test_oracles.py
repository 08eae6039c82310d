"""KerasTuner's oracles through kills: proposals alone, nothing is trained."""

import json
from pathlib import Path
from typing import Any

import keras_tuner
import pytest

from tuner.oracles import OBJECTIVE, REJECTED, Lasting
from tuner.settings import SearchConfig
from tuner.tuner import make_oracle

KINDS = ("hyperband", "bayesian", "random")
FEW = ("blocks=2", "dense_layers=0", "kernel=3", "filters_1=16", "augmentation=1")
"""Fewer dimensions: those of all are a minute's work for Bayesian optimization."""


def oracle_in(folder: Path, *, single: bool = False, **changes: Any) -> Lasting:
    """A new process's oracle: with what an earlier one left in the folder."""
    usual = {"trials": 6, "epochs": 3, "seed": 1, "narrow": FEW}
    config = SearchConfig(**{**usual, **changes})
    oracle = make_oracle(config, single=single)
    oracle._set_project_dir(str(folder), "oracle")
    if (folder / "oracle/oracle.json").is_file():
        oracle.reload()
    return oracle


def finish(oracle: Lasting, trial: Any, loss: float = 0.5) -> None:
    oracle.update_trial(trial.trial_id, {OBJECTIVE: loss})
    end(oracle, trial, "COMPLETED")


def reject(oracle: Lasting, trial: Any) -> None:
    oracle.update_trial(trial.trial_id, {OBJECTIVE: float("inf"), REJECTED: 1.0})
    end(oracle, trial, "FAILED")


def end(oracle: Lasting, trial: Any, status: str) -> None:
    told = keras_tuner.engine.trial.Trial(trial.hyperparameters, trial.trial_id)
    told.status = status
    oracle.end_trial(told)


def rest_of(oracle: Lasting) -> list[str]:
    """Names of the trials that a worker is given until the search ends."""
    names = []
    while (trial := oracle.create_trial("worker-9")).status == "RUNNING":
        names.append(trial.trial_id)
        finish(oracle, trial)
    assert trial.status == "STOPPED"
    return names


@pytest.mark.parametrize("kind", KINDS)
def test_a_worker_that_comes_back_has_its_trial_and_no_other_gets_it(
    tmp_path: Path, kind: str
):
    before = oracle_in(tmp_path, oracle=kind)
    mine, other = before.create_trial("worker-0"), before.create_trial("worker-1")
    assert before.create_trial("worker-0").trial_id == mine.trial_id
    # The chief is killed; both workers may be alive.
    after = oracle_in(tmp_path, oracle=kind)
    assert after.create_trial("worker-2").trial_id not in {
        mine.trial_id,
        other.trial_id,
    }
    again = after.create_trial("worker-0")
    assert again.trial_id == mine.trial_id
    assert again.hyperparameters.values == mine.hyperparameters.values


@pytest.mark.parametrize("kind", KINDS)
def test_a_trial_that_ended_before_a_kill_is_not_given_out_again(
    tmp_path: Path, kind: str
):
    before = oracle_in(tmp_path, oracle=kind, trials=3)
    finish(before, before.create_trial("worker-0"))
    after = oracle_in(tmp_path, oracle=kind, trials=3)
    assert rest_of(after) == ["1", "2"]
    assert sorted(after.end_order) == ["0", "1", "2"]


def test_a_kill_between_two_files_of_an_end_counts_the_trial_once(tmp_path: Path):
    before = oracle_in(tmp_path, trials=3, oracle="random")
    trial = before.create_trial("worker-0")
    state = (tmp_path / "oracle/oracle.json").read_text()
    finish(before, trial)
    (tmp_path / "oracle/oracle.json").write_text(state)  # as it was before the end
    after = oracle_in(tmp_path, trials=3, oracle="random")
    assert rest_of(after) == ["1", "2"]
    assert after.end_order == ["0", "1", "2"]


def test_a_kill_between_two_files_of_a_start_leaves_no_trial_that_never_runs(
    tmp_path: Path,
):
    before = oracle_in(tmp_path, trials=3, oracle="random")
    before.save()
    state = (tmp_path / "oracle/oracle.json").read_text()
    before.create_trial("worker-0")
    (tmp_path / "oracle/oracle.json").write_text(state)
    after = oracle_in(tmp_path, trials=3, oracle="random")
    assert rest_of(after) == ["0", "1", "2"]


def test_an_end_that_is_told_twice_counts_once(tmp_path: Path):
    oracle = oracle_in(tmp_path)
    trial = oracle.create_trial("worker-0")
    finish(oracle, trial, 0.5)
    finish(oracle, trial, 0.1)
    assert oracle.end_order == [trial.trial_id]
    assert oracle.trials[trial.trial_id].score == 0.5


def test_the_trial_of_a_lost_worker_goes_to_another_and_its_late_end_counts_once(
    tmp_path: Path,
):
    oracle = oracle_in(tmp_path, trials=2, oracle="random")
    lost = oracle.create_trial("worker-0")
    assert oracle.release_lost(60) == []
    assert oracle.release_lost(0) == ["worker-0"]
    given = oracle.create_trial("worker-1")
    assert given.trial_id == lost.trial_id
    finish(oracle, lost, 0.3)  # it was alive
    finish(oracle, given, 0.4)
    assert oracle.end_order == [lost.trial_id]
    assert not oracle.ongoing_trials
    assert rest_of(oracle) == ["1"]


def test_a_lost_trial_that_ends_before_another_takes_it_is_not_repeated(
    tmp_path: Path,
):
    oracle = oracle_in(tmp_path, trials=2, oracle="random")
    lost = oracle.create_trial("worker-0")
    oracle.release_lost(0)
    finish(oracle, lost)
    assert rest_of(oracle) == ["1"]


def test_who_asks_for_its_trial_is_not_lost(tmp_path: Path):
    oracle = oracle_in(tmp_path)
    trial = oracle.create_trial("worker-0")
    oracle._heard["worker-0"] -= 100
    oracle.get_trial(trial.trial_id)
    assert oracle.release_lost(50) == []


def test_others_wait_for_the_last_trial_and_take_it_where_its_worker_is_lost(
    tmp_path: Path,
):
    oracle = oracle_in(tmp_path, trials=1, oracle="random")
    last = oracle.create_trial("worker-0")
    assert oracle.create_trial("worker-1").status == "IDLE"
    oracle._heard["worker-0"] -= 100
    assert oracle.release_lost(50) == ["worker-0"]
    assert oracle.create_trial("worker-1").trial_id == last.trial_id


def test_a_single_process_takes_over_what_workers_were_at(tmp_path: Path):
    crew = oracle_in(tmp_path, trials=2, oracle="random")
    crew.create_trial("worker-0")
    alone = oracle_in(tmp_path, single=True, trials=2, oracle="random")
    assert sorted(rest_of(alone)) == ["0", "1"]


def test_workers_take_over_what_a_single_process_was_at(tmp_path: Path):
    alone = oracle_in(tmp_path, single=True, trials=2, oracle="random")
    alone.create_trial("tuner0")
    crew = oracle_in(tmp_path, trials=2, oracle="random")
    assert sorted(rest_of(crew)) == ["0", "1"]


@pytest.mark.parametrize("kind", KINDS)
def test_rejected_trials_do_not_count_and_the_search_goes_on(tmp_path: Path, kind: str):
    oracle = oracle_in(tmp_path, oracle=kind, trials=6)
    trained = rejected = 0
    while (trial := oracle.create_trial("worker-0")).status == "RUNNING":
        if len(oracle.trials) % 3 == 0:
            reject(oracle, trial)
            rejected += 1
        else:
            finish(oracle, trial, 0.5 + 0.01 * len(oracle.trials))
            trained += 1
    assert (trained, rejected) == (6, 2)
    assert oracle.rejected == 2
    assert not oracle.reason


def test_hyperband_promotes_though_trials_of_a_bracket_were_rejected(tmp_path: Path):
    oracle = oracle_in(tmp_path, trials=40, epochs=9)
    first_round = []
    while True:
        trial = oracle.create_trial("worker-0")
        if trial.hyperparameters.values["tuner/round"]:
            break
        # A third of what this bracket has room for.
        if len(oracle.trials) in (2, 5, 8):
            reject(oracle, trial)
        else:
            finish(oracle, trial, 1 / len(oracle.trials))
            first_round.append(trial.trial_id)
    best = max(first_round, key=int)
    assert trial.hyperparameters.values["tuner/trial_id"] == best


def test_bayesian_optimization_counts_what_failed_as_the_worst(tmp_path: Path):
    oracle = oracle_in(tmp_path, oracle="bayesian", trials=9)
    for loss in (0.2, 0.9, 0.4):
        finish(oracle, oracle.create_trial("worker-0"), loss)
    reject(oracle, oracle.create_trial("worker-0"))
    points, scores = oracle._vectorize_trials()  # type: ignore[attr-defined]
    assert list(scores) == [0.2, 0.9, 0.4, 0.9]
    assert len(points) == 4
    assert [trial.status for trial in oracle.trials.values()][3] == "FAILED"


def test_three_failures_in_a_row_end_a_search_and_the_next_start_tries_again(
    tmp_path: Path,
):
    oracle = oracle_in(tmp_path, oracle="random")
    finish(oracle, oracle.create_trial("worker-0"))
    for _ in range(3):
        end(oracle, oracle.create_trial("worker-0"), "FAILED")
    assert oracle.create_trial("worker-0").status == "STOPPED"
    assert oracle.reason == "3 trials in a row failed"
    again = oracle_in(tmp_path, oracle="random")
    assert rest_of(again) == ["4", "5"]
    assert not again.reason


def test_rejections_without_end_end_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("tuner.oracles.MOST_REJECTED", 20)
    oracle = oracle_in(tmp_path, oracle="random")
    while (trial := oracle.create_trial("worker-0")).status == "RUNNING":
        reject(oracle, trial)
    assert oracle.reason == "20 trials in a row were over budget"
    assert len(oracle.trials) == 20


def test_a_trial_whose_process_was_killed_is_given_once_more(tmp_path: Path):
    oracle = oracle_in(tmp_path, oracle="random")
    trial = oracle.create_trial("worker-0")
    end(oracle, trial, "INVALID")
    assert oracle.create_trial("worker-0").trial_id == trial.trial_id
    end(oracle, trial, "INVALID")
    assert oracle.trials[trial.trial_id].status == "FAILED"
    assert oracle.create_trial("worker-0").trial_id != trial.trial_id


def test_no_trial_begins_after_the_minutes_of_all_starts(tmp_path: Path):
    oracle = oracle_in(tmp_path, minutes=1.0)
    trial = oracle.create_trial("worker-0")
    oracle._began -= 59
    oracle.save()
    again = oracle_in(tmp_path, minutes=1.0)
    assert 59 <= again.seconds < 60
    again._began -= 2
    # What had begun is finished.
    assert again.create_trial("worker-0").trial_id == trial.trial_id
    finish(again, trial)
    assert again.create_trial("worker-0").status == "STOPPED"
    assert rest_of(oracle_in(tmp_path, minutes=10.0))


def test_a_call_that_fails_does_not_lock_the_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    oracle = oracle_in(tmp_path)
    trial = oracle.create_trial("worker-0")
    with monkeypatch.context() as full:
        full.setattr("tuner.oracles.write_json", _full)
        with pytest.raises(OSError, match="no space"):
            finish(oracle, trial)
    assert isinstance(oracle.broken, OSError)
    assert keras_tuner.src.engine.oracle.THREADS[oracle] is None
    assert not keras_tuner.src.engine.oracle.LOCKS[oracle].locked()


def test_a_full_disk_while_a_lost_worker_is_noted_does_not_lock_the_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    oracle = oracle_in(tmp_path)
    oracle.create_trial("worker-0")
    with monkeypatch.context() as full:
        full.setattr("tuner.oracles.write_json", _full)
        with pytest.raises(OSError, match="no space"):
            oracle.release_lost(-1)
    assert isinstance(oracle.broken, OSError)
    assert not keras_tuner.src.engine.oracle.LOCKS[oracle].locked()


def _full(path: Path, content: Any) -> None:
    raise OSError("no space left on device")


def test_its_state_is_replaced_whole(tmp_path: Path):
    oracle = oracle_in(tmp_path)
    oracle.create_trial("worker-0")
    path = tmp_path / "oracle/oracle.json"
    with path.open() as before:
        oracle.create_trial("worker-1")
        # What was open is the old file: it was not written over.
        assert len(json.load(before)["ongoing_trials"]) == 1
    assert len(json.loads(path.read_text())["ongoing_trials"]) == 2
