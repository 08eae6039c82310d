from pathlib import Path

import pytest

from bench import serving, volumes
from bench.serving import in_turns
from bench.timing import Effort


@pytest.mark.timeout(900)
def test_the_server_is_measured_where_no_other_is_there(nobody: Path) -> None:
    rows = serving.measure(serving.released(), Effort(0.05, 1), nobody)
    by_id = {row.id: row for row in rows}
    assert set(by_id) == {
        *("server.throughput", "server.overhead_ms", "server.vs_peers"),
        *("peer.litserve", "peer.bentoml", "peer.mlserver"),
    }
    large, small = by_id["server.throughput"].value
    assert large > 0.1
    assert small > 0.05
    assert "make peers" in by_id["server.vs_peers"].detail
    assert not by_id["server.vs_peers"].ok


def test_calls_alternate() -> None:
    order: list[str] = []
    asks = {name: lambda name=name: order.append(name) for name in ("one", "two")}
    took = in_turns(asks, 0.01)
    assert order[:6] == ["one", "two"] * 3
    assert len(took["one"]) == len(took["two"]) == len(order) // 2 - 1


def test_the_volume_is_what_scanners_write(tmp_path: Path) -> None:
    from mri_contrast import read_scan

    path = volumes.volume(tmp_path)
    scan = read_scan(path)
    assert scan.voxels.shape == (256, 256, 256)
    assert 10e6 < path.stat().st_size < 34e6
    assert volumes.volume(tmp_path) == path
