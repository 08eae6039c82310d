import logging

import pytest

from pipeline import progress as module
from pipeline.progress import progress


def test_without_a_terminal_the_end_is_one_plain_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with (
        caplog.at_level(logging.INFO, "pipeline.progress"),
        progress("writing shards", 4, "scans") as advance,
    ):
        advance()
        advance(3, rejected=1)
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1
    assert lines[0].startswith("writing shards: 4 of 4 scans in 0 s")
    assert lines[0].endswith("rejected 1")


def test_long_work_reports_on_the_way(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PLAIN_SECONDS", 0.0)
    with caplog.at_level(logging.INFO), progress("reading", None, "files") as advance:
        advance(2)
        advance(5)
    counts = [record.getMessage().split(" in ")[0] for record in caplog.records]
    assert counts == ["reading: 2 files", "reading: 7 files"]
