"""What `make evaluate` can be told."""

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, slots=True)
class EvaluateConfig:
    """Measures a run or an exported model: `evaluation.json` and `report.html`.

    Attributes:
        run: The run; the newest finished one if neither it nor a model is given, and
            the released model where there is none.
        model: An exported model, or a folder of versions, in place of a run.
        shards: Shards of the split; those that the run was trained on if not given.
        split: Which split: `test` or `validation`.
        real: Labelled real scans: folder, CSV file, or a folder with `manifest.csv`.
            The environment's MRI_REAL_DATA if not given; they are only measured.
        orientations: Turn every real scan in the 23 other ways, too: 24 times the work.
        hard_volumes: Scans of the split, at most, that are degraded until the model
            errs; 0 leaves that out.
        hard_wanted: So many are measured there, at least, fewer scans being degraded
            in several ways each. With 15 bins and 600 scans perfect probabilities
            would show a calibration error of 0.035 by chance alone, with 3000 of 0.016,
            and of somewhat more where these are several draws of fewer scans.
        out: Folder for both files; the run's own if not given, for an exported model
            `runs/evaluate/<its folders>`.
        batch_size: Slices at a time.
        report: Write `report.html`.
    """

    run: Path | None = None
    model: Path | None = None
    shards: Path | None = None
    split: str = "test"
    real: Path | None = None
    orientations: bool = False
    hard_volumes: int = 1200
    hard_wanted: int = 3000
    out: Path | None = None
    batch_size: int = 256
    report: bool = True

    def __post_init__(self) -> None:
        if self.split not in ("validation", "test"):
            raise ValueError(
                f"split must be validation or test, got {self.split!r}; on training "
                "slices every network looks good"
            )
        for name in ("batch_size", "hard_wanted"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}"
                )
        if self.hard_volumes < 0:
            raise ValueError(f"hard_volumes must be 0 or more, got {self.hard_volumes}")
