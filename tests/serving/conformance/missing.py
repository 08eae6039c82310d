"""What this project's server does not do.

A row here is expected to fail, and the suite fails where it passes: once the server
does it, remove the line. Other servers are not excused.
"""

from collections.abc import Mapping
from typing import Final

MISSING: Final[Mapping[str, str]] = {
    "grpc.profiler": "profiles are made by `make profile`, not over gRPC",
    "grpc.tensor-content": "--enable_serialization_as_tensor_content does nothing",
}
