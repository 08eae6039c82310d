"""TFRecord shards: scans are cut, slices packed into files of equal size, all sealed.

    planning.py    which scans are cut together; the settings
    jobs.py        cutting some scans; cutting.py: all of them, or one part of several
    packing.py     one shard out of cuts; packall.py: all of them
    building.py    the whole build, and its manifest
    verify.py      finds damage, with damage.py, frames.py and checksums.py
    describe.py    counts and a contact sheet
    outfolder.py   who may write into a folder, and what is left over in it

A note seals every finished file: a build that was interrupted, or a shard that was
damaged, costs only what is missing. The same input gives the same bytes.
"""

from pipeline.shards.building import build, cut_part
from pipeline.shards.planning import ShardsConfig, plan

__all__ = ["ShardsConfig", "build", "cut_part", "plan"]
