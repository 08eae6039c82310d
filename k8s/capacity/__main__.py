"""Tries autoscaling targets on a busy morning, and writes a table and a picture.

python -m k8s.capacity            docs/pictures/capacity.png, a table to read
"""

import sys
from pathlib import Path
from typing import Final

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np

from k8s.capacity.load import HOUR, Load
from k8s.capacity.queue import Outcome, Scaler, simulate

BARE: Final = 0.018
"""Seconds that two cores take for 24 slices with the released model (docs/decisions.md,
the slower of the medians there)."""

SERVICE: Final = 2 * BARE
"""Seconds of a call: twice that, assumed for gRPC, parsing and slower cores."""

CORES: Final = 2
TARGETS: Final = (0.5, 0.6, 0.7, 0.8, 0.9)
MORNING: Final = (9.0, 13.0)
LOAD: Final = Load(scans=4e6, burst=2.0)
PICTURE: Final = Path("docs/pictures/capacity.png")


def morning(target: float, load: Load = LOAD, seed: int = 0) -> Outcome:
    """Four hours around the busiest one, with its burst; the same for each target."""
    rng = np.random.default_rng(seed)
    arrivals = load.arrivals(*MORNING, rng)
    # Scans have 8 to 24 slices: three planes, of which some cannot be cut.
    slices = rng.choice([8, 16, 24], len(arrivals), p=[0.2, 0.3, 0.5])
    return simulate(arrivals, SERVICE * slices / 24, Scaler(2, 12, target))


def main() -> int:
    """Prints the table and draws the servers over time; returns the exit code."""
    figure, (above, below) = plt.subplots(2, 1, figsize=(8, 6), sharex=True)
    hours = np.linspace(*MORNING, 500)
    above.plot(hours, LOAD.rate(hours * HOUR), color="black")
    above.set_ylabel("scans a second")
    print("target  p50 ms  p99 ms  p99.9 ms  worst s  most  busy  core-hours/million")
    for target in TARGETS:
        outcome = morning(target)
        p50, p99, p999 = 1000 * np.quantile(outcome.waits, (0.5, 0.99, 0.999))
        million = 1e6 / len(outcome.waits)
        hours_ = CORES * outcome.server_seconds / HOUR * million
        share = outcome.busy_seconds / outcome.server_seconds
        most = max(count for _, count in outcome.replicas)
        print(
            f"{target:6.0%}  {p50:6.0f}  {p99:6.0f}  {p999:8.0f}  "
            f"{outcome.waits.max():7.1f}  {most:4}  {share:4.0%}  {hours_:10.0f}"
        )
        times, counts = map(list, zip(*outcome.replicas, strict=True))
        hours = np.array([*times, MORNING[1] * HOUR]) / HOUR  # the last one lasts
        below.step(hours, [*counts, counts[-1]], where="post", label=f"{target:.0%}")
    below.set(xlabel="hour of the day", ylabel="servers", xlim=MORNING)
    below.legend(title="target", loc="upper left", fontsize="small")
    figure.tight_layout()
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=110, metadata={"Software": None})
    return 0


if __name__ == "__main__":
    sys.exit(main())
