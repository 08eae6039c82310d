import subprocess
import sys
from pathlib import Path

import pytest

from bench import memory
from bench.material import Material
from pipeline.dataset import evaluation_batches, training_batches
from pipeline.manifest import load_manifest


def test_larger_sets_are_links_that_train_and_validate(
    material: Material, tmp_path: Path
) -> None:
    larger = memory.grow(material.shards, tmp_path / "larger", 3)
    manifest = load_manifest(larger)
    assert manifest.count("train") == 3 * material.slices
    original = load_manifest(material.shards).shards[0]
    link = larger / manifest.of_split("train")[0].file
    assert link.samefile(material.shards / original.file)
    batch = next(iter(training_batches(larger, batch_size=256, seed=0)))
    assert batch["image"].shape == (256, 150, 150)
    found = evaluation_batches(larger, "validation", batch_size=32)
    assert sum(len(batch["label"]) for batch in found) == original.records


def test_a_command_s_peak_is_its_own_however_large_its_parent(tmp_path: Path) -> None:
    held = bytearray(200 * 2**20)  # What this process has must not count.
    peaks = []
    for size in (0, 50):
        command = [sys.executable, "-c", f"held = bytearray(b'x') * {size * 2**20}"]
        done = subprocess.run(
            [sys.executable, "-m", "bench.peak", *command],
            capture_output=True,
            text=True,
            check=True,
        )
        peaks.append(int(done.stdout.split()[0]) / 1024)
    assert len(held) / 2**20 > peaks[1] > peaks[0] > 1
    assert peaks[1] - peaks[0] == pytest.approx(50, abs=5)


def test_real_trainings_are_measured(material: Material, tmp_path: Path) -> None:
    row = memory.measure(material.shards, tmp_path, times=(2, 3))
    assert row.id == "train.memory"
    assert row.value == pytest.approx(1, abs=0.3), row.detail
    assert "MiB at 2 ×" in row.detail
    assert "MiB at 3 × 300 slices" in row.detail


def test_a_training_that_fails_says_why(
    material: Material, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "SETTINGS", ("--batch-size", "5000"))
    row = memory.measure(material.shards, tmp_path, times=(1,))
    assert row.value is None
    assert not row.ok
    assert "batch_size must be from 1 to the 300 training slices" in row.detail
