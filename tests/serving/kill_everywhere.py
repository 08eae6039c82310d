"""Kills commands of the registry before each of their steps on the disk, in turn.

    python -m tests.serving.kill_everywhere OUT

Prints, as JSON, how many steps were struck by command, and what was wrong after any.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from serving.inspecting import label_faults
from serving.integrity import is_sealed
from serving.versions import Registry
from tests.killing import run_killed

STEPS = ("fsync", "rename", "replace", "unlink", "rmdir")

ACTIONS: dict[str, Callable[[Registry], object]] = {
    "publish": lambda registry: publish(registry),
    "promote": lambda registry: registry.promote(2),
    "rollback": lambda registry: registry.rollback(),
    "prune": lambda registry: registry.prune(0),
}


def publish(registry: Registry) -> int:
    with registry.workspace() as workspace:
        prepared = workspace / "model"
        (prepared / "variables").mkdir(parents=True)
        for name in ("saved_model.pb", "variables/variables.index"):
            (prepared / name).write_bytes(os.urandom(100))
        return registry.publish(prepared)


def prepare(registry: Registry, action: str) -> None:
    """What is there before the command: nothing for the very first publish."""
    if action != "publish":
        for _ in range(4):
            publish(registry)
    if action in ("rollback", "prune"):
        registry.promote(3)


def served(registry: Registry) -> set[int]:
    """Versions that a server would load now."""
    config = registry.root / "models.config"
    text = config.read_text() if config.is_file() else ""
    return {int(number) for number in re.findall(r"versions: (\d+)", text)}


def wrong(registry: Registry) -> list[str]:
    """What is wrong right after the kill, before any other command mends it."""
    there = registry.versions()
    found = [f"{version}: {registry.faults(version)}" for version in there]
    found = [told for told in found if not told.endswith("[]")]
    found += [
        f"{version} has no digests"
        for version in there
        if not is_sealed(registry.folder / str(version))
    ]
    named = served(registry) | set(registry.labels().values())
    return found + [f"{version} is gone" for version in named - set(there)]


def wrong_after(registry: Registry) -> list[str]:
    """What is wrong once another version was published."""
    highest = max(registry.versions(), default=0)
    found = wrong(registry) if publish(registry) > highest else ["a number again"]
    found += label_faults(registry)
    if not registry.labels():
        found.append("nothing is stable")
    left = [path.name for path in registry.root.glob(".preparing-*")]
    return found + [f"left behind: {name}" for name in left]


def main(out: Path) -> None:
    struck, bad = {}, []
    for action in ACTIONS:
        step = 0
        while True:
            registry = Registry(out / f"{action}-{step}")
            prepare(registry, action)
            killed = run_killed(partial(ACTIONS[action], registry), STEPS, step)
            told = wrong(registry) + wrong_after(registry)
            bad += [f"{action} killed at step {step}: {each}" for each in told]
            shutil.rmtree(registry.root)
            if not killed:
                break
            step += 1
        struck[action] = step
    print(json.dumps({"struck": struck, "wrong": bad}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
