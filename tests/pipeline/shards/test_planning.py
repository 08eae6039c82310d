import gc
import itertools
import json
import os
import pickle
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

import pipeline.phantom
from pipeline.manifest import Manifest
from pipeline.phantom import SCANS_PER_SUBJECT, PhantomConfig, phantom_scans
from pipeline.shards import ShardsConfig, plan
from pipeline.sources import find_scans

Built = tuple[Path, Manifest]
Make = Callable[..., Manifest]
Content = Callable[[Path], dict[str, bytes]]


def test_two_sources_at_once_are_refused() -> None:
    with pytest.raises(ValueError, match="name one source"):
        ShardsConfig(out=Path("x"), data=Path("y"), phantom=3)


def test_simulated_scans_of_a_subject_are_rendered_one_after_the_other() -> None:
    config = ShardsConfig(out=Path("unused"), phantom=40, seed=5)
    scans = phantom_scans(PhantomConfig(subjects=40, seed=5))
    jobs = plan(scans, config)
    order = [scan.subject for job in jobs for scan in job.scans]
    assert len(list(itertools.groupby(order))) == len(set(order)) == 40
    assert len(order) == len(scans)
    train = [len(job.scans) for job in jobs if job.split == "train"]
    assert max(train) - min(train) <= SCANS_PER_SUBJECT


def test_another_simulator_makes_other_shards(monkeypatch, tmp_path: Path) -> None:
    scans = phantom_scans(PhantomConfig(subjects=3))
    config = ShardsConfig(out=tmp_path, phantom=3)
    before = [job.fingerprint() for job in plan(scans, config)]
    (tmp_path / "physics.py").write_text("T1_MS = 900")
    monkeypatch.setattr(pipeline.phantom, "__path__", [str(tmp_path)])
    after = [job.fingerprint() for job in plan(scans, config)]
    assert not set(before) & set(after)


NAME_BYTES = 450
"""Peak of finding and planning for each scan, with what a subject of its own costs."""


def many_scans(folder: Path, count: int) -> Path:
    for label in ("T1", "T2", "flair", "other"):
        (folder / label).mkdir(parents=True)
        for number in range(count // 4):
            os.mknod(folder / label / f"{label}_{number // 10}_{number}.png")
    return folder


def peak(folder: Path) -> tuple[int, int]:
    """Peak of finding and planning, and size of a job on its way to a worker."""
    gc.collect()
    tracemalloc.start()
    jobs = plan(find_scans(folder), ShardsConfig(out=folder / "out", data=folder))
    measured = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return measured, max(len(pickle.dumps(job)) for job in jobs)


def test_finding_and_planning_hold_each_name_once(tmp_path: Path) -> None:
    peak(many_scans(tmp_path / "first", 400))
    few, job = peak(many_scans(tmp_path / "few", 20_000))
    many, job_of_many = peak(many_scans(tmp_path / "many", 40_000))
    assert many < 40_000 * NAME_BYTES
    assert many < 2.2 * few
    assert job_of_many < 1.1 * job < 10_000


def test_memory_of_a_build_does_not_grow_with_the_number_of_scans(
    tmp_path: Path, write_png, make: Make
) -> None:
    def peak_of_build(subjects: int) -> int:
        data = tmp_path / f"{subjects}"
        for label in ("T1", "T2", "flair", "other"):
            for number in range(subjects):
                write_png(data / label / f"{label}_{number}_1.png", number)
        tracemalloc.start()
        make(data, tmp_path / f"out-{subjects}")
        measured = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return measured

    peak_of_build(6)
    few, many = peak_of_build(8), peak_of_build(24)
    # 64 more slices, 1.4 MB of pixels; a shard of 10 and what checks it are 1 MB.
    assert many - few < 400_000


def test_what_is_recorded_is_the_same_when_it_is_read_back() -> None:
    config = ShardsConfig(out=Path("out"), phantom=1, without=("fat",))
    assert json.loads(json.dumps(config.recorded())) == config.recorded()
