"""Searches by several processes, and what is left of them after `kill -9`."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tuner.trials import learning_curve, load_trials

ROOT = Path(__file__).parents[2]


def words_of(
    shards: Path, root: Path, trials: int, *more: object, epochs: int = 2
) -> list[str]:
    words = ["--name", "tiny", "--shards", shards, "--root", root, "--trials", trials]
    words += ["--oracle", "random", "--epochs", epochs, "--batch-size", "20"]
    words += ["--narrow", "blocks=2", "filters=16", "dense_layers=0", *more]
    return [sys.executable, "-m", "tuner.search", *map(str, words)]


@pytest.fixture
def start() -> Iterator[Callable[[list[str]], "subprocess.Popen[bytes]"]]:
    """Starts searches; those left are killed, and their processes end with them."""
    started: list[subprocess.Popen[bytes]] = []

    def start(words: list[str]) -> "subprocess.Popen[bytes]":
        started.append(subprocess.Popen(words, cwd=ROOT))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def until(found: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    """Waits for something that a search does."""
    while not found():
        assert process.poll() is None, f"it ended with {process.returncode}"
        time.sleep(0.05)


def member(crew: "subprocess.Popen[bytes]", name: str) -> psutil.Process | None:
    """The chief or a worker of a crew; None where it does not run just now."""
    for child in psutil.Process(crew.pid).children():
        try:
            if child.environ().get("KERASTUNER_TUNER_ID") == name:
                return child
        except psutil.Error:
            continue
    return None


def kill(crew: "subprocess.Popen[bytes]", name: str) -> None:
    found = member(crew, name)
    assert found is not None
    found.kill()


def runs(process: psutil.Process) -> bool:
    """Whether it does: one that has ended may wait as a zombie for its parent."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def training(folder: Path) -> set[str]:
    """Trials that have begun to train and not ended."""
    return {
        trial.name
        for trial in load_trials(folder)
        if trial.status == "running" and (folder / trial.name / "config.json").is_file()
    }


def ended(folder: Path) -> int:
    return sum(trial.status != "running" for trial in load_trials(folder))


def assert_each_counted_once(folder: Path, trials: int, epochs: int = 2) -> None:
    found = load_trials(folder)
    assert [trial.status for trial in found] == ["completed"] * trials
    state = json.loads((folder / "oracle/oracle.json").read_text())
    assert Counter(state["end_order"]) == Counter({str(n): 1 for n in range(trials)})
    assert state["ongoing_trials"] == {}
    for trial in found:
        curve = learning_curve(folder, trial.name)
        assert [each["epoch"] for each in curve] == list(range(1, epochs + 1))


@pytest.mark.timeout(900)
def test_a_search_outlives_its_chief_and_a_worker(shards: Path, tmp_path: Path, start):
    folder = tmp_path / "tiny"
    crew = start(words_of(shards, tmp_path, 4, "--workers", "3"))
    until(lambda: len(training(folder)) >= 2, crew)
    victim = next(
        trial for trial in load_trials(folder) if trial.name in training(folder)
    )
    kill(crew, victim.worker)
    kill(crew, "chief")
    assert crew.wait() == 0
    assert_each_counted_once(folder, 4)
    again = {trial.name: trial.worker for trial in load_trials(folder)}
    assert again[victim.name] == victim.worker
    assert (folder / "winner.json").is_file()


@pytest.mark.timeout(900)
def test_a_search_goes_on_after_ctrl_c_and_after_a_kill_of_all_in_a_single_process(
    shards: Path, tmp_path: Path, start
):
    folder = tmp_path / "tiny"
    words = words_of(shards, tmp_path, 2, "--workers", "1", epochs=8)
    crew = start(words)
    # The first step takes longer than a training that was told to stop may.
    until(lambda: bool(learning_curve(folder, "trial-0000")), crew)
    crew.send_signal(signal.SIGINT)
    assert crew.wait() == 130
    assert (folder / "trial-0000/checkpoints/last.npz").is_file()
    crew = start(words)
    members = psutil.Process(crew.pid)
    # A chief, a worker, a trial.
    until(lambda: len(members.children(recursive=True)) >= 3, crew)
    everyone = members.children(recursive=True)
    crew.kill()
    end = time.monotonic() + 60
    while any(map(runs, everyone)):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert start(words_of(shards, tmp_path, 2, epochs=8)).wait() == 0
    assert_each_counted_once(folder, 2, epochs=8)


@pytest.mark.timeout(900)
def test_memory_of_the_search_process_does_not_grow(
    shards: Path, tmp_path: Path, start
):
    """Most trials are rejected, which costs the search as much as one that trains."""
    folder = tmp_path / "tiny"
    narrow = ("filters=16,32,48,64,96,128", "kernel=2,5")
    words = words_of(shards, tmp_path, 2, *narrow, "--parameters", "4000")
    process = start([*words, "--seed", "2"])
    until(lambda: ended(folder) >= 2, process)  # everything is loaded by then
    watched = psutil.Process(process.pid)
    resident = []
    while process.poll() is None:
        with contextlib.suppress(psutil.Error):
            resident.append(watched.memory_info().rss / 2**20)
        time.sleep(0.1)
    assert process.returncode == 0
    assert ended(folder) >= 20
    grown = max(resident) - resident[0]
    assert grown < 40, f"{grown:.0f} MiB over {ended(folder)} trials"


def test_workers_and_chief_that_cannot_begin_end_with_code_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], start
):
    crew = start(words_of(tmp_path / "none", tmp_path, 2, "--workers", "1"))
    assert crew.wait() == 2
    assert "make shards" in capfd.readouterr().err
    assert list(tmp_path.iterdir()) == []
