import gzip
import json
import sys
from pathlib import Path

import pytest

from bench import profile
from bench.material import Material
from bench.profile import ProfileConfig, main, trace
from bench.rivals import PYTHON


@pytest.fixture(scope="module")
def traced(material: Material, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("profile")
    config = ProfileConfig(shards=material.shards, out=out, steps=2, warm_up=1)
    return trace(config)


def test_a_trace_holds_the_step_and_the_input(traced: Path) -> None:
    (file,) = traced.glob("*.xplane.pb")
    content = file.read_bytes()
    assert b"ImageProjectiveTransformV3" in content
    assert b"Iterator::" in content


def test_the_way_to_open_a_trace_is_said(
    traced: Path,
    nobody: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr(profile, "trace", lambda _: traced)
    arguments = ["--peers", str(nobody), "--out", "runs/somewhere"]
    assert main(arguments) == 0
    assert "`make peers` builds it" in caplog.text
    assert "no-such-environment/bin/tensorboard --logdir runs/somewhere" in caplog.text


def test_a_converter_that_is_not_installed_is_named(
    traced: Path, caplog: pytest.LogCaptureFixture
) -> None:
    profile._convert(Path(sys.executable), traced)
    assert "no trace.json.gz: ModuleNotFoundError: No module named 'xprof'" in (
        caplog.text
    )


@pytest.mark.skipif(
    not PYTHON.is_file(), reason="the profiler is not here: `make peers`"
)
def test_a_trace_becomes_one_that_other_viewers_read(traced: Path) -> None:
    profile._convert(PYTHON, traced)
    content = json.loads(gzip.decompress((traced / "trace.json.gz").read_bytes()))
    names = {event.get("name") for event in content["traceEvents"]}
    assert "ImageProjectiveTransformV3" in names
    assert {"train 0", "train 1"} <= names


def test_no_step_to_trace_is_refused() -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        ProfileConfig(steps=0)
