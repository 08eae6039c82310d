"""Takes turns for another process: one JSON line in, one out, until the input ends.

    .venv-peers/bin/python -m bench.peers.serve grain FOLDER

In: `{"seconds": 3.0, "batch": 128, "workers": 1}`. Out: `{"rate": 20118.3}` slices per
second, or `{"error": "ModuleNotFoundError: No module named 'grain'"}`.
"""

import json
import os
import sys
from pathlib import Path

from bench.peers.loaders import starter
from bench.timing import take_turn


def serve(name: str, folder: Path) -> None:
    """Answers until the input ends."""
    # What a library prints must not get between the answers.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    for line in sys.stdin:
        asked = json.loads(line)
        seconds = asked.pop("seconds")
        answer: dict[str, float | str]
        try:
            answer = {"rate": take_turn(starter(name, folder, **asked), seconds).rate}
        except Exception as error:  # Whatever a peer raises is its result.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], Path(sys.argv[2]))
