import re
from pathlib import Path

from serving import warmup
from serving.server import flags

CONTAINER = Path(warmup.__file__).parent / "container"


def test_batches_have_sizes_that_were_warmed_up():
    text = (CONTAINER / "batching.config").read_text()
    sizes = [int(size) for size in re.findall(r"allowed_batch_sizes: (\d+)", text)]
    (largest,) = re.findall(r"max_batch_size { value: (\d+) }", text)
    assert tuple(sizes) == warmup.ALLOWED_SIZES
    assert sizes[-1] == int(largest), "TF Serving refuses to load otherwise"


def test_the_image_serves_where_the_embedded_server_does_and_not_as_root():
    text = (CONTAINER / "Dockerfile").read_text()
    given = flags.parse(["--model_base_path=x"])
    assert f"--port={given.port}" in text
    assert f"--rest_api_port={given.rest_api_port}" in text
    (user,) = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert int(user.split(":")[0]) > 0


def test_every_copied_config_exists():
    text = (CONTAINER / "Dockerfile").read_text()
    copied = re.findall(r"COPY serving/container/(\S+)", text)
    assert copied
    assert all((CONTAINER / name).is_file() for name in copied)


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
