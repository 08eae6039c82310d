"""Which part of a search this process does, by KerasTuner's own variables.

    KERASTUNER_TUNER_ID       `chief`, or the stable name of a worker: `worker-0`
    KERASTUNER_ORACLE_IP      where the chief listens and workers find it
    KERASTUNER_ORACLE_PORT

A worker that is started again under its name gets its trial back. Without the
variables a search is a single process.
"""

import dataclasses
import os
import re
from collections.abc import Mapping
from typing import Final, Literal

TUNER_ID: Final = "KERASTUNER_TUNER_ID"
ORACLE_IP: Final = "KERASTUNER_ORACLE_IP"
ORACLE_PORT: Final = "KERASTUNER_ORACLE_PORT"
CHIEF: Final = "chief"
SINGLE: Final = "tuner0"
"""KerasTuner's name for a search in a single process."""


@dataclasses.dataclass(frozen=True, slots=True)
class Role:
    """What this process does.

    Attributes:
        kind: All of it, propose trials, or train them.
        name: By which the oracle knows it.
    """

    kind: Literal["single", "chief", "worker"]
    name: str


def role(environment: Mapping[str, str] | None = None) -> Role:
    """Returns the part of this process.

    Raises:
        ValueError: Some of the variables are missing, or a name is none that KerasTuner
            takes for what it means.
    """
    given = os.environ if environment is None else environment
    names = (TUNER_ID, ORACLE_IP, ORACLE_PORT)
    missing = [name for name in names if not given.get(name)]
    if len(missing) == len(names):
        return Role("single", SINGLE)
    if missing:
        raise ValueError(
            f"{' and '.join(missing)} must be set besides "
            f"{' and '.join(name for name in names if name not in missing)}: a chief "
            "and its workers need all three, a search in one process none"
        )
    if not given[ORACLE_PORT].isdecimal() or not 0 < int(given[ORACLE_PORT]) < 65536:
        raise ValueError(
            f"{ORACLE_PORT} must be from 1 to 65535, got {given[ORACLE_PORT]!r}"
        )
    name = given[TUNER_ID]
    if name == CHIEF:
        return Role("chief", name)
    # KerasTuner takes everything that contains the word for a chief.
    if CHIEF in name or name == SINGLE or not re.fullmatch(r"[\w-][\w.-]*", name):
        raise ValueError(
            f"{TUNER_ID} must be {CHIEF!r} or a worker's name in letters, digits and "
            f"dashes without that word, the same after each restart (worker-0, "
            f"worker-1, …); got {name!r}"
        )
    return Role("worker", name)
