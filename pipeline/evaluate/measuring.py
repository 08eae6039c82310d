"""The whole way of an evaluation: ask, count, write, show."""

import os
from pathlib import Path
from typing import Any, Final

import tensorflow as tf

from pipeline.answering import Answerer, open_answerer
from pipeline.dataset import evaluation_batches, explained_damage
from pipeline.evaluate import hard, heads
from pipeline.evaluate.answers import Answers, answer_slices, combine_scans
from pipeline.evaluate.console import show
from pipeline.evaluate.coverage import curve, risk
from pipeline.evaluate.groups import by_group
from pipeline.evaluate.intervals import Resamples
from pipeline.evaluate.metrics import (
    area_intervals,
    areas,
    confusion,
    false_accepts,
    figures,
)
from pipeline.evaluate.real import Judged, judge_files, summary
from pipeline.evaluate.reliability import calibration
from pipeline.evaluate.rows import rows
from pipeline.evaluate.settings import EvaluateConfig
from pipeline.files import write_json
from pipeline.manifest import load_manifest
from pipeline.report import gallery
from pipeline.report.page import write_report
from pipeline.report.sheet import augmented_slices

RESULT: Final = "evaluation.json"
REPORT: Final = "report.html"


def evaluate(config: EvaluateConfig) -> None:
    """Measures, prints and writes `evaluation.json` and `report.html`.

    Raises:
        FileNotFoundError: There is no such run, model, shards or folder of scans.
        ValueError: There is nothing to measure on, or something is damaged.
    """
    answerer = open_answerer(config.run, config.model)
    shards = config.shards or answerer.shards
    named = config.real or os.environ.get("MRI_REAL_DATA")
    if shards is None and not named:
        raise ValueError(
            f"nothing to measure {answerer.folder} on: an exported model does not say "
            "where its shards are; name some with --shards, or real scans with --real"
        )
    result: dict[str, Any] = {"model": _described(answerer)}
    exhibits: list[gallery.Exhibit] = []
    if shards is not None:
        with explained_damage(shards):
            measured, exhibits = _measure_split(config, answerer, shards)
        result |= measured
    judged: list[Judged] = []
    if named:
        judged = judge_files(Path(named), answerer, orientations=config.orientations)
        result["real"] = summary(judged, answerer.classes)
    result["rows"] = rows(result)
    folder = config.out or _folder(answerer)
    write_json(folder / RESULT, result)
    show(result)
    print(f"written: {folder / RESULT}")
    if config.report:
        sheet = augmented_slices(answerer)
        real = gallery.of_real(answerer, judged)
        write_report(folder / REPORT, result, exhibits, real, sheet)
        print(f"written: {folder / REPORT}")


def _folder(answerer: Answerer) -> Path:
    """Where the result goes if nothing else is said: a published model stays as is."""
    if answerer.kind == "run":
        return answerer.folder
    folder = answerer.folder.resolve()
    return Path("runs/evaluate") / f"{folder.parent.name}-{folder.name}"


def _described(answerer: Answerer) -> dict[str, Any]:
    return {
        "name": answerer.name,
        "kind": answerer.kind,
        "classes": list(answerer.classes),
        "rho": answerer.rho,
        "accept": answerer.accept,
        **answerer.card,
    }


def _measure_split(
    config: EvaluateConfig, answerer: Answerer, shards: Path
) -> tuple[dict[str, Any], list[gallery.Exhibit]]:
    manifest = load_manifest(shards)
    if tuple(manifest.classes) != answerer.classes:
        raise ValueError(
            f"the shards label {', '.join(manifest.classes)}, the model answers "
            f"{', '.join(answerer.classes)}; name shards of the model's own classes"
        )

    def batches() -> tf.data.Dataset:
        return evaluation_batches(shards, config.split, batch_size=config.batch_size)

    slices, logs = answer_slices(answerer, batches())
    volumes = combine_scans(answerer, slices, logs)
    result: dict[str, Any] = {
        "split": config.split,
        "shards": {
            "name": shards.name,
            "manifest_sha256": manifest.sha256,
            "sealed": bool(manifest.config.get("sealed", False)),
        },
        "slices": measure_slices(slices, answerer),
        "volumes": measure_volumes(volumes, answerer),
        "heads": heads.measure(answerer, batches()),
    }
    if config.hard_volumes:
        scans = hard.collect(batches(), config.hard_volumes)
        result["hard"], _ = hard.measure(answerer, scans, config.hard_wanted)
    return result, gallery.of_split(answerer, batches(), slices, volumes)


def measure_slices(slices: Answers, answerer: Answerer) -> dict[str, Any]:
    """Figures of single slices: all, by group, calibration, ROC areas."""
    resamples = Resamples.of(slices.subjects)
    return {
        **figures(slices, resamples),
        "confusion": confusion(slices, answerer.classes),
        "calibration": calibration(slices, resamples),
        "auroc": areas(slices, answerer.classes),
        "auroc_interval": area_intervals(slices, answerer.classes, resamples),
        "by": by_group(slices, answerer.classes, resamples),
    }


def measure_volumes(volumes: Answers, answerer: Answerer) -> dict[str, Any]:
    """Figures of whole scans: the same, and what is accepted.

    `coverage` is the share accepted, `accepted_accuracy` the accuracy among those,
    `confusion` counts verdicts (columns, `unsure` last) by true class (rows).
    """
    resamples = Resamples.of(volumes.subjects)
    classes = answerer.classes
    found = risk(volumes, answerer.accept, resamples)
    taken = volumes.confidence >= answerer.accept
    sure = confusion(volumes.rows(taken), classes) if taken.any() else None
    unsure = [
        int((~taken & (volumes.labels == column)).sum())
        for column in range(len(classes))
    ]
    verdicts = sure or [[0] * len(classes) for _ in classes]
    return {
        **figures(volumes, resamples),
        "coverage": found["coverage"],
        "accepted_accuracy": None if found["risk"] is None else 1 - found["risk"],
        "confusion": [[*row, no] for row, no in zip(verdicts, unsure, strict=True)],
        "calibration": calibration(volumes, resamples),
        "auroc": areas(volumes, classes),
        "auroc_interval": area_intervals(volumes, classes, resamples),
        "false_accept": false_accepts(volumes, classes, answerer.accept, resamples),
        "risk": found,
        "curve": curve(volumes),
        "by": by_group(volumes, classes, resamples),
    }
