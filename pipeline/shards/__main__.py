"""Writes labelled scans as TFRecord shards with a manifest.

python -m pipeline.shards --data DATA --out data/shards/NAME
python -m pipeline.shards --data DATA --mix-other 0.25 --out data/shards/NAME
python -m pipeline.shards --phantom 160 --out data/shards/NAME
python -m pipeline.shards verify --shards data/shards/NAME
python -m pipeline.shards describe --shards data/shards/NAME
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.command import run_command
from pipeline.labelled import LabelledScan
from pipeline.manifest import Manifest
from pipeline.phantom import PhantomConfig, phantom_scans
from pipeline.shards.building import build, cut_part
from pipeline.shards.cutting import REJECTED
from pipeline.shards.mixing import add_others
from pipeline.shards.planning import ShardsConfig
from pipeline.sources import find_scans
from pipeline.splits import SPLITS

_log = logging.getLogger(__name__)


def _scans(config: ShardsConfig) -> Sequence[LabelledScan]:
    if config.data is not None:
        scans = find_scans(config.data)
        if config.mix_other is None:
            return scans
        return add_others(scans, config.mix_other, config.split_config())
    assert config.phantom is not None
    return phantom_scans(
        PhantomConfig(config.phantom, config.seed, config.sealed, config.without)
    )


def _report(manifest: Manifest, folder: Path) -> None:
    for split in SPLITS:
        counts = ", ".join(f"{n} {name}" for name, n in manifest.slices[split].items())
        _log.info(
            "%s: %d subjects, %d scans, %d slices (%s)",
            split,
            manifest.subjects[split],
            sum(manifest.scans[split].values()),
            manifest.count(split),
            counts,
        )
    _log.info("%d shards in %s", len(manifest.shards), folder)
    if manifest.rejected:
        _log.warning("%d rejected: %s", manifest.rejected, folder / REJECTED)


def work(config: ShardsConfig) -> None:
    """Finds the scans, writes the shards and reports what they hold."""
    try:
        if config.part is None:
            _report(build(_scans(config), config), config.out)
        else:
            cut_part(_scans(config), config)
            _log.info("part %s is cut; when all are: --merge", config.part)
    except KeyboardInterrupt:
        _log.warning("finished work is kept: run the same command to go on")
        raise


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command, or the one that the first word names; returns its exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given[:1] == ["verify"]:
        from pipeline.shards import verify

        return verify.main(given[1:])
    if given[:1] == ["describe"]:
        from pipeline.shards import describe

        return describe.main(given[1:])
    return run_command(
        ShardsConfig, work, prog="python -m pipeline.shards", arguments=given
    )


if __name__ == "__main__":
    sys.exit(main())
