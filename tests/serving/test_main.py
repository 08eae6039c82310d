"""The server as a process: its exit codes, signals and first words."""

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

COMMAND = [sys.executable, "-m", "serving.server"]


def run(*arguments: str) -> tuple[int, list[str]]:
    """Returns the exit code and the lines that were said."""
    done = subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    return done.returncode, done.stderr.splitlines()


def free_ports() -> list[str]:
    any_port = ("127.0.0.1", 0)
    with socket.create_server(any_port) as one, socket.create_server(any_port) as two:
        ports = [one.getsockname()[1], two.getsockname()[1]]
    return [f"--port={ports[0]}", f"--rest_api_port={ports[1]}"]


@pytest.fixture
def process(adders) -> Iterator[subprocess.Popen[str]]:
    """A server that has opened its ports."""
    started = subprocess.Popen(
        [
            *COMMAND,
            f"--model_base_path={adders}",
            *free_ports(),
        ],
        stderr=subprocess.PIPE,
        text=True,
    )
    said: queue.Queue[str] = queue.Queue()
    assert started.stderr is not None
    reader = threading.Thread(target=lambda: [said.put(x) for x in started.stderr])
    reader.start()
    while "REST on 127.0.0.1" not in said.get(timeout=120):
        pass
    yield started
    started.kill()
    reader.join()
    started.stderr.close()


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)]
)
def test_a_stop_signal_ends_the_server_with_its_code(process, number, code):
    process.send_signal(number)
    assert process.wait(timeout=30) == code


@pytest.mark.parametrize(
    "flag",
    ["--model_base_path=models/none", "--model_config_file=models/models.config"],
)
def test_no_published_model_is_one_line_that_says_what_to_do(tmp_path, flag):
    name, path = flag.split("=")
    code, said = run(f"{name}={tmp_path / path}", "--port=0", "--rest_api_port=8501")
    assert code == 2
    (line,) = said
    assert line.startswith("error: ")
    assert "make publish" in line


def test_labels_at_the_start_need_their_flag(adders, tmp_path):
    path = tmp_path / "models.config"
    path.write_text(
        f'model_config_list {{ config {{ name: "adder" base_path: "{adders}" '
        'model_platform: "tensorflow" version_labels { key: "stable" value: 3 } } }'
    )
    code, said = run(f"--model_config_file={path}")
    assert code == 2
    assert "--allow_version_labels_for_unavailable_models" in said[-1]


def test_a_taken_port_is_one_line_that_names_it(adders):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, said = run(
            f"--model_base_path={adders}",
            f"--port={port}",
            "--rest_api_port=0",
        )
    assert code == 2
    assert f"port {port} of 127.0.0.1 is taken" in said[-1]
