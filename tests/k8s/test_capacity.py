"""The simulation beside what queueing theory says, and the manifests beside it."""

import math
from collections.abc import Callable

import numpy as np
import pytest

from k8s.capacity.load import HOUR, Load
from k8s.capacity.queue import Scaler, simulate
from tests.k8s.conftest import Object
from tests.k8s.rules.objects import find

CALLS = 200_000


def poisson(rate: float, seed: int) -> tuple[np.ndarray, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return np.cumsum(rng.exponential(1 / rate, CALLS)), rng


def fixed(servers: int) -> Scaler:
    return Scaler(servers, servers, 0.5)


@pytest.mark.parametrize(("servers", "used"), [(1, 0.7), (3, 0.8), (8, 0.6)])
def test_waiting_is_erlang_s_for_exponential_services(servers: int, used: float):
    offered = servers * used
    arrivals, rng = poisson(offered, 1)
    outcome = simulate(arrivals, rng.exponential(1, CALLS), fixed(servers))
    tail = offered**servers / math.factorial(servers) / (1 - used)
    none = sum(offered**k / math.factorial(k) for k in range(servers))
    expected = tail / (none + tail) / (servers - offered)  # Erlang's C formula
    assert outcome.waits.mean() == pytest.approx(expected, rel=0.1)
    assert outcome.busy_seconds / outcome.server_seconds == pytest.approx(
        used, rel=0.03
    )


@pytest.mark.parametrize("used", [0.3, 0.6, 0.8])
def test_waiting_is_pollaczek_and_khinchin_s_for_equal_services(used: float):
    arrivals, _ = poisson(used, 2)
    outcome = simulate(arrivals, np.ones(CALLS), fixed(1))
    assert outcome.waits.mean() == pytest.approx(used / (2 * (1 - used)), rel=0.1)


def test_a_day_has_its_scans_and_its_busiest_hour():
    load = Load(scans=200_000, swing=0.5, busiest=10)
    times = load.arrivals(0, 24, np.random.default_rng(0))
    assert len(times) == pytest.approx(200_000, rel=0.01)
    counts, _ = np.histogram(times, bins=24, range=(0, 24 * HOUR))
    assert counts.argmax() in (9, 10)
    assert counts.max() / counts.min() == pytest.approx(3, rel=0.1)


def test_the_same_seed_is_the_same_day():
    load = Load(scans=10_000)
    days = [load.arrivals(0, 24, np.random.default_rng(3)) for _ in range(2)]
    assert np.array_equal(*days)


def test_servers_follow_the_load_within_their_limits():
    load = Load(scans=2_000_000, burst=3)
    arrivals = load.arrivals(10, 13, np.random.default_rng(0))
    scaler = Scaler(2, 6, 0.6)
    outcome = simulate(arrivals, np.full(len(arrivals), 0.04), scaler)
    counts = [count for _, count in outcome.replicas]
    assert min(counts) == 2
    assert max(counts) == 6
    assert counts[-1] < 6, "the burst is long over"


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="swing in 0–1"):
        Load(scans=1, swing=2)
    with pytest.raises(ValueError, match="1 <= least <= most"):
        Scaler(3, 2, 0.5)


def test_the_autoscaler_has_the_rules_that_were_simulated(
    objects_of: Callable[[str], list[Object]],
):
    found = find(objects_of("cpu"), "HorizontalPodAutoscaler", "mri-serving")
    assert found is not None
    spec = found["spec"]
    target = spec["metrics"][0]["resource"]["target"]["averageUtilization"] / 100
    down = spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"]
    simulated = Scaler(spec["minReplicas"], spec["maxReplicas"], target)
    assert down == simulated.window
    up = {
        each["type"]: each["value"] for each in spec["behavior"]["scaleUp"]["policies"]
    }
    assert up == {"Percent": 100, "Pods": 2}
