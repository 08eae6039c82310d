"""Builds shards again and again, killed a few steps on the disk later each time.

python -m tests.pipeline.shards.kill_everywhere SCANS OUT STRIDE
"""

import json
import random
import sys
from pathlib import Path

import pipeline.records  # noqa: F401
from pipeline.shards import ShardsConfig, build
from pipeline.sources import find_scans
from tests.killing import run_killed

STEPS = ("fsync", "replace", "unlink")


def run(data: Path, out: Path, kill_at: int | None) -> bool:
    """Builds in a process that kills itself before a step; tells whether it did."""
    config = ShardsConfig(out, data, workers=1, shard_megabytes=0.2, scans_per_job=4)
    return run_killed(lambda: build(find_scans(data), config), STEPS, kill_at)


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
