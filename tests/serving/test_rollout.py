"""Publish, canary, promote, roll back, prune, while a client asks 50 times a second."""

import shutil
import threading
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mri_contrast import Client, MriContrastError
from serving import canary
from serving.canary import CanaryConfig
from serving.registry import Registry
from serving.server.config import ServerConfig
from serving.server.embedded import EmbeddedServer

PERIOD = 1 / 50


class User:
    """Asks the stable version again and again."""

    def __init__(self, target: str, scan: np.ndarray) -> None:
        self.versions: list[int] = []
        self.failures: list[MriContrastError] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._ask, args=(target, scan))

    def __enter__(self) -> "User":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _ask(self, target: str, scan: np.ndarray) -> None:
        with Client(target, label="stable", timeout=120) as client:
            while not self._stop.wait(PERIOD):
                try:
                    self.versions.append(client.identify(scan).model_version)
                except MriContrastError as error:
                    self.failures.append(error)

    def wait_for(self, version: int) -> None:
        """Waits until a version answers, and some calls more."""
        while self.versions[-1:] != [version]:
            assert not self.failures
            self._stop.wait(PERIOD)
        seen = len(self.versions)
        while len(self.versions) < seen + 5 and not self.failures:
            self._stop.wait(PERIOD)


@pytest.mark.timeout(600)
def test_no_call_fails_from_publishing_to_pruning(saved_model: Path, tmp_path: Path):
    registry = Registry(tmp_path / "models")

    def publish() -> int:
        with registry.workspace() as workspace:
            copy = shutil.copytree(saved_model, workspace / "model")
            return registry.publish(Path(copy))

    assert publish() == 1
    config = ServerConfig(
        port=0,
        rest_api_port=None,
        model_config_file=registry.root / "models.config",
        model_config_file_poll_wait_seconds=0.2,
        enable_model_warmup=False,
    )
    scan = np.random.default_rng(0).integers(0, 255, (150, 150), np.uint8)
    upload = tmp_path / "upload.png"
    Image.fromarray(scan).save(upload)
    with (
        EmbeddedServer(config) as (port, _),
        User(f"127.0.0.1:{port}", scan) as user,
    ):
        user.wait_for(1)
        assert (publish(), publish()) == (2, 3)
        user.wait_for(1)  # publishing changes nothing that is served
        registry.promote(2, "canary")
        asked = CanaryConfig(
            (upload,) * 40, f"127.0.0.1:{port}", share=1.0, max_ratio=1000
        )
        assert canary.canary(asked) == 0
        registry.promote(2, reason="as good as 1")
        user.wait_for(2)
        registry.promote(3)
        user.wait_for(3)
        assert registry.rollback(reason="worse after all") == 2
        user.wait_for(2)
        assert registry.prune(0) == [3]
        user.wait_for(2)
    assert user.failures == []
    assert [version for version, _ in groupby(user.versions)] == [1, 2, 3, 2]
