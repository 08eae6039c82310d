"""The table of rows and the tests agree."""

import pytest

from tests.serving.conformance.conftest import HERE, seen
from tests.serving.conformance.missing import MISSING
from tests.serving.conformance.rows import ROWS


def test_every_row_has_a_test(request):
    rows_of = request.config.stash[seen]
    files = {path.name for path in HERE.glob("test_*.py")}
    if set(rows_of) != files:
        pytest.skip("only some of the files were collected; run the whole folder")
    untested = set(ROWS) - set().union(*rows_of.values())
    assert not untested


def test_what_is_missing_is_a_row():
    assert set(MISSING) <= set(ROWS)
