from pathlib import Path

import pytest

from bench.material import Material
from bench.profile import ProfileConfig, main


def test_a_trace_of_real_steps_is_written_and_the_way_to_open_it_said(
    material: Material, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    arguments = ["--shards", str(material.shards), "--out", str(tmp_path)]
    assert main([*arguments, "--steps", "2", "--warm-up", "1"]) == 0
    (trace,) = tmp_path.glob("plugins/profile/*/*.xplane.pb")
    content = trace.read_bytes()
    assert b"ImageProjectiveTransformV3" in content  # The step's own operations.
    assert b"Iterator::" in content  # What the input did meanwhile.
    assert f"tensorboard --logdir {tmp_path}" in caplog.text


def test_no_step_to_trace_is_refused() -> None:
    with pytest.raises(ValueError, match="steps must be at least 1, got 0"):
        ProfileConfig(steps=0)
