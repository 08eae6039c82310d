from pathlib import Path

import pytest

from bench import ours, programs, study
from bench.people import People, prepare_people
from bench.timing import Effort, Rates, Turn


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return prepare_people(tmp_path_factory.mktemp("people"), subjects=4)


def _persons(folder: Path) -> set[str]:
    return {file.name.split("_")[1] for file in folder.glob("*/*.png")}


def test_nobody_is_in_training_and_test(people: People) -> None:
    assert _persons(people.train) == {"0", "1", "2"}
    assert _persons(people.test) == {"3"}
    for split, folder in (("train", people.train), ("test", people.test)):
        assert people.counts[split] == len(list(folder.glob("*/*.png"))) > 0
        assert {path.name for path in folder.iterdir()} == {"T1", "T2", "flair"}


def test_both_programs_are_trained_evaluated_and_compared(people: People) -> None:
    rows = programs.measure(people, Effort(seconds=0.05, repeats=1), epochs=1)
    found = {row.id: row for row in rows}
    assert set(found) == {"train.vs_study", "evaluate.vs_study"}
    for row in rows:
        assert row.reach == "≥ 4"
        assert row.value > 0
        assert "limit: " in row.detail
    seen = people.counts["train"] // study.BATCH * study.BATCH
    assert f"trained on 1 × {seen} simulated" in found["train.vs_study"].detail
    assert f"of {people.counts['test']} of other" in found["train.vs_study"].detail


def test_a_faster_program_that_is_less_accurate_has_not_reached_the_goal(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = Rates({"ours": [Turn(800.0)], "study": [Turn(100.0)]})
    network = ours.training(steps=1).model
    for share, ok in ((0.0, True), (1.0, False)):
        monkeypatch.setattr(study, "accuracy", lambda *_, share=share: share)
        row = programs._training_row(people, network, network, rates, "1 × 32")
        assert row.value == 8
        assert row.ok is ok
        assert ("WORSE" in row.detail) is not ok
