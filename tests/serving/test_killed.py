"""`kill -9` of the registry's commands: whatever the moment, what is there is whole."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from serving.inspecting import label_faults
from serving.integrity import is_sealed
from serving.registry import Registry

ROOT = Path(__file__).parents[2]

KILLS = int(os.environ.get("MRI_KILLS", "2"))
"""How often `kill -9` strikes; `MRI_KILLS=30 make test` is the long version."""

SEED = int(os.environ.get("MRI_KILL_SEED") or random.randrange(2**32))
"""What their moments are drawn from; a failure names it, to be repeated with."""


def test_a_command_killed_before_any_step_on_the_disk_leaves_a_valid_registry(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "tests.serving.kill_everywhere", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["wrong"] == []
    assert all(count >= 5 for count in report["struck"].values()), report["struck"]


def check(registry: Registry, told: str) -> None:
    """Whatever is there is whole; what is labelled is there."""
    versions = registry.versions()
    for version in versions:
        assert is_sealed(registry.folder / str(version)), told
        assert registry.faults(version) == [], told
    assert set(registry.labels().values()) <= set(versions), told


@pytest.mark.timeout(600 + 200 * KILLS)
def test_publishers_at_once_and_kill_9_at_random_moments(run_folder, tmp_path):
    registry = Registry(tmp_path / "models")
    command = [
        *(sys.executable, "-m", "serving.export", "--run", str(run_folder)),
        *("--root", str(registry.root), "--allow-unmeasured", "--max-ratio", "1000"),
    ]
    start = time.monotonic()
    publishers = [subprocess.Popen(command, cwd=ROOT) for _ in range(2)]
    assert [publisher.wait() for publisher in publishers] == [0, 0]
    lasts = (time.monotonic() - start) / 2  # of one that has the machine to itself
    assert registry.versions() == [1, 2], "two publishers at once"
    check(registry, "undisturbed")

    draw, struck, told = random.Random(SEED), 0, f"MRI_KILL_SEED={SEED}"
    for _ in range(4 * KILLS + 8):
        if struck == KILLS:
            break
        start = time.monotonic()
        publisher = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        try:
            # Half of the time goes into imports, which touch nothing.
            assert publisher.wait(draw.uniform(0.5, 1) * lasts) == 0, told
            lasts = time.monotonic() - start  # so fast: strike the next one sooner
        except subprocess.TimeoutExpired:
            publisher.kill()
            struck += publisher.wait() == -signal.SIGKILL
        check(registry, told)
    assert struck == KILLS, told

    with registry.workspace() as workspace:
        copy = Path(shutil.copytree(registry.folder / "1", workspace / "model"))
        version = registry.publish(copy, "after the kills")
    assert version == max(registry.versions())
    assert registry.labels() == {"stable": 1}
    assert label_faults(registry) == []
    assert list(registry.root.glob(".preparing-*")) == []
