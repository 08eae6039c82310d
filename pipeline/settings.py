"""The settings of a training, and which of them a run can go on with."""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, Literal

from pipeline.augment import AugmentConfig
from pipeline.checkpoints import Checkpoint
from pipeline.devices import Devices, Kind, Precision, Switch
from pipeline.hyper import HyperParameters
from pipeline.manifest import Manifest


@dataclasses.dataclass(frozen=True, slots=True)
class TrainConfig:
    """Trains a network.

    Attributes:
        preset: Start from the settings of this name in `pipeline.presets`, or of this
            file that ends in `.json`; options that are given besides go before them.
            In a run's `config.json` it tells where the other settings came from.
        shards: Folder of shards with their manifest.
        run: Folder of the run; one that was interrupted goes on.
        epochs: Passes over the training slices, at most; or as many times
            `steps_per_epoch` steps.
        patience: Epochs without a better validation loss before training stops.
        batch_size: Slices a step, over all devices.
        accumulate: The gradient of a step is added up over so many parts, so that a
            batch need not fit into the devices at once.
        steps_per_epoch: Steps between two validations, going on through the training
            slices from where the epoch before ended; a whole pass where not given.
        validation_steps: Batches of `batch_size` validation slices, the same ones after
            every epoch; all slices where not given.
        learning_rate: Peak of a cosine schedule, or constant.
        schedule: `cosine` is a short rise and a fall to a hundredth; or `constant`.
        weight_decay: Of AdamW; 0 is Adam.
        heads_weight: What the losses of plane and gadolinium count, against 1 for
            that of the class; without `--hyper.heads` it says nothing.
        risk: Share of wrong verdicts to expect among those that are not `unsure`: what
            the least probability of a verdict is chosen for, on the validation scans.
        seed: Fixes weights, order and augmentation.
        checkpoint_seconds: Time between two checkpoints within an epoch: what a
            `kill -9` costs at most. A checkpoint takes milliseconds.
        restart: Train from the first step, whatever the run's folder holds.
        hyper: The network.
        augment: How far slices are changed.
        device: `gpu` fails where there is none; `auto` takes GPUs where there are any.
        precision: Of the activations; weights stay float32. `auto` is bfloat16 on
            GPUs since Ampere, float16 with loss scaling since Volta, else float32.
        xla: Compile the step by XLA. `auto` does so on GPUs only: on CPUs it makes
            this step 1.5 to 2 times slower.
    """

    preset: str = "default"
    shards: Path = Path("data/shards/phantom")
    run: Path = Path("runs/train/default")
    epochs: int = 12
    patience: int = 10
    batch_size: int = 32
    accumulate: int = 1
    steps_per_epoch: int | None = None
    validation_steps: int | None = None
    learning_rate: float = 2e-3
    schedule: Literal["cosine", "constant"] = "cosine"
    weight_decay: float = 1e-3
    heads_weight: float = 0.1
    risk: float = 0.02
    seed: int = 0
    checkpoint_seconds: float = 30.0
    restart: bool = False
    hyper: HyperParameters = dataclasses.field(default_factory=HyperParameters)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)
    device: Kind = "auto"
    precision: Precision | Literal["auto"] = "auto"
    xla: Switch = "auto"

    def __post_init__(self) -> None:
        for name in ("epochs", "patience", "batch_size", "accumulate"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        for name in ("steps_per_epoch", "validation_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(
                    f"{name} must be at least 1, or not be given for all there are; "
                    f"got {value}"
                )
        for name in ("learning_rate", "checkpoint_seconds"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be above 0, got {getattr(self, name)}")
        if not 0 < self.risk < 1:
            raise ValueError(f"risk must be above 0 and below 1, got {self.risk}")
        for name in ("weight_decay", "heads_weight"):
            if not 0 <= getattr(self, name) < math.inf:
                raise ValueError(
                    f"{name} must not be negative, got {getattr(self, name)}"
                )

    def identity(self, manifest: Manifest, devices: Devices) -> dict[str, Any]:
        """What the result of a training depends on."""
        content = json.loads(json.dumps(dataclasses.asdict(self), default=str))
        for name in (
            *("preset", "run", "shards", "checkpoint_seconds", "restart"),
            *("device", "xla"),
        ):
            del content[name]
        return {
            "manifest_sha256": manifest.sha256,
            "replicas": devices.replicas,
            **content,
            "precision": devices.precision,
        }


def check_same(
    config: TrainConfig, checkpoint: Checkpoint | None, identity: dict[str, Any]
) -> None:
    """Refuses a folder that holds another training, or one that cannot go on.

    Args:
        config: What is to be trained.
        checkpoint: Found in the run's folder.
        identity: Of `config`.

    Raises:
        ValueError: They differ, or there is a network and no checkpoint.
    """
    if checkpoint is None:
        if (config.run / "model.keras").is_file() and not config.restart:
            raise ValueError(
                f"{config.run} holds a network and no checkpoint to go on from; name "
                "another RUN=, or pass --restart to replace it"
            )
        return
    before = checkpoint.identity
    other = [name for name in identity if before.get(name) != identity[name]]
    if other:
        differences = "; ".join(
            f"{name} {before.get(name)} there, {identity[name]} here" for name in other
        )
        raise ValueError(
            f"{config.run} holds a training of other settings ({differences}); give "
            "the same ones to go on, name another RUN=, or pass --restart to replace it"
        )
