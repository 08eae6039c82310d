"""The last step of `make demo`: serves the published model and identifies scans.

None of the scans was seen in training: real ones that installed packages carry, freshly
simulated heads, and MRI_REAL_DATA where it is set. They go the way of a user's scan:
file, client, gRPC, embedded server.
"""

import dataclasses
import os
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from rich.console import Console
from rich.table import Table

from mri_contrast import Answer, Client, MriContrastError
from mri_contrast.verdict import UNSURE
from pipeline.command import run_command
from pipeline.evaluate import real_scans
from pipeline.sources import find_scans

_CARRIED = (
    ("nilearn.datasets.data", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz", "T1"),
    ("nibabel.tests.data", "anatomical.nii", "T1"),
    ("nibabel.tests.data", "example4d.nii.gz", "other"),
    ("pydicom.data.test_files", "CT_small.dcm", "other"),
    ("pydicom.data.test_files", "MR_small.dcm", "other"),
    ("pydicom.data.test_files", "examples_overlay.dcm", "other"),
)
"""Package, file and contrast of real scans that the installation brings along: a T1
average, a T1's centre, an echo-planar image, a CT and two MRIs of other organs."""


@dataclasses.dataclass(frozen=True, slots=True)
class DemoConfig:
    """Identifies scans that the published model has never seen.

    Attributes:
        fresh: Folder of `python -m pipeline.phantom`, made with another seed.
        models: Root of the registry.
        run: The run that was published; only named in the last lines.
        shards: What it was trained on; only named in the last lines.
    """

    fresh: Path = Path("data/demo/fresh")
    models: Path = Path("models")
    run: Path = Path("runs/train/demo")
    shards: Path = Path("data/shards/demo")


@dataclasses.dataclass(frozen=True, slots=True)
class Unseen:
    """A scan and what it is.

    Attributes:
        group: Where it comes from.
        path: The file.
        contrast: Its class.
    """

    group: str
    path: Path
    contrast: str


def unseen_scans(fresh: Path) -> Iterator[Unseen]:
    """Lists the scans of the demo.

    Args:
        fresh: Folder of freshly simulated scans with their `labels.csv`.
    """
    for package, name, contrast in _CARRIED:
        yield Unseen("installed", Path(str(files(package) / name)), contrast)
    for scan in find_scans(fresh / "labels.csv", required=()):
        yield Unseen("simulated", fresh / scan.name, scan.contrast)
    real = os.environ.get("MRI_REAL_DATA")
    if real:
        root = Path(real) if Path(real).is_dir() else Path(real).parent
        for scan in real_scans(Path(real)):
            yield Unseen("real", root / scan.name, scan.contrast)


def demo(config: DemoConfig) -> None:
    """Serves, identifies, prints the table and what to do next."""
    from serving.server.embedded import EmbeddedServer
    from serving.server.flags import ServerConfig

    scans = list(unseen_scans(config.fresh))
    server = EmbeddedServer(
        ServerConfig(
            port=0,
            rest_api_port=None,
            model_name="mri_contrast",
            model_base_path=config.models / "mri_contrast",
        )
    )
    console = Console()
    with server as (port, _), Client(f"127.0.0.1:{port}") as client:
        client.wait_until_ready()
        version = _identify(console, client, scans)
    console.print(
        f"\nMade: {config.shards} (training slices), {config.run} (the run, with "
        f"evaluation.json), {config.models}/mri_contrast/{version} (the served model)."
        "\nNext: make serve, then in another terminal: make identify SCAN=your.nii.gz"
        "\n      make help lists everything else."
    )


def _identify(console: Console, client: Client, scans: list[Unseen]) -> int | None:
    """Prints one row a scan; returns the version that answered."""
    table = Table(title="Scans that the model has never seen")
    for heading in ("scan", "it is", "verdict", "probability", ""):
        table.add_column(heading)
    version = None
    counts = {"right": 0, "unsure": 0, "wrong": 0, "refused": 0}
    for scan in scans:
        try:
            answer = client.identify(scan.path)
        except MriContrastError as error:
            counts["refused"] += 1
            table.add_row(scan.path.name, scan.contrast, "refused", "", str(error)[:60])
            continue
        version = answer.model_version
        outcome = _outcome(scan, answer)
        counts[outcome] += 1
        table.add_row(
            f"{scan.group}: {scan.path.name}",
            scan.contrast,
            answer.contrast,
            f"{answer.probability:.3f}",
            {"right": "", "unsure": "unsure", "wrong": "WRONG"}[outcome],
        )
    console.print(table)
    console.print(
        ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
        + "; probabilities are calibrated on simulated scans"
    )
    return version


def _outcome(scan: Unseen, answer: Answer) -> str:
    if answer.contrast == UNSURE:
        return "unsure"
    return "right" if answer.contrast == scan.contrast else "wrong"


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(DemoConfig, demo, prog="python -m serving.demo")


if __name__ == "__main__":
    sys.exit(main())
