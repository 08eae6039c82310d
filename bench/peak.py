"""Runs a command and prints its peak memory: `python -m bench.peak COMMAND…`.

After it come the seconds of processor time that it took. A small process of its own,
since Linux counts a parent's memory at the time of the start into its child's peak:
measured from a process that holds TensorFlow, every command would seem to take a
gigabyte.
"""

import os
import subprocess
import sys


def peak(command: list[str]) -> tuple[int, int, float]:
    """Returns the exit code, the most KiB it had resident and its processor seconds."""
    process = subprocess.Popen(command, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage.ru_maxrss, usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    code, kibibytes, seconds = peak(sys.argv[1:])
    print(kibibytes, f"{seconds:.3f}")
    sys.exit(code)
