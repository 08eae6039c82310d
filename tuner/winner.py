"""What is left of a search: its best trial, and the command that trains it again."""

import dataclasses
import shlex
from pathlib import Path

from pipeline.augment import STRENGTHS, AugmentConfig
from pipeline.files import write_json
from pipeline.train import TrainConfig


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
            "hyper": dataclasses.asdict(self.training.hyper),
            "learning_rate": self.training.learning_rate,
            "weight_decay": self.training.weight_decay,
            "seed": self.training.seed,
            "manifest_sha256": self.manifest_sha256,
            "command": command(self.training),
        }
        write_json(path, content)


def command(training: TrainConfig) -> str:
    """Returns the command line that does a training, as it is typed in a shell.

    Of augmentation, the strengths are searched; what kind it is is not.
    """
    hyper = training.hyper
    options: dict[str, tuple[object, ...]] = {
        "shards": (training.shards,),
        "run": (training.run,),
        "epochs": (training.epochs,),
        "patience": (training.patience,),
        "batch-size": (training.batch_size,),
        "learning-rate": (training.learning_rate,),
        "weight-decay": (training.weight_decay,),
        "seed": (training.seed,),
        "hyper.filters": hyper.filters,
        "hyper.kernel": (hyper.kernel,),
        "hyper.dense": hyper.dense,
        "hyper.dropout": (hyper.dropout,),
        **_strengths(training.augment),
    }
    words = ["python", "-m", "pipeline.train"]
    for name, values in options.items():
        words += [f"--{name}", *(str(value) for value in values)]
    return shlex.join(words)


def _strengths(augment: AugmentConfig) -> dict[str, tuple[object, ...]]:
    """Those that are not the default's."""
    values = {name: getattr(augment, name) for name in STRENGTHS}
    return {
        f"augment.{name}": (value,)
        for name, value in values.items()
        if value != getattr(AugmentConfig(), name)
    }
