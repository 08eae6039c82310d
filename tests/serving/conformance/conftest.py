"""Black-box conformance: any server that takes TensorFlow Serving's flags.

Nothing here imports the server. It runs as a process, by default this project's own;
`--server-command` names another.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving.conformance import saved_models
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.missing import MISSING
from tests.serving.conformance.process import OWN, PATIENCE, Launcher, Server
from tests.serving.conformance.rows import ROWS

HERE = Path(__file__).parent

seen = pytest.StashKey[dict[str, set[str]]]()
"""For each test file that was collected, the rows that its tests name."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--server-command",
        default=OWN,
        help="command line with {port}, {rest_port} and {flags} (default: %(default)s)",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "row(*ids): rows of rows.py that a test checks")
    config.addinivalue_line(
        "markers", "beyond: where TensorFlow Serving is known to do less"
    )


def server_command(config: pytest.Config) -> str:
    # Absent where this folder was not named on pytest's command line.
    return str(config.getoption("--server-command", OWN))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    rows_of = config.stash.setdefault(seen, {})
    for item in items:
        if item.path.parent != HERE:
            continue
        # Of a server that starts on a busy machine, too.
        item.add_marker(pytest.mark.timeout(3 * PATIENCE))
        ids = [row for mark in item.iter_markers("row") for row in mark.args]
        rows_of.setdefault(item.path.name, set()).update(ids)
        for row in ids:
            if row not in ROWS:
                raise pytest.UsageError(f"{item.nodeid} names no row of rows.py: {row}")
            if row.startswith("beyond."):
                item.add_marker(pytest.mark.beyond)
        lacking = [row for row in ids if row in MISSING]
        if lacking and server_command(config) == OWN:
            reason = MISSING[lacking[0]]
            item.add_marker(pytest.mark.xfail(strict=True, reason=reason))


@pytest.fixture(scope="session")
def launcher(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Launcher]:
    launcher = Launcher(
        server_command(request.config), tmp_path_factory.mktemp("server")
    )
    yield launcher
    launcher.stop_all()


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base path for each model of `saved_models`, by the model's name."""
    folder = tmp_path_factory.mktemp("library")
    saved_models.write_all(folder)
    return folder


PLAIN = (
    *("half_plus_two", "half_plus_three", "number", "mixed", "text", "echo"),
    *("defaults", "convolution", "undeclared", "matrix", "modern", "slow"),
)


@pytest.fixture(scope="session")
def plain(launcher: Launcher, library: Path, tmp_path_factory) -> Server:
    """All models behind the fewest flags; shared by whatever changes nothing."""
    config = write_config(
        tmp_path_factory.mktemp("plain") / "models.config",
        *(
            Model(name, library / name, "all" if name == "number" else "")
            for name in PLAIN
        ),
    )
    return launcher.start(f"--model_config_file={config}")
