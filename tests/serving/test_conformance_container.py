"""The container that asks TF Serving what the conformance suite asks."""

import re
from pathlib import Path

CONTAINER = Path(__file__).parents[2] / "serving" / "container"


def test_the_suite_in_its_container_asks_the_server_that_the_image_serves_with():
    image = (CONTAINER / "Dockerfile").read_text()
    suite = (CONTAINER / "conformance.Dockerfile").read_text()
    (served,) = re.findall(r"^ARG BASE=(\S+)$", image, re.MULTILINE)
    assert f"ARG SERVER={served}\n" in suite


def test_the_suite_in_its_container_is_given_every_placeholder():
    text = (CONTAINER / "compose.conformance.yaml").read_text()
    (command,) = re.findall(r"- (tensorflow_model_server .*)", text)
    assert re.findall(r"{\w+}", command) == ["{port}", "{rest_port}", "{flags}"]
    root = CONTAINER.parent.parent
    (folder,) = re.findall(r"- (tests/\S+)", text)
    assert (root / folder / "rows.py").is_file()
    (dockerfile,) = re.findall(r"dockerfile: (\S+)", text)
    assert (root / dockerfile).is_file()
