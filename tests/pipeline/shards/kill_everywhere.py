"""Builds shards again and again, killed a few steps on the disk later each time.

    python -m tests.pipeline.shards.kill_everywhere SCANS OUT STRIDE

Processes are forked from one that has loaded what they need: each costs its work alone.
"""

import json
import os
import random
import signal
import sys
from pathlib import Path

import pipeline.records  # noqa: F401
from pipeline.shards import ShardsConfig, build
from pipeline.sources import find_scans

STEPS = ("fsync", "replace", "unlink")


def run(data: Path, out: Path, kill_at: int | None) -> bool:
    """Builds in a process that kills itself before a step; tells whether it did."""
    child = os.fork()
    if not child:
        if kill_at is not None:
            count(kill_at)
        sizes = {"shard_megabytes": 0.2, "scans_per_job": 4}
        build(find_scans(data), ShardsConfig(out, data, workers=1, **sizes))
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, f"the build failed: {status}"
    return killed


def count(kill_at: int) -> None:
    left = kill_at

    def wrapped(step):
        def counted(*arguments, **named):
            nonlocal left
            left -= 1
            if left < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*arguments, **named)

        return counted

    for name in STEPS:
        setattr(os, name, wrapped(getattr(os, name)))


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def main(data: Path, out: Path, stride: int) -> None:
    run(data, out / "whole", None)
    whole = content(out / "whole")
    kills, different = [], []
    step = random.randrange(stride)
    while run(data, out / f"{step}", step):
        run(data, out / f"{step}", None)
        if content(out / f"{step}") != whole:
            different.append(step)
        kills.append(step)
        step += stride
    report = {"kills": kills, "shards": len(whole) - 2, "different": different}
    print(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))
