"""Kills commands of the registry before each of their steps on the disk, in turn.

    python -m tests.serving.kill_everywhere OUT

Prints, as JSON, how many steps were struck by command, and what was wrong after any.
"""

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from serving.inspecting import faults, label_faults
from serving.integrity import is_sealed
from serving.versions import Registry

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


def run(action: str, registry: Registry, kill_at: int) -> bool:
    """Runs a command in a process that kills itself; tells whether it did."""
    child = os.fork()
    if not child:
        count(kill_at)
        ACTIONS[action](registry)
        os._exit(0)
    status = os.waitpid(child, 0)[1]
    killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
    assert killed or status == 0, f"{action} failed: {status}"
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


def served(registry: Registry) -> set[int]:
    """Versions that a server would load now."""
    config = registry.root / "models.config"
    text = config.read_text() if config.is_file() else ""
    return {int(number) for number in re.findall(r"versions: (\d+)", text)}


def wrong(registry: Registry) -> list[str]:
    """What is wrong right after the kill, before any other command mends it."""
    there = registry.versions()
    found = [f"{version}: {faults(registry, version)}" for version in there]
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
            killed = run(action, registry, step)
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
