"""What is known of the trials of a search: one small file in the folder of each.

    runs/tune/NAME/trial-0007/trial.json

Everything that shows or judges a search reads these files, and never KerasTuner's own:
they are written whole, they say why a trial failed, and they outlive its versions.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any, Final, Literal

from pipeline.files import write_json

FILE: Final = "trial.json"

Status = Literal["running", "completed", "failed", "rejected"]
"""`rejected`: over a budget, so it was not trained."""


@dataclasses.dataclass(frozen=True, slots=True)
class Trial:
    """One trial, as far as it is known.

    Attributes:
        name: Of its folder, `trial-0007`.
        status: Where it stands.
        values: Hyper-parameters by their name in the space, `tuner/epochs` and the like
            left out.
        worker: Who trained it.
        epochs: It may train.
        parameters: Of its network.
        milliseconds: A slice takes in use, 24 at a time.
        score: Lowest validation loss, None until it is completed.
        accuracy: Validation accuracy of that epoch.
        seconds: It took, None while it runs.
        memory_mib: Peak of its process.
        started: Seconds since 1970.
        message: Why it failed or was rejected.
    """

    name: str
    status: Status
    values: dict[str, Any]
    worker: str
    epochs: int
    parameters: int | None = None
    milliseconds: float | None = None
    score: float | None = None
    accuracy: float | None = None
    seconds: float | None = None
    memory_mib: float | None = None
    started: float = 0.0
    message: str = ""

    def save(self, search: Path) -> None:
        """Writes it into its folder below that of the search."""
        write_json(search / self.name / FILE, dataclasses.asdict(self))


def load_trials(search: Path) -> list[Trial]:
    """Reads all trials of a search, in the order of their names.

    Args:
        search: Folder of the search.

    Raises:
        ValueError: A file is none of a trial.
    """
    found = []
    for path in sorted(search.glob(f"trial-*/{FILE}")):
        try:
            found.append(Trial(**json.loads(path.read_text())))
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{path} is no trial of a search ({error}); delete it, or restore it"
            ) from error
    return found


def learning_curve(search: Path, name: str) -> list[dict[str, float]]:
    """What a trial's run noted after each epoch; empty before the first."""
    path = search / name / "metrics.jsonl"
    if not path.is_file():
        return []
    lines = path.read_text().splitlines()
    return [json.loads(line) for line in lines if line.endswith("}")]
