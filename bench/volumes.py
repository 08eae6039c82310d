"""From a file to the verdict, against what cannot be done without."""

import gzip
import statistics
from pathlib import Path
from typing import Final

import nibabel
import numpy as np
import scipy.ndimage
from numpy.typing import NDArray

from bench import servers
from bench.asking import MODEL
from bench.load import percentile
from bench.results import Row, at_most
from bench.serving import Bare, in_turns
from bench.timing import Effort
from mri_contrast import Client, read_scan
from mri_contrast.slices import cut
from pipeline.phantom import PhantomConfig, phantom_scans
from serving.server.session import LoadedModel

SIDE: Final = 256


def measure(model: Path, folder: Path, effort: Effort) -> Row:
    """Identifies a simulated scan of 256³ voxels again and again.

    Args:
        model: A version of the model.
        folder: Where the scan is kept.
        effort: How long, and how often.
    """
    scan = volume(folder)
    bare = Bare(LoadedModel(model))
    slices = cut(read_scan(scan))
    call = bare.ask(slices)

    def least() -> None:
        gzip.decompress(scan.read_bytes())
        call()

    with (
        servers.started(
            servers.OURS, "plain", model, slices, bare.values(slices)
        ) as ours,
        Client(f"127.0.0.1:{ours.port}", model=MODEL, timeout=120) as client,
    ):

        def identify() -> None:
            client.identify(scan)

        rounds = [
            in_turns({"identify": identify, "least": least}, effort.seconds)
            for _ in range(effort.repeats)
        ]
    middles = [{n: percentile(took[n], 0.5) for n in took} for took in rounds]
    ours_ms, least_ms = (
        statistics.median(each[name] for each in middles)
        for name in ("identify", "least")
    )
    return at_most(
        "identify.volume",
        statistics.median(each["identify"] / each["least"] for each in middles),
        1.5,
        f"`identify` of a {SIDE}³ .nii.gz of {scan.stat().st_size / 1e6:.1f} MB by a "
        f"server on the same cores {ours_ms:.0f} ms; unzipping it and a call of the "
        f"session with its {len(slices)} slices {least_ms:.0f} ms; calls alternate, "
        f"p50; limit: unzipping; median of {effort.repeats} rounds of at least "
        f"{effort.seconds:g} s",
    )


def volume(folder: Path) -> Path:
    """Writes the scan, where it is not there yet: int16, as scanners' files are."""
    path = folder / f"volume-{SIDE}.nii.gz"
    if not path.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        unfinished = folder / "unfinished.nii.gz"
        image = nibabel.Nifti1Image(_voxels(), np.eye(4))
        nibabel.save(image, unfinished)
        unfinished.rename(path)
    return path


def _voxels() -> NDArray[np.int16]:
    scan = phantom_scans(PhantomConfig(subjects=1))[0].read()
    values = np.asarray(scan.voxels, np.float32)
    sides = [SIDE / side for side in values.shape]
    large = scipy.ndimage.zoom(values, sides, order=1)[:SIDE, :SIDE, :SIDE]
    large *= 1000 / large.max()
    # Noise everywhere, as magnitude images have: without it the file would be tiny.
    noise = np.random.default_rng(0).normal(0, 8, (2, *large.shape)).astype(np.float32)
    return np.hypot(large + noise[0], noise[1]).astype(np.int16)
