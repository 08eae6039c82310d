"""make k8s: fills images in, and refuses what could be something else tomorrow."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DIGEST = "sha256:" + "0123456789abcdef" * 4
IMAGE = f"registry.example/mri-serving@{DIGEST}"


def make(*variables: str) -> tuple[int, str, str]:
    done = subprocess.run(
        ["make", "--no-print-directory", "k8s", *variables],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_every_overlay_is_written_and_says_what_it_lacks():
    code, out, errors = make()
    assert code == 0, errors
    assert "build/k8s/local.yaml\n" in out
    assert "build/k8s/train.yaml: lacks image mri-train\n" in out
    assert (
        "build/k8s/gpu.yaml: lacks image mri-serving, the class of the Gateway" in out
    )
    assert "kind: Deployment" in (ROOT / "build/k8s/cpu.yaml").read_text()


def test_images_are_filled_in_by_digest():
    code, out, errors = make(
        "OVERLAY=canary",
        f"IMAGE={IMAGE}",
        f"CANARY_IMAGE={IMAGE[:-1]}0",
        f"ENVOY_IMAGE=registry.example/envoy@{DIGEST}",
    )
    assert code == 0, errors
    assert set(re.findall(r"image: (\S+)", out)) == {
        IMAGE,
        f"{IMAGE[:-1]}0",
        f"registry.example/envoy@{DIGEST}",
    }


def test_the_class_of_the_gateway_is_filled_in():
    code, out, errors = make("OVERLAY=gpu", f"IMAGE={IMAGE}", "GATEWAY_CLASS=mine")
    assert code == 0, errors
    assert "gatewayClassName: mine\n" in out


def test_on_one_machine_a_tag_will_do():
    code, out, _ = make("OVERLAY=local", "IMAGE=mri-serving:7")
    assert code == 0
    assert re.findall(r"image: (\S+)", out) == ["mri-serving:7"]


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (["OVERLAY=cpu"], "cpu lacks image envoy, image mri-serving"),
        (["OVERLAY=train", "IMAGE=a/mri-train:3"], "name it by digest"),
        (["OVERLAY=train", "IMAGE=a/mri-train@sha256:12"], "name it by digest"),
        (["OVERLAY=local", f"ENVOY_IMAGE={IMAGE}"], "overlay local has no image envoy"),
        (["OVERLAY=none"], "no overlay 'none'; there are: canary, cpu"),
        (["OVERLAY=gpu", f"IMAGE={IMAGE}"], "gpu lacks the class of the Gateway"),
    ],
)
def test_what_is_missing_or_can_move_is_refused(variables: list[str], said: str):
    code, out, errors = make(*variables)
    assert code == 2
    assert not out
    assert said in errors
