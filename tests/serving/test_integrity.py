"""A version with one byte changed is refused by gate, `verify` and server."""

import json
import shutil
import subprocess
from pathlib import Path

import grpc
import pytest

from serving import gate, integrity
from serving.intact import intact
from serving.integrity import SUMS, damage, reseal, seal
from serving.registry import Registry, RegistryError, Verify
from serving.release import ReleaseConfig, ReleaseRefusedError, release
from serving.server import warmup
from serving.server.errors import ServingError
from serving.server.model_config import ModelConfig


def flip(path: Path) -> None:
    """Changes one bit of the byte in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.fixture
def models(root: Path, tmp_path: Path) -> Path:
    """A copy of the registry that a test may damage."""
    shutil.copytree(root, tmp_path / "models")
    Registry(tmp_path / "models").promote(1)  # writes models.config for this place
    return tmp_path / "models"


FILES = (
    *("saved_model.pb", "variables/variables.data-00000-of-00001"),
    *("assets.extra/model_card.json", "assets.extra/tf_serving_warmup_requests"),
)


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_byte_is_named_by_gate_verify_and_server(
    models: Path, run, name: str, capsys
):
    version = models / "mri_contrast" / "2"
    flip(version / name)
    told = f"{name} is damaged"
    with pytest.raises(gate.GateRefusedError, match=f"the export is damaged .{told}"):
        gate.check(version, run)
    assert Verify(root=models)() == 3
    said = capsys.readouterr()
    assert f"{version}: {told}\n" in said.out
    assert f"{models / 'mri_contrast' / '1'}: whole\n" in said.out
    assert said.err == "refused: version 2 is damaged; see above\n"
    with pytest.raises(ServingError, match=told) as refusal:
        warmup.load(ModelConfig("mri_contrast", version.parent), 2, True)
    assert refusal.value.code is grpc.StatusCode.DATA_LOSS


def test_missing_and_extra_files_are_named(models: Path, capsys):
    version = models / "mri_contrast" / "2"
    (version / "fingerprint.pb").rename(version / "other.pb")
    assert Verify(version=2, root=models)() == 3
    said = capsys.readouterr().out
    assert "fingerprint.pb is missing; other.pb was not published" in said
    assert Verify(version=1, root=models)() == 0


def test_digests_that_are_gone_or_changed_are_damage_too(models: Path, capsys):
    sums = models / "mri_contrast" / "2" / SUMS
    seal(sums.parents[1])
    (sums.parents[1] / "saved_model.pb").write_bytes(b"another model")
    reseal(sums.parents[1], Path("saved_model.pb"))
    assert Verify(version=2, root=models)() == 3
    assert "SHA256SUMS is not the one published" in capsys.readouterr().out
    sums.unlink()
    assert Verify(version=2, root=models, json=True)() == 3
    told = json.loads(capsys.readouterr().out)
    assert told["faults"] == {"2": ["assets.extra/SHA256SUMS is missing"]}
    assert told["sealed"] == {"2": False}
    sums.write_text("no digest at all\n")
    assert damage(sums.parents[1]) == ["assets.extra/SHA256SUMS is damaged in line 1"]


def test_a_models_config_that_says_something_else_is_told(models: Path, capsys):
    (models / "models.config").write_text("")
    assert Verify(root=models)() == 3
    assert "models.config does not say what labels.json says" in capsys.readouterr().out


def test_any_shell_can_check_a_version(saved_model: Path):
    command = ["sha256sum", "--check", "--strict", "--quiet", str(SUMS)]
    subprocess.run(command, cwd=saved_model, check=True)
    listed = {line.split("  ")[1] for line in (saved_model / SUMS).open()}
    assert len(listed) == sum(p.is_file() for p in saved_model.rglob("*")) - 1


def test_a_version_without_digests_is_served_and_said_to_be_so(models: Path, capsys):
    version = models / "mri_contrast" / "7"
    shutil.copytree(version.with_name("1"), version)
    (version / SUMS).unlink()
    flip(version / "assets.extra" / "model_card.json")
    assert intact(version) == version
    assert Verify(version=7, root=models)() == 0
    assert f"{version}: published without digests" in capsys.readouterr().out


def test_what_was_sealed_stays_as_it_was_sealed(tmp_path: Path):
    (tmp_path / "one").write_text("1")
    seal(tmp_path)
    (tmp_path / "one").write_text("changed since")
    (tmp_path / "two").write_text("2")
    seal(tmp_path)
    assert damage(tmp_path) == ["one is damaged"]
    prepared = Registry(tmp_path / "models")
    with pytest.raises(RegistryError, match="one is damaged"):
        prepared.publish(tmp_path)
    assert prepared.versions() == []
    assert not integrity.is_sealed(tmp_path / "models")


def test_a_damaged_version_is_not_released(models: Path, tmp_path: Path):
    flip(models / "mri_contrast" / "2" / "saved_model.pb")
    with pytest.raises(ReleaseRefusedError, match=r"saved_model\.pb is damaged"):
        release(ReleaseConfig(2, models, tmp_path / "released"))
