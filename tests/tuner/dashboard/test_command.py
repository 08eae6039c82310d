import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from pipeline.command import run_command
from tuner.dashboard import write_page
from tuner.dashboard.__main__ import DashboardConfig, show
from tuner.dashboard.server import serving

MakeSearch = Callable[[Path, int], Path]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def code_of(*arguments: object) -> int:
    return run_command(
        DashboardConfig,
        show,
        prog="python -m tuner.dashboard",
        arguments=[str(argument) for argument in arguments],
    )


@pytest.fixture
def root(make_search: MakeSearch, tmp_path: Path) -> Path:
    make_search(tmp_path / "first", 9)
    return tmp_path


def test_the_newest_search_is_taken_where_none_is_named(
    make_search: MakeSearch, root: Path
):
    old = time.time() - 1000
    for path in (root / "first").rglob("*"):
        os.utime(path, (old, old))
    newest = make_search(root / "another", 2)
    assert DashboardConfig(root=root).search() == newest
    assert DashboardConfig(root=root, name="first").search() == root / "first"


def test_no_search_ends_with_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert code_of("--root", tmp_path) == 2
    assert "`make tune` starts one" in capsys.readouterr().err


def test_another_name_ends_with_code_2_and_those_that_are_there(
    root: Path, capsys: pytest.CaptureFixture[str]
):
    assert code_of("--root", root, "--name", "secnd") == 2
    assert "no search secnd" in (told := capsys.readouterr().err)
    assert "it holds: first" in told


def test_a_search_without_trials_ends_with_code_2(
    root: Path, capsys: pytest.CaptureFixture[str]
):
    (root / "begun").mkdir()
    assert code_of("--root", root, "--name", "begun") == 2
    assert "has no trial yet" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--port", "--tensorboard-port"])
def test_a_taken_port_ends_with_code_2_and_its_option(
    option: str, root: Path, capsys: pytest.CaptureFixture[str]
):
    others = {"--port", "--tensorboard-port"} - {option}
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        words = ["--root", root, option, port, *others, free_port()]
        assert code_of(*words) == 2
    told = capsys.readouterr().err
    assert f"port {port} of 127.0.0.1" in told
    assert option in told


def test_one_port_for_both_is_refused(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit) as end:
        code_of("--port", 6006)
    assert end.value.code == 2
    assert "6006" in capsys.readouterr().err


def test_only_the_page_is_answered(root: Path):
    page = write_page(root / "first")
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with serving(page, port), httpx.Client(base_url=address, timeout=60) as client:
        for path in ("/", "/dashboard.html"):
            answer = client.get(path)
            assert answer.text == page.read_text()
            assert answer.headers["cache-control"] == "no-store"
        for path in ("/config.json", "/trial-0000/", "/trial-0000/trial.json"):
            assert client.get(path).status_code == 404
        for method in ("HEAD", "POST", "PUT", "DELETE", "OPTIONS"):
            assert client.request(method, "/").status_code == 405


def test_another_hosts_name_is_refused(root: Path):
    page = write_page(root / "first")
    port = free_port()
    named = {"Host": "elsewhere.example"}
    with serving(page, port):
        answer = httpx.get(f"http://127.0.0.1:{port}/", headers=named, timeout=60)
    assert answer.status_code == 400


def test_both_are_served_follow_the_search_and_end_with_ctrl_c(
    make_search: MakeSearch, root: Path
):
    ports = free_port(), free_port()
    words = ["--root", root, "--port", ports[0], "--tensorboard-port", ports[1]]
    with subprocess.Popen(
        [sys.executable, "-m", "tuner.dashboard", *map(str, words)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    ) as process:
        try:
            assert process.stderr is not None
            for line in process.stderr:
                if "Ctrl+C ends both" in line:
                    break
            page = f"http://127.0.0.1:{ports[0]}/"
            board = f"http://127.0.0.1:{ports[1]}/data/environment"
            assert "trial-0009" not in httpx.get(page, timeout=60).text
            assert str(root / "first") in httpx.get(board, timeout=60).text
            make_search(root / "first", 10)
            until = time.monotonic() + 120
            while "trial-0009" not in httpx.get(page, timeout=60).text:
                assert time.monotonic() < until, "the page does not follow the search"
                time.sleep(0.2)
            process.send_signal(signal.SIGINT)
            assert process.wait(120) == 130
        finally:
            process.kill()
    for port in ports:
        socket.create_server(("127.0.0.1", port)).close()
