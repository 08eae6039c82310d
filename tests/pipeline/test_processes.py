"""Another program of ours: what it is given, how it is stopped, how it fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.command import INTERRUPTED
from pipeline.processes import must_run, run_apart

ROOT = Path(__file__).parents[2]

SAVES = """
import os, pathlib, signal, sys, time
def save(number, frame):
    with open("saved", "a") as file:
        file.write(signal.Signals(number).name)
    time.sleep(0.3)
    sys.exit(130)
signal.signal(signal.SIGTERM, save)
pathlib.Path("ready").touch()
time.sleep(60)
"""

PARENT = """
import sys
from pipeline.command import run_command
from pipeline.processes import must_run
from dataclasses import dataclass
@dataclass
class Config:
    pass
sys.exit(run_command(Config, lambda _: must_run("saves"), prog="x"))
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stop_lets_the_program_save_and_is_no_traceback(
    number: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "saves.py").write_text(SAVES)
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (tmp_path / "ready").exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    process.send_signal(number)
    _, errors = process.communicate()
    assert (process.returncode, errors) == (INTERRUPTED, "interrupted\n")
    assert (tmp_path / "saved").read_text() == "SIGTERM"


def test_its_input_variables_and_code_are_passed_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reads.py").write_text(
        "import os, sys; assert sys.stdin.buffer.read(5) == b'given'; "
        "sys.exit(int(os.environ['CODE']) + int(sys.argv[1]))"
    )
    assert run_apart("reads", 3, given=b"given", environment={"CODE": "4"}) == 7


def test_a_program_that_fails_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "fails.py").write_text("raise SystemExit(3)")
    with pytest.raises(ValueError, match=r"`python -m fails 'a b'` failed with code 3"):
        must_run("fails", "a b")


ORPHAN = """
import os, pathlib, sys, time
from pipeline.processes import end_with_parent
end_with_parent()
pathlib.Path("pid.part").write_text(str(os.getpid()))
os.rename("pid.part", "pid")
time.sleep(60)
"""


def test_a_program_that_watches_its_input_ends_with_a_killed_parent(
    tmp_path: Path,
) -> None:
    (tmp_path / "orphan.py").write_text(ORPHAN)
    process = subprocess.Popen(
        [sys.executable, "-c", PARENT.replace("saves", "orphan")],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)])},
        start_new_session=True,
    )
    while not (tmp_path / "pid").exists():
        assert process.poll() is None
        time.sleep(0.01)
    child = int((tmp_path / "pid").read_text())
    process.kill()
    process.wait()
    end = time.monotonic() + 10
    while alive(child):
        assert time.monotonic() < end
        time.sleep(0.01)


def alive(process: int) -> bool:
    """Whether it runs: one that has ended may wait as a zombie for whom it was left."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
