import sys
from pathlib import Path

import pytest

from bench.material import Material
from bench.remote import PeerError, started
from bench.timing import Effort, here, side_by_side

PYTHON = Path(sys.executable)


def test_another_process_takes_its_turns_beside_ours(material: Material) -> None:
    def slow():
        while True:
            yield 1

    with started(PYTHON, "memmap", material.forms.folder) as remote:
        rates = side_by_side(
            {
                "there": lambda seconds: remote.turn(seconds, batch=64, workers=0),
                "here": here(slow),
            },
            Effort(seconds=0.02, repeats=3),
        )
    assert len(rates.rounds["there"]) == 3
    assert rates["there"] > 1000
    assert rates.ratio("there", "there") == 1


def test_what_a_peer_raises_is_the_reason_and_it_goes_on(material: Material) -> None:
    with started(PYTHON, "memmap", material.forms.folder) as remote:
        with pytest.raises(PeerError, match=r"memmap: ValueError: .* got 2"):
            remote.turn(0.01, batch=64, workers=2)
        assert remote.turn(0.01, batch=64, workers=0).rate > 0


def test_a_library_that_is_not_there_is_named(material: Material) -> None:
    with (
        started(PYTHON, "webdataset", material.forms.folder) as remote,
        pytest.raises(PeerError, match=r"No module named '(torch|webdataset)'"),
    ):
        remote.turn(0.01, batch=64, workers=0)


def test_a_peer_that_dies_leaves_its_last_words(tmp_path: Path) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho 'cannot load libexample' >&2\nexit 1\n")
    broken.chmod(0o755)
    with (
        started(broken, "grain", tmp_path) as remote,
        pytest.raises(PeerError, match="grain ended: cannot load libexample"),
    ):
        remote.turn(0.01, batch=64, workers=0)


def test_an_interpreter_that_is_not_there_says_how_to_get_it(nobody: Path) -> None:
    with (
        pytest.raises(PeerError, match="is missing: `make peers`"),
        started(nobody, "grain", Path()),
    ):
        pass


def test_the_process_ends_with_the_block(material: Material) -> None:
    with started(PYTHON, "memmap", material.forms.folder) as remote:
        assert remote.turn(0.01, batch=64, workers=0).rate > 0
        process = remote._process
    assert process.returncode == 0
