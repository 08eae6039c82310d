"""Runs a module with slices of another size, to compare sizes.

python -m bench.sized 128 pipeline.train --shards ... --run …

The size is one constant, read by everything that is imported after it was set. Workers
are started anew and would not know, so shards are cut with `--workers 1`.
"""

import runpy
import sys

import mri_contrast.slices


def main() -> None:
    """Sets the size and hands the rest of the command line over."""
    size, module = int(sys.argv[1]), sys.argv[2]
    mri_contrast.slices.SIZE = size
    sys.argv = [module, *sys.argv[3:]]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
