"""Builds a folder of shards: cuts what is missing, packs it, writes the manifest."""

import csv
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

import mri_contrast.slices
from pipeline.contrasts import CLASSES
from pipeline.files import replacing
from pipeline.labelled import LabelledScan
from pipeline.manifest import NAME, SCHEMA, Manifest, Shard, load_manifest
from pipeline.shards.cutting import REJECTED, cut_all, find_cuts
from pipeline.shards.jobs import Cut, Job
from pipeline.shards.outfolder import (
    locked,
    refuse_another_set,
    stale_shards,
    sweep_cuts,
)
from pipeline.shards.packall import lost_cuts, pack_all, plan_all, whole_shards
from pipeline.shards.packing import Pack
from pipeline.shards.planning import ShardsConfig, plan
from pipeline.splits import SPLITS

_log = logging.getLogger(__name__)


def build(scans: Sequence[LabelledScan], config: ShardsConfig) -> Manifest:
    """Writes all shards that are not there yet, then `rejected.csv` and the manifest.

    Args:
        scans: Labelled scans of a source.
        config: Where to, and how.

    Returns:
        The manifest, as written.

    Raises:
        ValueError: The splits leak or contradict each other, more scans could not be
            used than `max_rejected`, the folder holds other shards, or parts to be
            merged are missing.
        BlockingIOError: Another process builds shards in the folder.
    """
    jobs = plan(scans, config)
    with locked(config.out, shared=False):
        if not config.replace:
            refuse_another_set(config.out, config.recorded())
        sweep_cuts(config.out, jobs)
        cuts, packs, shards = _cut(jobs, config, len(scans))
        stale = stale_shards(config.out, packs)
        if stale or len(shards) < len(packs):
            (config.out / NAME).unlink(missing_ok=True)
        for path in stale:
            path.unlink()
        pack_all(packs, shards, config)
        manifest = _manifest(cuts, [shards[pack] for pack in packs], config)
        if manifest.is_saved(config.out):
            _log.info("nothing to do: all %d shards are whole", len(packs))
        else:
            manifest.save(config.out)
        return load_manifest(config.out)


def cut_part(scans: Sequence[LabelledScan], config: ShardsConfig) -> None:
    """Cuts the part of the scans that `config.part` names; writes no shard.

    Any number of parts can be cut at once, in one folder, on as many machines.

    Raises:
        ValueError: As `build` does.
        BlockingIOError: Shards are being packed in the folder.
    """
    index, count = config.share()
    jobs = plan(scans, config)[index::count]
    with locked(config.out, shared=True):
        if not config.replace:
            refuse_another_set(config.out, config.recorded())
        cut_all(jobs, config, len(scans), {})


def _cut(
    jobs: Sequence[Job], config: ShardsConfig, scans: int
) -> tuple[list[Cut], list[Pack], dict[Pack, Shard]]:
    """Cuts until nothing is missing that a shard needs.

    Returns:
        All cuts, all shards to be, and of these the ones that are there and whole.
    """
    cuts: dict[str, Cut] = {}
    shards: dict[Pack, Shard] = {}
    written: set[str] = set()
    todo = jobs
    try:
        while True:
            find = find_cuts if config.merge else cut_all
            written |= find(todo, config, scans, cuts)
            in_order = [cuts[job.name] for job in jobs]
            packs = plan_all(in_order, config)
            shards = whole_shards(packs, shards, config.workers)
            lost = lost_cuts(packs, shards, cuts, written, config)
            if not lost:
                return in_order, packs, shards
            todo = [job for job in jobs if job.name in lost]
            for job in todo:
                # Without its note it is cut again, by this process or by a part.
                job.note.unlink()
                del cuts[job.name]
    finally:
        _write_rejected(config.out, cuts.values())


def _manifest(
    cuts: Sequence[Cut], shards: Sequence[Shard], config: ShardsConfig
) -> Manifest:
    slices = {split: dict.fromkeys(CLASSES, 0) for split in SPLITS}
    scans = {split: dict.fromkeys(CLASSES, 0) for split in SPLITS}
    subjects = dict.fromkeys(SPLITS, 0)
    for known in cuts:
        subjects[known.split] += known.subjects
        for name in CLASSES:
            slices[known.split][name] += known.slices[name]
            scans[known.split][name] += known.scans[name]
    return Manifest(
        schema=SCHEMA,
        slicer=mri_contrast.slices.VERSION,
        classes=CLASSES,
        slices=slices,
        scans=scans,
        subjects=subjects,
        rejected=sum(len(known.rejected) for known in cuts),
        shards=tuple(shards),
        config=config.recorded(),
    )


def _write_rejected(folder: Path, cuts: Iterable[Cut]) -> None:
    rows = sorted(row for known in cuts for row in known.rejected)
    with replacing(folder / REJECTED) as path, path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("name", "reason"))
        writer.writerows(rows)
