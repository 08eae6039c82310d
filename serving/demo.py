"""The last step of `make demo`: serves its model and the released one, side by side.

None of the scans was seen in training: real ones that installed packages carry, freshly
simulated heads, and MRI_REAL_DATA where it is set. They go the way of a user's scan:
file, client, gRPC, embedded server.
"""

import contextlib
import dataclasses
import os
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from mri_contrast import Answer, Client, MriContrastError
from mri_contrast.verdict import UNSURE
from pipeline.command import run_command
from pipeline.evaluate import real_scans
from pipeline.released import RELEASED, newest_version
from pipeline.sources import find_scans
from serving.versions import NAME

OUTCOMES: Final = ("right", "unsure", "wrong", "refused")

_CARRIED = (
    ("nilearn.datasets.data", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz", "T1"),
    ("nibabel.tests.data", "anatomical.nii", "T1"),
    ("nibabel.tests.data", "example4d.nii.gz", "other"),
    ("pydicom.data.test_files", "CT_small.dcm", "other"),
    ("pydicom.data.test_files", "MR_small.dcm", "other"),
    ("pydicom.data.test_files", "examples_overlay.dcm", "other"),
)
"""Package, file and contrast of real scans that the installation brings along: a T1
average, a T1's centre, an echo-planar image, a CT and two MRIs of other organs. The
average shows the anatomy that simulated heads are bent from, but is no simulation."""


@dataclasses.dataclass(frozen=True, slots=True)
class DemoConfig:
    """Identifies scans that neither the demo's model nor the released one has seen.

    Attributes:
        fresh: Folder of `python -m pipeline.phantom`, made with another seed.
        models: Root of the registry.
        released: Folder of the released model; nothing is compared where it is missing.
        run: The run that was published; only named in the last lines.
        shards: What it was trained on; only named in the last lines.
    """

    fresh: Path = Path("data/demo/fresh")
    models: Path = Path("models")
    released: Path = RELEASED
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


@dataclasses.dataclass(slots=True)
class Contender:
    """A model that is asked, and how it does.

    Attributes:
        name: What the table calls it.
        client: Asks it.
        version: That answered last.
        counts: Of outcomes.
    """

    name: str
    client: Client
    version: int | None = None
    counts: Counter[str] = dataclasses.field(default_factory=Counter)

    def ask(self, scan: Unseen) -> tuple[str, str]:
        """Returns the cells of the table: verdict and probability."""
        try:
            answer = self.client.identify(scan.path)
        except MriContrastError:
            self.counts["refused"] += 1
            return "refused", ""
        self.version = answer.model_version
        outcome = _outcome(scan, answer)
        self.counts[outcome] += 1
        mark = " WRONG" if outcome == "wrong" else ""
        return f"{answer.contrast}{mark}", f"{answer.probability:.3f}"

    def summary(self) -> str:
        """The counts, in words."""
        counts = ", ".join(f"{self.counts[name]} {name}" for name in OUTCOMES)
        return f"{self.name}: {counts}"


def demo(config: DemoConfig) -> None:
    """Serves, identifies, prints the table and what to do next."""
    scans = list(unseen_scans(config.fresh))
    console = Console()
    with contextlib.ExitStack() as held:
        base = config.models / NAME
        contenders = [Contender("demo", held.enter_context(_served(base)))]
        if newest_version(config.released) is not None:
            asked = held.enter_context(_served(config.released))
            contenders.append(Contender("released", asked))
        console.print(_table(contenders, scans))
    for contender in contenders:
        console.print(contender.summary())
    if len(contenders) == 1:
        console.print(f"no released model to compare with: {config.released} is empty")
    console.print("Probabilities are calibrated on simulated scans.")
    console.print(
        f"\nMade: {config.shards} (training slices), {config.run} (the run, with "
        f"evaluation.json), {base}/{contenders[0].version} (the served model)."
        "\nNext: make serve, then in another terminal: make identify SCAN=your.nii.gz"
        "\n      make help lists everything else."
    )


@contextlib.contextmanager
def _served(base: Path) -> Iterator[Client]:
    """Serves the newest version in a folder on any free port, and connects to it."""
    from serving.server.config import ServerConfig
    from serving.server.embedded import EmbeddedServer

    config = ServerConfig(
        port=0, rest_api_port=None, model_name=NAME, model_base_path=base
    )
    with (
        EmbeddedServer(config) as (port, _),
        Client(f"127.0.0.1:{port}") as client,
    ):
        client.wait_until_ready()
        yield client


def _table(contenders: Sequence[Contender], scans: Sequence[Unseen]) -> Table:
    """One row a scan, two columns a model."""
    table = Table(title="Verdicts on scans that no model here has seen in training")
    table.add_column("scan", overflow="fold")  # a name cut short names nothing
    table.add_column("it is")
    for contender in contenders:
        table.add_column(contender.name, no_wrap=True)
        table.add_column("prob.", justify="right")
    for scan in scans:
        cells = [cell for contender in contenders for cell in contender.ask(scan)]
        table.add_row(f"{scan.group}: {scan.path.name}", scan.contrast, *cells)
    return table


def _outcome(scan: Unseen, answer: Answer) -> str:
    if answer.contrast == UNSURE:
        return "unsure"
    return "right" if answer.contrast == scan.contrast else "wrong"


def main() -> int:
    """Runs the command and returns its exit code."""
    return run_command(DemoConfig, demo, prog="python -m serving.demo")


if __name__ == "__main__":
    sys.exit(main())
