import dataclasses
from collections import defaultdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mri_contrast.scans import Scan
from pipeline.contrasts import CLASSES
from pipeline.splits import SPLITS, SplitConfig, deal, split_scans


@dataclasses.dataclass(frozen=True)
class Named:
    name: str
    contrast: str
    subject: str
    split: str | None = None
    source: str = "test"

    def read(self) -> Scan:
        raise AssertionError("splitting must not read a scan")


def scans_of(subjects: int, split: str | None = None) -> list[Named]:
    return [
        Named(f"{contrast}-{subject}", contrast, f"s{subject}", split)
        for contrast in CLASSES
        for subject in range(subjects)
    ]


def test_default_shares_are_80_10_10_subjects_and_none_is_in_two_splits() -> None:
    splits = split_scans(scans_of(50), SplitConfig())
    people = {name: {scan.subject for scan in scans} for name, scans in splits.items()}
    assert {name: len(group) for name, group in people.items()} == {
        "train": 40,
        "validation": 5,
        "test": 5,
    }
    assert len(set.union(*people.values())) == 50
    assert sum(len(scans) for scans in splits.values()) == 200


def test_a_subject_number_is_one_person_under_every_class() -> None:
    splits = split_scans(scans_of(10), SplitConfig())
    homes = defaultdict(set)
    for name, scans in splits.items():
        for scan in scans:
            homes[scan.subject].add(name)
    assert all(len(names) == 1 for names in homes.values())


def test_the_order_of_scans_does_not_matter_and_the_seed_does() -> None:
    scans = scans_of(40)
    first = split_scans(scans, SplitConfig(seed=1))
    again = split_scans(scans[::-1], SplitConfig(seed=1))
    other = split_scans(scans, SplitConfig(seed=2))
    names = [{scan.name for scan in splits["test"]} for splits in (first, again, other)]
    assert names[0] == names[1]
    assert names[0] != names[2]


@given(
    classes=st.lists(st.sampled_from(CLASSES), min_size=1, max_size=60),
    shares=st.sampled_from([(0.1, 0.1), (0.05, 0.3), (0.45, 0.5)]),
    seed=st.integers(0, 1000),
)
def test_every_class_reaches_every_split_where_it_has_three_subjects(
    classes: list[str], shares: tuple[float, float], seed: int
) -> None:
    held = {f"s{number}": {name} for number, name in enumerate(classes)}
    dealt = deal(held, dict(zip(SPLITS[1:], shares, strict=True)), seed)
    assert dealt.keys() == held.keys()
    for name in set(classes):
        homes = {dealt[subject] for subject in held if name in held[subject]}
        assert "train" in homes
        if classes.count(name) >= 3:
            assert homes == set(SPLITS)


@given(
    held=st.dictionaries(
        st.text(min_size=1, max_size=5),
        st.sets(st.sampled_from(CLASSES), min_size=1),
        min_size=1,
        max_size=80,
    ),
    seed=st.integers(0, 1000),
)
def test_dealing_is_a_pure_function_of_subjects_and_seed(
    held: dict[str, set[str]], seed: int
) -> None:
    shares = {"validation": 0.1, "test": 0.1}
    backwards = dict(reversed(held.items()))
    dealt = deal(held, shares, seed)
    assert dealt == deal(backwards, shares, seed)
    assert set(dealt.values()) <= set(SPLITS)


@pytest.mark.parametrize(("name", "other"), [SPLITS[1:], SPLITS[:0:-1]])
def test_a_share_of_zero_leaves_its_split_empty_and_says_so(
    name: str, other: str, caplog: pytest.LogCaptureFixture
) -> None:
    splits = split_scans(scans_of(10), SplitConfig(**{name: 0.0}))
    assert splits[name] == []
    assert {scan.contrast for scan in splits[other]} == set(CLASSES)
    assert f"the split '{name}' is empty" in caplog.text
    assert f"raise --{name} or add subjects" in caplog.text


def test_too_few_subjects_are_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    splits = split_scans(scans_of(2), SplitConfig())
    assert len(splits["train"]) == 8
    assert "the split 'validation' is empty: training will refuse" in caplog.text
    assert "the split 'test' is empty: evaluation on it" in caplog.text


def test_a_class_that_a_split_lacks_is_warned_of(
    caplog: pytest.LogCaptureFixture,
) -> None:
    split_scans([*scans_of(20), Named("only", "T2", "s99", None)], SplitConfig())
    assert caplog.text == ""
    few = [scan for scan in scans_of(20) if scan.contrast != "T2"]
    split_scans([*few, Named("only", "T2", "s99")], SplitConfig())
    assert "validation has no T2: too few subjects; add some" in caplog.text


def test_given_splits_are_kept() -> None:
    scans = [
        Named(f"{split}-{contrast}", contrast, f"{split}-1", split)
        for split in SPLITS
        for contrast in CLASSES
    ]
    splits = split_scans(scans, SplitConfig(seed=7))
    assert {name: {s.split for s in group} for name, group in splits.items()} == {
        name: {name} for name in SPLITS
    }


def test_a_split_that_is_not_given_comes_from_the_training_subjects() -> None:
    given_test = [Named(f"t-{name}", name, "tester", "test") for name in CLASSES]
    splits = split_scans([*scans_of(20, "train"), *given_test], SplitConfig())
    assert {scan.subject for scan in splits["test"]} == {"tester"}
    assert len({scan.subject for scan in splits["validation"]}) == 2
    assert len({scan.subject for scan in splits["train"]}) == 18


def leaking() -> list[Named]:
    scans = [*scans_of(8, "train"), Named("v", "T1", "s8", "validation")]
    return [*scans, Named("x", "T1", "s3", "test"), Named("y", "T2", "s5", "test")]


def test_a_leak_in_given_splits_is_refused_with_its_subjects() -> None:
    with pytest.raises(ValueError, match="2 subjects are in more than one") as error:
        split_scans(leaking(), SplitConfig())
    assert "'s3' (train and test), 's5' (train and test)" in str(error.value)
    assert "--allow-leak" in str(error.value)


def test_a_leak_is_kept_and_reported_where_it_is_allowed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    splits = split_scans(leaking(), SplitConfig(allow_leak=True))
    assert [scan.name for scan in splits["test"]] == ["x", "y"]
    assert "2 subjects are in more than one split" in caplog.text


def test_scans_with_and_without_a_split_cannot_be_mixed() -> None:
    scans = [*scans_of(2, "train"), Named("z", "T1", "s9")]
    with pytest.raises(ValueError, match="1 of 9 scans name no split"):
        split_scans(scans, SplitConfig())


def test_splits_without_a_training_split_are_refused() -> None:
    with pytest.raises(ValueError, match="no scan is in the split 'train'"):
        split_scans(scans_of(3, "validation"), SplitConfig())


def test_test_scans_alone_are_a_test() -> None:
    scans = scans_of(3, "test")
    splits = split_scans(scans, SplitConfig())
    assert splits == {"train": [], "validation": [], "test": scans}


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.5, 0.5), (0.1, 1.0)])
def test_impossible_shares_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match=r"got|leave nothing to train on"):
        SplitConfig(validation=shares[0], test=shares[1])
