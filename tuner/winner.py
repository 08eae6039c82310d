"""What is left of a search: its best trial, which is also a preset to train by.

make train PRESET=runs/tune/NAME/winner.json
"""

import dataclasses
import json
import shlex
from pathlib import Path
from typing import Final, Self

from pipeline.files import write_json
from pipeline.found import load_preset, settings_of
from pipeline.train import TrainConfig

FILE: Final = "winner.json"


@dataclasses.dataclass(frozen=True, slots=True)
class Winner:
    """The best trial of a search.

    Attributes:
        trial: Name of its run folder.
        objective: What was searched for.
        value: What the trial reached.
        training: Trains its network from scratch, with all its epochs.
        manifest_sha256: Digest of the manifest of the shards it was found on.
    """

    trial: str
    objective: str
    value: float
    training: TrainConfig
    manifest_sha256: str

    def save(self, path: Path) -> None:
        """Writes it as JSON."""
        content = {
            "trial": self.trial,
            "objective": {"name": self.objective, "value": self.value},
            "settings": settings_of(self.training),
            "seed": self.training.seed,
            "shards": str(self.training.shards),
            "manifest_sha256": self.manifest_sha256,
            "command": command(path, self.training),
        }
        write_json(path, content)

    @classmethod
    def load(cls, path: Path) -> Self:
        """Reads what `save` wrote.

        Raises:
            FileNotFoundError: The search has none yet.
            ValueError: The file is no winner's.
        """
        if not path.is_file():
            raise FileNotFoundError(
                f"{path.parent} has no winner; search first: make tune, or name "
                "another search"
            )
        training = load_preset(path)
        content = json.loads(path.read_text())
        try:
            return cls(
                trial=content["trial"],
                objective=content["objective"]["name"],
                value=content["objective"]["value"],
                training=dataclasses.replace(
                    training, shards=Path(content["shards"]), seed=content["seed"]
                ),
                manifest_sha256=content["manifest_sha256"],
            )
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"{path} is no winner of a search ({error!r}); start the search again, "
                "it writes it anew"
            ) from None


def command(winner: Path, training: TrainConfig) -> str:
    """Returns the command line that trains a winner, as it is typed in a shell.

    Args:
        winner: Its file.
        training: Of it; the run's folder is named by it.
    """
    options = {
        "preset": winner,
        "shards": training.shards,
        "run": training.run,
        "seed": training.seed,
    }
    words = ["python", "-m", "pipeline.train"]
    for name, value in options.items():
        words += [f"--{name}", str(value)]
    return shlex.join(words)
