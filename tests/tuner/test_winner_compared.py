"""The figures, the verdict and the table of a winner that was trained again."""

import numpy as np
import pytest

from pipeline.judged import REAL, SLICES, Judged
from tuner.comparing import Network, against, figures, markdown, verdict

SUBJECTS = 60


def said(wrong: float, *, seed: int, slices: int = 10) -> Judged:
    """Slices of which a share is wrong, in some subjects more than in others."""
    random = np.random.default_rng(seed)
    subjects = np.repeat(np.arange(SUBJECTS), slices)
    hard = random.beta(1, (1 - wrong) / wrong, SUBJECTS)[subjects]
    found = random.random(len(subjects)) < hard
    sure = np.full(len(found), 0.9)
    loss = np.where(found, 2.0, 0.1)
    return Judged(found, loss, subjects.astype(str), sure, sure > 0.5)


def network(name: str, wrong: float, seeds: int = 3) -> Network:
    each = [{SLICES: said(wrong, seed=seed)} for seed in range(seeds)]
    return Network(name, {"parameters": 12345}, each)


def exactly(name: str, *wrong: list[bool], losses: float = 0.5) -> Network:
    """Seeds with just these answers on two subjects of two slices each."""
    subjects = np.array(["a", "a", "b", "b"])
    loss, sure = np.full(4, losses), np.full(4, 0.9)
    said = [Judged(np.array(w), loss, subjects, sure, sure > 0.5) for w in wrong]
    return Network(name, {}, [{SLICES: each} for each in said])


@pytest.mark.parametrize(
    ("interval", "told"),
    [
        ((-0.02, -0.001), "better"),
        ((-0.02, 0.001), "equal"),
        ((0.0, 0.0), "equal"),
        ((-0.02, 0.0), "equal"),
        ((0.001, 0.02), "worse"),
    ],
)
def test_only_an_interval_without_zero_is_a_difference(
    interval: tuple[float, float], told: str
) -> None:
    assert verdict(interval) == told


def test_figures_are_means_over_seeds_with_each_seed_beside() -> None:
    found = figures(
        exactly("x", [True, False, False, False], [True, True, True, False])
    )
    assert found[SLICES]["count"] == 4
    assert found[SLICES]["subjects"] == 2
    assert found[SLICES]["wrong"]["mean"] == 0.5
    assert found[SLICES]["wrong"]["seeds"] == [0.25, 0.75]
    assert found[SLICES]["loss"]["interval"] == [0.5, 0.5]
    low, high = found[SLICES]["wrong"]["interval"]
    assert low <= 0.25
    assert high >= 0.75


def test_a_winner_with_a_tenth_of_the_errors_is_better_and_the_other_way_worse() -> (
    None
):
    good, bad = network("good", 0.02), network("bad", 0.2)
    found = against(good, bad)
    assert found["verdict"] == "better"
    assert found[SLICES]["wrong"]["interval"][1] < 0
    assert found[SLICES]["loss"]["difference"] < 0
    assert found[SLICES]["wrong"]["p"] < 0.01
    assert against(bad, good)["verdict"] == "worse"


def test_a_network_against_itself_is_equal() -> None:
    found = against(network("one", 0.1), network("two", 0.1))
    assert found["verdict"] == "equal"
    assert found[SLICES]["wrong"]["difference"] == 0
    assert found[SLICES]["wrong"]["p"] == 1


def test_a_single_stable_model_is_compared_with_three_seeds() -> None:
    assert against(network("w", 0.02), network("stable", 0.2, 1))["verdict"] == "better"


def test_the_table_says_every_figure_and_the_verdict() -> None:
    good, bad = network("tiny-winner", 0.02), network("default", 0.2)
    for each in (good, bad):
        for seed in each.seeds:
            seed[REAL] = said(0.1, seed=9, slices=1)  # type: ignore[index]
    content = {
        "search": "tiny",
        "split": "test",
        "epochs": 4,
        "seeds": [0, 1, 2],
        "networks": [figures(good), figures(bad)],
        "comparisons": [against(good, bad)],
        "notes": ["One thing to know"],
        "best": "runs/tune/tiny/retrained/tiny-winner-1",
    }
    lines = markdown(content).splitlines()
    assert lines[0] == "# The winner of search tiny, retrained"
    assert lines[2].startswith("600 slices of 60 subjects of split `test`; each train")
    of_winner = [line for line in lines if line.startswith("| tiny-winner |")]
    assert [line.split(" | ")[3] for line in of_winner] == [SLICES, REAL]
    mean = content["networks"][0][SLICES]["wrong"]["mean"]
    assert f"| 12 345 | 3 | {SLICES} | {mean:.2%} | " in of_winner[0]
    assert len([line for line in lines if line.startswith("| default | ")]) == 6
    assert "One thing to know." in lines
    assert lines[-2].startswith("The winner is better than default beyond noise (wrong")
    assert lines[-1].endswith("tiny-winner-1.")
