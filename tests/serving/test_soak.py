import json
from pathlib import Path

import pytest

from bench import mixed_load, soak
from bench.soak import Memory, SoakConfig, main, verdict


@pytest.mark.timeout(900)
def test_no_call_fails_while_versions_come_and_go(
    tmp_path: Path, saved_model: Path
) -> None:
    out = tmp_path / "soak.json"
    short = ["--minutes", "0.1", "--every", "0", "--model", str(saved_model)]
    code = main([*short, "--out", str(out)])
    content = json.loads(out.read_text())
    assert (content["verdict"], code) == ("passed", 0)
    assert content["failures"] == {}
    assert content["exit_code"] == 0
    assert len(content["calls"]) == 11
    assert min(content["calls"].values()) > 0
    assert content["versions"] == 2 + len(content["memory"])
    assert all(each["mebibytes"] > 50 for each in content["memory"])


def grown(*mebibytes: float) -> list[Memory]:
    return [Memory(20.0 * n, each, n + 2) for n, each in enumerate(mebibytes)]


def test_failures_a_leak_and_a_bad_end_are_told() -> None:
    flat = grown(500, 600, 610, 600, 610, 600, 605, 610)
    calls = {"status": 9}
    assert verdict(calls, {}, flat, 0, 0.1) == "passed"
    said = verdict(calls, {"status: UNAVAILABLE": 2}, flat, 1, 0.1)
    assert "2 × status: UNAVAILABLE" in said
    assert "ended with code 1" in said
    leak = grown(500, 600, 640, 680, 720, 760, 800, 840)
    assert verdict(calls, {}, leak, 0, 0.1) == "memory grew from 660 to 820 MiB"
    assert verdict(calls, {}, grown(500, 700), 0, 0.1) == "passed"


def test_a_kind_that_was_never_asked_is_told() -> None:
    flat = grown(500, 600, 610, 600, 610, 600, 605, 610)
    calls = {"status": 9, "predict": 0}
    assert verdict(calls, {}, flat, 0, 0.1) == "predict was never asked"


def test_an_answer_that_lacks_something_is_a_failure(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def incomplete() -> None:
        raise KeyError("T1")

    kinds = {"one": incomplete, "two": lambda: None}
    monkeypatch.setattr(mixed_load._Questions, "kinds", lambda _: kinds)
    load = mixed_load.MixedLoad(1, 2, mixed_load.Pinned(1))
    load.start(2)
    load.stop()
    assert load.failures["one: KeyError"] == load.calls["one"] > 0
    assert load.calls["two"] > 0
    assert sum(load.failures.values()) == load.calls["one"]


def test_a_server_that_does_not_start_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "model").mkdir()
    assert main(["--model", str(tmp_path / "model"), "--minutes", "0.1"]) == 2
    assert "the server ended with code 2" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["minutes", "callers", "growth", "every"])
def test_settings_that_make_no_soak_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"{name} must"):
        SoakConfig(**{name: -1})
    assert soak.SoakConfig().minutes == 30
