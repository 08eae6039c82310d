"""Turns a trace into `trace.json.gz`, which any Chrome-trace viewer reads.

    .venv-peers/bin/python -m bench.peers.trace runs/profile/plugins/profile/NAME

TensorFlow 2.20 writes `*.xplane.pb` alone; the profiler plugin converts it.
"""

import gzip
import json
import sys
from pathlib import Path


def convert(folder: Path) -> Path:
    """Writes `trace.json.gz` beside the trace and returns its path.

    Raises:
        ValueError: The trace holds no event.
    """
    from xprof.convert import raw_to_tool_data

    traces = sorted(map(str, folder.glob("*.xplane.pb")))
    text, _ = raw_to_tool_data.xspace_to_tool_data(traces, "trace_viewer", {})
    if not json.loads(text)["traceEvents"]:
        raise ValueError(f"the trace in {folder} holds no event")
    out = folder / "trace.json.gz"
    out.write_bytes(gzip.compress(text if isinstance(text, bytes) else text.encode()))
    return out


if __name__ == "__main__":
    print(convert(Path(sys.argv[1])))
