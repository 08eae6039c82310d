"""What the embedded server adds to the model, and how it fares among others."""

import contextlib
import dataclasses
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench import servers
from bench.asking import MODEL, Values, through_client
from bench.load import IN_FLIGHT, Ask, in_flight, percentile
from bench.remote import PeerError
from bench.results import Row, at_least, at_most, informs, unmeasured
from bench.servers import Running
from bench.timing import Contestant, Effort, Rates, side_by_side
from mri_contrast import Client
from pipeline.contrasts import CLASSES
from pipeline.released import RELEASED, newest_version
from serving.server.session import LoadedModel

SLICES: Final = (24, 1)
"""In a request: what a scan gives at most, and the least."""

NAMES: Final = ("litserve", "bentoml", "mlserver")


def released() -> Path:
    """Returns the folder of the released model's newest version.

    Raises:
        FileNotFoundError: There is none.
    """
    found = newest_version()
    if found is None:
        raise FileNotFoundError(f"{RELEASED} has no version; check it out again")
    return found


@dataclasses.dataclass(frozen=True, slots=True)
class Bare:
    """The model in this process, as the server holds it.

    Attributes:
        model: Loaded.
    """

    model: LoadedModel

    def ask(self, slices: NDArray[np.uint8]) -> Ask:
        """Makes a call of the session."""
        signature = self.model.signature("slices_v1")
        assert signature is not None
        outputs = list(signature.outputs)
        return lambda: void(self.model.run(signature, {"slices": slices}, outputs))

    def values(self, slices: NDArray[np.uint8]) -> Values:
        """What every server has to say of the slices."""
        signature = self.model.signature("slices_v1")
        assert signature is not None
        found = self.model.run(signature, {"slices": slices}, CLASSES)
        return np.stack(found, axis=1)


def void(_answer: object) -> None:
    """Forgets an answer."""


def measure(model: Path, effort: Effort, python: Path) -> list[Row]:
    """Measures the embedded server against the bare model and against other servers.

    Args:
        model: A version of the model.
        effort: How long, and how often.
        python: Interpreter that has the other servers.
    """
    bare = Bare(LoadedModel(model))
    random = np.random.default_rng(0)
    requests = [random.integers(0, 256, (n, 150, 150), np.uint8) for n in SLICES]
    expected = [bare.values(slices) for slices in requests]
    trial = min(1.0, effort.seconds)
    with contextlib.ExitStack() as stack:

        def start(host: servers.Host) -> Mapping[int, Running]:
            return stack.enter_context(
                servers.fastest(host, model, requests, expected, trial)
            )

        ours = start(servers.OURS)
        rows = [
            _throughput(bare, ours, requests, effort),
            _overhead(bare, ours[1], requests[SLICES.index(1)], effort),
        ]
        found: dict[str, Mapping[int, Running]] = {}
        reasons: dict[str, str] = {}
        for name, host in servers.peers(python).items():
            try:
                found[name] = start(host)
            except PeerError as failure:
                reasons[name] = str(failure)
        rows += _against_peers({"ours": ours, **found}, reasons, requests, effort)
    return rows


def _throughput(
    bare: Bare,
    ours: Mapping[int, Running],
    requests: list[NDArray[np.uint8]],
    effort: Effort,
) -> Row:
    """Server and client against calls of the session in this process."""
    ratios, parts = [], []
    for slices in requests:
        count = len(slices)
        with Client(
            f"127.0.0.1:{ours[count].port}", model=MODEL, timeout=120
        ) as client:
            # A thread has its own variables: `slices` goes on to the next request.
            server = through_client(client, slices)
            call = bare.ask(slices)
            contestants: dict[str, Contestant] = {
                "server": in_flight(lambda ask=server: ask, count),  # type: ignore[misc]
                "bare": in_flight(lambda ask=call: ask, count),  # type: ignore[misc]
            }
            rates = side_by_side(contestants, effort)
        ratios.append(rates.ratio("server", "bare"))
        parts.append(
            f"{count} a request: server {rates['server']:.0f} slices/s "
            f"({ours[count].setting}), bare session {rates['bare']:.0f}"
        )
    return at_least(
        "server.throughput",
        ratios,
        [0.92, 0.75],
        f"{'; '.join(parts)}; {IN_FLIGHT} in flight, server in a process of its own, "
        f"client on the same cores, to the verdict; limit: the model; {effort}",
    )


def _overhead(
    bare: Bare, ours: Running, slices: NDArray[np.uint8], effort: Effort
) -> Row:
    """Milliseconds that server and client add to a single request."""
    rounds = []
    with Client(f"127.0.0.1:{ours.port}", model=MODEL, timeout=120) as client:
        asks = {"server": through_client(client, slices), "bare": bare.ask(slices)}
        for _ in range(effort.repeats):
            took = in_turns(asks, effort.seconds)
            rounds.append({name: percentile(took[name], 0.5) for name in took})
    added = [each["server"] - each["bare"] for each in rounds]
    middle = {
        name: statistics.median(each[name] for each in rounds) for name in rounds[0]
    }
    return at_most(
        "server.overhead_ms",
        statistics.median(added),
        1,
        f"one slice, one call at a time, p50: client and server {middle['server']:.2f} "
        f"ms ({ours.setting}), session in this process {middle['bare']:.2f} ms; "
        f"calls alternate; median of {effort.repeats} rounds of {effort.seconds:g} s",
    )


def ours_first(rates: Iterable[Rates]) -> bool:
    """Whether no other server has a lower p99 than ours anywhere."""
    return all(
        each.p99("ours") <= min(each.p99(name) for name in each.rounds)
        for each in rates
    )


def in_turns(asks: Mapping[str, Ask], seconds: float) -> dict[str, list[float]]:
    """Lets each ask one call after the other's; returns milliseconds of each call."""
    took: dict[str, list[float]] = {name: [] for name in asks}
    for ask in asks.values():
        ask()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for name, ask in asks.items():
            start = time.perf_counter()
            ask()
            took[name].append(1000 * (time.perf_counter() - start))
    return took


def _against_peers(
    running: Mapping[str, Mapping[int, Running]],
    reasons: Mapping[str, str],
    requests: list[NDArray[np.uint8]],
    effort: Effort,
) -> Iterator[Row]:
    """The embedded server against the best of the others."""
    rates: dict[int, Rates] = {}
    for slices in requests:
        count = len(slices)
        contestants = {
            name: in_flight(each[count].form(each[count].port, slices).connect, count)
            for name, each in running.items()
        }
        rates[count] = side_by_side(contestants, effort)
    ahead = ours_first(rates.values())
    goals = " / ".join("1" for _ in requests)
    if reasons:
        yield unmeasured("server.vs_peers", f"≥ {goals}", "; ".join(reasons.values()))
    else:
        row = at_least(
            "server.vs_peers",
            [
                min(each.ratio("ours", name) for name in NAMES)
                for each in rates.values()
            ],
            [1 for _ in requests],
            "; ".join(
                f"{count} a request: "
                + ", ".join(
                    _figures(name, running[name][count], each) for name in running
                )
                for count, each in rates.items()
            )
            + "; slices/s, the faster setting of each took part; requests made once, "
            f"{IN_FLIGHT} in flight, TensorFlow of the same version; limit: the model; "
            f"{effort}; p99 of ours is {'' if ahead else 'NOT '}below that of each",
        )
        yield row if ahead else row.failed()
    for name in NAMES:
        if name in reasons:
            yield unmeasured(f"peer.{name}", "-", reasons[name])
            continue
        yield informs(
            f"peer.{name}",
            rates[1][name],
            f"slices/s, one a request, {running[name][1].setting}; ours "
            f"{rates[1].ratio('ours', name):.3g} times that",
        )


def _figures(name: str, running: Running, rates: Rates) -> str:
    return f"{name} {rates[name]:.0f} (p99 {rates.p99(name):.0f} ms, {running.setting})"
