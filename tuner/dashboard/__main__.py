"""Shows a search while it runs: its page and TensorBoard, both on loopback.

    python -m tuner.dashboard [--name NAME] [--port 6007] [--tensorboard-port 6006]

Ctrl+C ends both; the search goes on.
"""

import dataclasses
import logging
import signal
import sys
import threading
import warnings
from pathlib import Path
from types import FrameType
from typing import Final

from pipeline.command import INTERRUPTED, run_command
from tuner.dashboard.content import changed
from tuner.dashboard.page import write_page
from tuner.dashboard.server import HOST, listen, serving
from tuner.trials import FILE

EVERY: Final = 3.0
"""Seconds between two looks for what has changed."""

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, slots=True)
class DashboardConfig:
    """Shows a search while it runs.

    Attributes:
        name: Of the search; the one that changed last where it is not given.
        root: Folder of the searches.
        port: Of the page, on 127.0.0.1.
        tensorboard_port: Of TensorBoard, on 127.0.0.1.
    """

    name: str | None = None
    root: Path = Path("runs/tune")
    port: int = 6007
    tensorboard_port: int = 6006

    def __post_init__(self) -> None:
        for name in ("port", "tensorboard_port"):
            if not 1 <= getattr(self, name) <= 65535:
                raise ValueError(
                    f"{name} must be in 1–65535, got {getattr(self, name)}"
                )
        if self.port == self.tensorboard_port:
            raise ValueError(
                f"port and tensorboard_port are both {self.port}; name two"
            )

    def search(self) -> Path:
        """Returns the folder of the search.

        Raises:
            FileNotFoundError: There is none, or it has no trial yet.
        """
        begun = {path.parents[1] for path in self.root.glob(f"*/trial-*/{FILE}")}
        if self.name is None:
            if not begun:
                raise FileNotFoundError(
                    f"no search in {self.root} has a trial yet; `make tune` starts "
                    "one, --root names another folder"
                )
            return max(begun, key=changed)
        folder = self.root / self.name
        if folder in begun:
            return folder
        if folder.is_dir():
            raise FileNotFoundError(
                f"search {self.name} in {self.root} has no trial yet; wait for its "
                "first one, or start it again"
            )
        names = ", ".join(sorted(path.name for path in begun)) or "none"
        raise FileNotFoundError(
            f"there is no search {self.name} in {self.root}; it holds: {names}"
        )


def show(config: DashboardConfig) -> int:
    """Serves until a signal ends it.

    Returns:
        130 after Ctrl+C, 0 after SIGTERM.

    Raises:
        FileNotFoundError: There is no search, or no trial.
        ValueError: A file is none of a trial.
        OSError: A port is taken, or the page cannot be written.
    """
    search = config.search()
    seen = changed(search)
    page = write_page(search)
    stop = threading.Event()
    received: list[int] = []

    def end(number: int, frame: FrameType | None) -> None:
        received.append(number)
        stop.set()

    listen(config.tensorboard_port, "--tensorboard-port").close()
    with serving(page, config.port):
        _log.info("search %s: http://%s:%d", search.name, HOST, config.port)
        address = _tensorboard(search, config.tensorboard_port)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, end)
        _log.info("TensorBoard: %s#hparams; Ctrl+C ends both", address)
        while not stop.wait(EVERY):
            try:
                if (now := changed(search)) != seen:
                    seen = now
                    write_page(search)
            except (OSError, ValueError) as error:  # what is shown stays
                _log.error("the page stays as it was: %s", error)
    return INTERRUPTED if received[0] == signal.SIGINT else 0


def _tensorboard(search: Path, port: int) -> str:
    """Starts TensorBoard in threads of this process, so that it ends with it.

    Returns:
        Its address.
    """
    # Here, not above: it takes seconds, finding no search should not.
    with warnings.catch_warnings():
        # It says on every start that it needs the setuptools that is locked.
        warnings.filterwarnings("ignore", message="pkg_resources is deprecated")
        from tensorboard import default, program

    for chatty in ("tensorboard", "werkzeug"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    board = program.TensorBoard(default.get_plugins())
    # Its fast loader is a program of its own, which a kill would leave behind.
    board.configure(
        logdir=str(search),
        host=HOST,
        port=port,
        load_fast="false",
        reload_interval=EVERY,
    )
    try:
        address: str = board.launch()
    except program.TensorBoardServerException as error:
        raise OSError(f"TensorBoard does not start: {error}") from error
    return address


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(DashboardConfig, show, prog="python -m tuner.dashboard")


if __name__ == "__main__":
    sys.exit(main())
