"""Settings of all tests."""

import os
import shutil
from collections.abc import Callable

import pytest
from hypothesis import settings

# The same examples on every run of the continuous integration; new ones elsewhere.
settings.register_profile("ci", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("ci")


@pytest.fixture(scope="session")
def needed() -> Callable[[str, str], str]:
    """Finds a program; the test is skipped without it, or fails where all must run."""

    def find(program: str, where: str) -> str:
        found = shutil.which(program)
        if found is None:
            missing = f"{program} is not installed; {where}"
            if os.environ.get("MRI_REQUIRE_TOOLS") == "1":
                pytest.fail(missing)
            pytest.skip(missing)
        return found

    return find
