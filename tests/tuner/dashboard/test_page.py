import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tuner.dashboard import write_page
from tuner.dashboard.content import MOST_POINTS, content
from tuner.dashboard.importance import FEWEST, importance
from tuner.trials import Trial, load_trials

MakeSearch = Callable[[Path, int], Path]


@pytest.fixture(scope="module")
def search(make_search: MakeSearch, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_search(tmp_path_factory.mktemp("tune") / "made-up", 30)


def data_of(page: str) -> Any:
    (found,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL
    )
    return json.loads(found)


def same(shown: float | None, known: float | None) -> bool:
    """Whether a figure is what is known, to the digits that are kept."""
    return shown == (None if known is None else pytest.approx(known, rel=1e-4))


def test_the_page_stands_in_the_searchs_folder_and_holds_every_trial(search: Path):
    path = write_page(search)
    assert path == search / "dashboard.html"
    data = data_of(path.read_text())
    assert data["fields"]["name"] == [trial.name for trial in load_trials(search)]
    assert data["planned"] == 40
    assert not list(search.glob("*.partial"))


def test_figures_are_those_of_the_trials(search: Path):
    found = content(search)
    trials = load_trials(search)
    for index, trial in enumerate(trials):
        assert same(found["fields"]["score"][index], trial.score)
        assert found["fields"]["status"][index] == trial.status
        for name, column in found["values"].items():
            assert same(column[index], trial.values.get(name))
        if trial.score is not None:
            losses = [trial.score + 1 / epoch for epoch in range(1, 5)]
            curve = found["curves"][index]
            assert [epoch for epoch, _ in curve] == [1, 2, 3, 4]
            assert [loss for _, loss in curve] == pytest.approx(losses, rel=1e-4)


def test_the_page_names_no_address_but_its_own(search: Path):
    page = write_page(search).read_text()
    addresses = set(re.findall(r"https?://[^\s\"'<]+", page))
    # The name of a language, which nothing loads.
    assert addresses == {"http://www.w3.org/2000/svg"}
    assert not re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=\"(?!data:)", page)


def test_what_trials_say_cannot_become_markup(make_search: MakeSearch, tmp_path: Path):
    search = make_search(tmp_path / "<i>x", 8)
    trial = load_trials(search)[0]
    dataclasses.replace(trial, message="</script><script>alert(1)</script>").save(
        search
    )
    page = write_page(search).read_text()
    assert page.count("</script>") == 2
    assert data_of(page)["fields"]["message"][0].startswith("</script>")
    assert "<title>Search &lt;i&gt;x</title>" in page


def test_a_search_without_trials_has_a_page(tmp_path: Path):
    data = data_of(write_page(tmp_path).read_text())
    assert data["fields"]["name"] == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(FileNotFoundError, match=r"no search in .*none; `make tune`"):
        write_page(tmp_path / "none")


def test_figures_that_are_no_numbers_are_left_out(tmp_path: Path):
    trial = Trial("trial-0000", "completed", {}, "one", 3, score=float("nan"))
    trial.save(tmp_path)
    lines = ['{"validation_loss": NaN}', '{"validation_loss": 0.5}', '{"validation_l']
    (tmp_path / trial.name / "metrics.jsonl").write_text("\n".join(lines))
    found = content(tmp_path)
    assert found["fields"]["score"] == [None]
    assert found["curves"] == [[[2, 0.5]]]


def test_long_learning_curves_are_thinned_and_keep_their_ends(tmp_path: Path):
    Trial("trial-0000", "running", {}, "one", 1000).save(tmp_path)
    lines = [json.dumps({"validation_loss": 1 / n}) for n in range(1, 1001)]
    (tmp_path / "trial-0000" / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (curve,) = content(tmp_path)["curves"]
    assert len(curve) <= MOST_POINTS + 1
    assert curve[0] == [1, 1.0]
    assert curve[-1] == [1000, 0.001]


def test_the_page_of_a_thousand_trials_is_small(
    make_search: MakeSearch, tmp_path: Path
):
    page = write_page(make_search(tmp_path / "large", 1000))
    assert page.stat().st_size < 500_000


def test_importance_finds_what_the_loss_depends_on(search: Path):
    found = importance(load_trials(search))
    assert found.explained is not None
    assert found.explained > 0
    (first, mean, _), *others = found.rows
    assert first == "learning_rate"
    assert mean > 3 * max(other for _, other, _ in others)


def test_importance_of_few_trials_is_not_told(search: Path):
    done = [trial for trial in load_trials(search) if trial.score is not None]
    found = importance(done[: FEWEST - 1])
    assert found.rows == ()
    assert "too few" in found.note


def test_importance_that_is_chance_is_not_told(search: Path):
    done = [trial for trial in load_trials(search) if trial.score is not None]
    # The order of the trials, which has nothing to do with their hyper-parameters.
    shuffled = [
        dataclasses.replace(trial, score=float(index * 7919 % 101))
        for index, trial in enumerate(done)
    ]
    found = importance(shuffled)
    assert found.rows == ()
    assert "cannot foresee" in found.note


def test_importance_does_not_take_granted_epochs_for_a_hyper_parameter(search: Path):
    trials = [
        dataclasses.replace(trial, epochs=2 + index % 3, score=1 / (2 + index % 3))
        for index, trial in enumerate(load_trials(search))
    ]
    assert importance(trials).rows[0][0] == "epochs"
