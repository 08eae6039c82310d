"""The released model in our server: `python -m bench.ours_host PORT SETTING`.

`batches` joins calls that wait, `plain` runs each by itself.
"""

import dataclasses
import os
import sys
import tempfile
from pathlib import Path
from typing import Final

from bench.remote import CHECKOUT
from serving.server import __main__ as server
from serving.server.config import ServerConfig

_BATCHING: Final = CHECKOUT / "serving/container/batching-cpu.config"


def settings() -> tuple[str, ...]:
    """The ways in which the server can run."""
    fields = {field.name for field in dataclasses.fields(ServerConfig)}
    return ("plain", "batches") if "enable_batching" in fields else ("plain",)


def main() -> int:
    """Serves until it is ended."""
    port, setting = sys.argv[1:]
    with tempfile.TemporaryDirectory() as name:
        base = Path(name) / "mri_contrast"
        base.mkdir()
        (base / "1").symlink_to(os.environ["BENCH_MODEL"])
        sys.argv[1:] = [
            *("--port", port, "--rest_api_port", "0"),
            *("--model_name", "mri_contrast", "--model_base_path", str(base)),
        ]
        if setting == "batches":
            sys.argv += ["--enable_batching", "--batching_parameters_file"]
            sys.argv.append(str(_BATCHING))
        return server.main()


if __name__ == "__main__":
    sys.exit(main())
