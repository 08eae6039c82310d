"""Versions on disk: which are served, and what follows when they come and go."""

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.serving.conformance import ask
from tests.serving.conformance.ask import NOT_FOUND, State, available, floats
from tests.serving.conformance.configs import Model, write_config
from tests.serving.conformance.process import Server, until
from tests.serving.conformance.saved_models import copy_version, write_corrupt

row = pytest.mark.row

SHELVES = {
    "latest": ("", ("1", "2")),
    "latest_two": ("latest { num_versions: 2 }", ("1", "2", "3")),
    "all": ("all", ("1", "2", "3")),
    "specific": ("specific { versions: [1, 3] }", ("1", "2", "3")),
    "specific_missing": ("specific { versions: [1, 9] }", ("1",)),
    "zeros": ("", ("0000002",)),
    "other_names": ("all", ("1", "1.part", "tmp-2", "v3", "-4")),
    "polled": ("", ("1",)),
    "renamed": ("", ("1",)),
    "swapped": ("", ("1",)),
    "two_at_once": ("", ("1",)),
    "gone": ("", ("1",)),
    "empty": ("", ("1",)),
    "newest_removed": ("", ("1", "2")),
    "corrupt": ("", ("1",)),
    "witness": ("all", ("1",)),
}
"""Models by name: policy, and folders to begin with. Each test has its own."""


@pytest.fixture(scope="module")
def base(library, tmp_path_factory):
    """A base path for each of the models; version n adds n."""
    base = tmp_path_factory.mktemp("shelves")
    for name, (_, folders) in SHELVES.items():
        for folder in folders:
            digits = "".join(filter(str.isdigit, folder)).lstrip("0")
            number = str(min(int(digits), 3))
            shutil.copytree(library / "number" / number, base / name / folder)
    return base


@pytest.fixture(scope="module")
def shelves(launcher, base):
    models = [Model(name, base / name, policy) for name, (policy, _) in SHELVES.items()]
    config = write_config(base / "models.config", *models)
    return launcher.start(
        f"--model_config_file={config}", "--file_system_poll_wait_seconds=1"
    )


def answer(server, model, **asked):
    return ask.answer(server, model, x=floats(0), **asked)[0]


@contextmanager
def polled_twice(shelves, library, base) -> Iterator[None]:
    """Returns once the server has looked at all base paths after the body.

    The witness is there for that: a version put there is found by a look that began
    after the body, a second one by the next, when the first had come to its end.
    """
    yield
    for _ in range(2):
        number = max(available(shelves, "witness")) + 1
        copy_version(library / "number" / "1", base / "witness" / str(number))
        until(lambda n=number: n in available(shelves, "witness"), f"version {number}")


@row("versions.latest")
def test_the_newest_version_is_served(shelves):
    assert answer(shelves, "latest") == 2
    assert available(shelves, "latest") == [2]


@row("versions.latest-two")
def test_latest_serves_as_many_as_it_says(shelves):
    assert available(shelves, "latest_two") == [3, 2]
    assert answer(shelves, "latest_two") == 3


@row("versions.all")
def test_all_serves_every_version(shelves):
    assert available(shelves, "all") == [3, 2, 1]
    assert [answer(shelves, "all", version=n) for n in (1, 2, 3)] == [1, 2, 3]


@row("versions.specific")
def test_specific_serves_those_it_names(shelves):
    assert available(shelves, "specific") == [3, 1]
    code, _ = ask.refusal(
        shelves.predict.Predict, ask.predict("specific", version=2, x=floats(0))
    )
    assert code is NOT_FOUND


@row("versions.specific-missing")
def test_a_missing_specific_version_hinders_no_other(shelves):
    assert available(shelves, "specific_missing") == [1]


@row("versions.number")
def test_leading_zeros_count_for_nothing(shelves):
    assert available(shelves, "zeros") == [2]
    assert answer(shelves, "zeros", version=2) == 2


@row("versions.other-names")
def test_folders_that_are_no_number_are_ignored(shelves):
    assert list(ask.states(shelves, "other_names")) == [1]


@row("versions.poll", "versions.unloaded", "errors.unloaded-version")
def test_a_new_version_takes_over(shelves, library, base):
    assert answer(shelves, "polled") == 1
    copy_version(library / "number" / "2", base / "polled" / "2")
    until(lambda: available(shelves, "polled") == [2], "the old one unloaded")
    assert answer(shelves, "polled") == 2
    until(lambda: ask.states(shelves, "polled").get(1) == State.END, "END")
    assert ask.failure(shelves, "polled", 1) == (0, "")
    refused = ask.refusal(
        shelves.predict.Predict, ask.predict("polled", version=1, x=floats(0))
    )
    text = "Servable not found for request: Specific(polled, 1)"
    assert refused == (NOT_FOUND, text)


@row("versions.rename")
def test_a_version_counts_once_it_is_renamed(shelves, library, base):
    with polled_twice(shelves, library, base):
        half = shutil.copytree(library / "number" / "2", base / "renamed" / "2.part")
        (half / "saved_model.pb").unlink()
    assert list(ask.states(shelves, "renamed")) == [1]
    shutil.copy(library / "number" / "2" / "saved_model.pb", half)
    half.rename(base / "renamed" / "2")
    until(lambda: available(shelves, "renamed") == [2], "the renamed version")
    assert answer(shelves, "renamed") == 2


class Load:
    """Calls without pause from some threads; keeps what was answered and refused."""

    def __init__(self, server: Server, model: str, threads: int = 3) -> None:
        self._stop = threading.Event()
        self._server, self._model = server, model
        self.answers: list[float] = []
        self.refusals: list[BaseException] = []
        self._threads = [threading.Thread(target=self._call) for _ in range(threads)]

    def _call(self) -> None:
        while not self._stop.is_set():
            try:
                self.answers.append(answer(self._server, self._model))
            except Exception as error:  # any failure is one
                self.refusals.append(error)

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()


@row("versions.swap")
def test_no_call_fails_while_versions_follow_each_other(shelves, library, base):
    with Load(shelves, "swapped") as load:
        for version in (2, 3):
            copy_version(
                library / "number" / str(version), base / "swapped" / str(version)
            )
            until(
                lambda v=version: available(shelves, "swapped") == [v],
                f"version {version} alone",
            )
    assert load.refusals == []
    assert set(load.answers) == {1, 2, 3}


@row("versions.swap-first")
def test_a_new_version_is_available_before_the_old_one_goes(shelves, library, base):
    seen: list[list[int]] = []

    def swapped() -> bool:
        seen.append(available(shelves, "two_at_once"))
        return seen[-1] == [2]

    copy_version(library / "number" / "2", base / "two_at_once" / "2")
    until(swapped, "version 2 alone")
    assert all(seen), "at each moment one could answer"


@row("versions.path-gone")
def test_a_base_path_that_is_gone_unloads_nothing(shelves, library, base):
    with polled_twice(shelves, library, base):
        (base / "gone").rename(base / "elsewhere")
    assert available(shelves, "gone") == [1]
    assert answer(shelves, "gone") == 1


@row("versions.path-empty", "versions.path-back")
def test_a_base_path_without_versions_unloads_all_until_they_are_back(
    shelves, library, base
):
    (base / "empty" / "1").rename(base / "empty" / "aside")
    until(lambda: not available(shelves, "empty"), "all unloaded")
    refused = ask.refusal(shelves.predict.Predict, ask.predict("empty", x=floats(0)))
    assert refused == (NOT_FOUND, "Servable not found for request: Latest(empty)")
    (base / "empty" / "aside").rename(base / "empty" / "1")
    until(lambda: available(shelves, "empty") == [1], "served again")
    assert answer(shelves, "empty") == 1


@row("versions.newest-removed")
def test_the_older_version_comes_back(shelves, base):
    assert answer(shelves, "newest_removed") == 2
    (base / "newest_removed" / "2").rename(base / "newest_removed" / "withdrawn")
    until(lambda: available(shelves, "newest_removed") == [1], "the older version")
    assert answer(shelves, "newest_removed") == 1


@row("versions.corrupt")
def test_a_corrupt_version_leaves_the_old_one_serving(shelves, library, base):
    with Load(shelves, "corrupt", threads=1) as load:
        write_corrupt(base / "corrupt" / "2")
        until(lambda: 2 in ask.states(shelves, "corrupt"), "the corrupt one known")
    assert load.refusals == []
    assert available(shelves, "corrupt") == [1]
    assert answer(shelves, "corrupt") == 1


@row("versions.poll-once")
def test_without_polling_no_version_is_looked_for_again(
    launcher, shelves, library, base
):
    once = launcher.start(
        f"--model_base_path={base / 'witness'}",
        "--model_name=witness",
        "--file_system_poll_wait_seconds=0",
    )
    before = available(once, "witness")
    with polled_twice(shelves, library, base):
        pass
    assert available(once, "witness") == before
    once.stop()
