import subprocess
from pathlib import Path

import pytest

from serving import revision


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "serving").mkdir()
    (tmp_path / "bench").mkdir()
    for name in ("serving/revision.py", "bench/results.json"):
        (tmp_path / name).write_text("committed")
    author = ("-c", "user.name=a", "-c", "user.email=a@b")
    for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", "-C", str(tmp_path), *author, *words], check=True)
    module = str(tmp_path / "serving" / "revision.py")
    monkeypatch.setattr(revision, "__file__", module)
    return tmp_path


def test_a_commit_is_named_and_changes_are_marked(checkout: Path) -> None:
    commit = revision.source_revision()
    assert commit is not None
    assert len(commit) == 40
    (checkout / "serving" / "revision.py").write_text("changed")
    assert revision.source_revision() == f"{commit}+changes"


def test_figures_that_a_bench_writes_are_no_change_of_the_source(
    checkout: Path,
) -> None:
    before = revision.source_revision()
    (checkout / "bench" / "results.json").write_text("measured")
    assert revision.source_revision() == before


def test_outside_of_a_checkout_there_is_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revision, "__file__", str(tmp_path / "revision.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert revision.source_revision() is None
