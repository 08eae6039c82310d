"""What something ran on: processor, cores and memory, never the name of a host."""

import os
import platform
from pathlib import Path
from typing import Any


def machine() -> dict[str, Any]:
    """Describes this machine: processor, cores that may be used, memory in GiB."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(memory / 2**30, 1),
    }


def accelerators() -> list[str]:
    """Names the kinds of the GPUs that TensorFlow may use here."""
    import tensorflow as tf  # 3 s; the description of the machine alone needs none

    return [
        str(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU"))
        for gpu in tf.config.get_visible_devices("GPU")
    ]


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
