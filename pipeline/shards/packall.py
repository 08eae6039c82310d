"""Packs all shards of a build: finds those that are whole, makes the others."""

from collections import Counter
from collections.abc import Mapping, Sequence, Set

from pipeline.manifest import Shard
from pipeline.progress import progress
from pipeline.shards.jobs import CUT, PARTS, Cut, Waiting, cut_file, is_whole
from pipeline.shards.packing import Pack, pack, plan_packs, sealed
from pipeline.shards.planning import ShardsConfig
from pipeline.splits import SPLITS
from pipeline.workers import run_all


def plan_all(cuts: Sequence[Cut], config: ShardsConfig) -> list[Pack]:
    """Plans the shards of all splits."""
    by_split: dict[str, list[Cut]] = {name: [] for name in SPLITS}
    for known in cuts:
        by_split[known.split].append(known)
    terms = (config.out, config.seed, config.shard_megabytes)
    return [
        shard
        for split, members in by_split.items()
        for shard in plan_packs(members, split, *terms)
    ]


def whole_shards(
    packs: Sequence[Pack], known: Mapping[Pack, Shard], workers: int
) -> dict[Pack, Shard]:
    """Finds the shards that need no work."""
    shards = {shard: known[shard] for shard in packs if shard in known}
    noted = [shard for shard in packs if shard not in known and shard.note.is_file()]
    with progress("checking shards", len(noted), "shards") as advance:
        for job, shard in run_all(sealed, noted, workers):
            if shard is not None:
                shards[job] = shard
            advance()
    return shards


def lost_cuts(
    packs: Sequence[Pack],
    shards: Mapping[Pack, Shard],
    cuts: Mapping[str, Cut],
    written: Set[str],
    config: ShardsConfig,
) -> set[str]:
    """Names the cuts that shards are to be packed from and that are gone or damaged.

    Args:
        packs: All shards.
        shards: Those that are there and whole.
        cuts: All cuts by name.
        written: Those that this process has just written.
        config: Where, and by how many hands.
    """
    needed = {
        piece.cut for shard in packs if shard not in shards for piece in shard.pieces
    }
    needed -= written
    files = {
        Waiting(cut_file(config.out, name), cuts[name].bytes, cuts[name].sha256): name
        for name in needed
    }
    checked = run_all(is_whole, list(files), config.workers)
    return {files[file] for file, whole in checked if not whole}


def pack_all(
    packs: Sequence[Pack], shards: dict[Pack, Shard], config: ShardsConfig
) -> None:
    """Packs what is missing; a cut is deleted with the last shard drawing on it."""
    todo = [shard for shard in packs if shard not in shards]
    users = Counter(piece.cut for shard in todo for piece in shard.pieces)
    waiting = config.out / PARTS / CUT
    for path in waiting.iterdir() if waiting.is_dir() else ():
        if path.stem not in users:
            path.unlink()
    records = sum(piece.stop - piece.start for job in todo for piece in job.pieces)
    with progress("packing", records, "slices") as advance:
        for job, shards[job] in run_all(pack, todo, config.workers):
            for piece in job.pieces:
                users[piece.cut] -= 1
                if not users[piece.cut]:
                    cut_file(config.out, piece.cut).unlink()
            advance(shards[job].records)
