"""A few simulated slices, made once for all tests of the benches."""

from pathlib import Path

import pytest

from bench.material import Material, prepare


@pytest.fixture(scope="session")
def material(tmp_path_factory: pytest.TempPathFactory) -> Material:
    return prepare(tmp_path_factory.mktemp("material"), slices=300, subjects=1)


@pytest.fixture(scope="session")
def nobody() -> Path:
    """An interpreter that is not there."""
    return Path("no-such-environment/bin/python")
