from __future__ import annotations

import hashlib
import hmac
import json
import stat
import threading
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import grpc
import pytest

from mri_contrast import Audit, Client, MriContrastError
from mri_contrast.scans import read_scan
from mri_contrast.slices import cut
from tests.client.small_server import SmallServer, ball


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_every_decision_gets_a_line(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    with (
        SmallServer() as server,
        Client(server.target, audit=Audit(path, salt=b"pepper")) as client,
    ):
        client.identify(ball("T1"))
        client.check_upload({"T2": ball("T2"), "FLAIR": b"no scan"})
        server.fails = [(grpc.StatusCode.INTERNAL, "no")]
        with pytest.raises(MriContrastError):
            client.identify(ball("T1"))
    first, unreadable, second, failed = lines(path)
    slices = cut(read_scan(ball("T1"))).tobytes()
    assert first["content"] == hmac.new(b"pepper", slices, hashlib.sha256).hexdigest()
    assert (first["verdict"], first["model"], first["model_version"]) == (
        "T1",
        "mri_contrast",
        7,
    )
    assert first["probability"] > 0.9
    assert 0 <= first["latency_ms"] < 60_000
    age = datetime.now(timezone.utc) - datetime.fromisoformat(first["time"])
    assert timedelta(0) <= age < timedelta(minutes=5)
    assert second["verdict"] == "T2"
    assert (unreadable["content"], unreadable["error"]) == (None, "UnreadableScan")
    assert (failed["verdict"], failed["error"]) == (None, "RejectedByServer")
    assert failed["content"] == first["content"]


def test_one_scan_has_one_hash_for_each_salt(tmp_path: Path) -> None:
    slices = cut(read_scan(ball("T1")))
    kept = Audit(tmp_path / "a.jsonl").content(slices)
    assert Audit(tmp_path / "a.jsonl").content(slices) == kept, "the salt is kept"
    assert Audit(tmp_path / "b.jsonl").content(slices) != kept
    salt = tmp_path / "a.jsonl.salt"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert len(salt.read_bytes()) == 64


def test_an_empty_salt_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="salt is empty"):
        Audit(tmp_path / "a.jsonl", salt=b"")


def test_lines_are_added_whole_by_many_threads(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    audits = [Audit(path, salt=b"x") for _ in range(8)]

    def write(audit: Audit, name: int) -> None:
        for number in range(50):
            audit.write({"name": name, "number": number, "long": "x" * 500})

    threads = [
        threading.Thread(target=write, args=(a, i)) for i, a in enumerate(audits)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = sorted((line["name"], line["number"]) for line in lines(path))
    assert found == [(name, number) for name in range(8) for number in range(50)]


def test_a_decision_that_cannot_be_recorded_is_an_error(tmp_path: Path) -> None:
    audit = Audit(tmp_path / "audit.jsonl")
    (tmp_path / "audit.jsonl").mkdir()
    with (
        SmallServer() as server,
        Client(server.target, audit=audit) as client,
        pytest.raises(OSError, match="directory"),
    ):
        client.identify(ball("T1"))
