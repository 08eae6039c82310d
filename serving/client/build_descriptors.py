"""Writes `mri_contrast/tfs.fds`: the messages of TF Serving's API that the client uses.

Run it with an interpreter that has tensorflow-serving-api, after changing its version:
`python serving/client/build_descriptors.py`. The client itself needs neither that
package nor TensorFlow: it builds its messages from the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, wrappers_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    predict_pb2,
)

OUTPUT = Path(__file__).parent / "mri_contrast" / "tfs.fds"
ROOTS = (
    predict_pb2.PredictRequest.DESCRIPTOR,
    predict_pb2.PredictResponse.DESCRIPTOR,
    get_model_metadata_pb2.GetModelMetadataRequest.DESCRIPTOR,
    get_model_metadata_pb2.GetModelMetadataResponse.DESCRIPTOR,
    get_model_metadata_pb2.SignatureDefMap.DESCRIPTOR,
    get_model_status_pb2.GetModelStatusRequest.DESCRIPTOR,
    get_model_status_pb2.GetModelStatusResponse.DESCRIPTOR,
    any_pb2.Any.DESCRIPTOR,
    wrappers_pb2.Int64Value.DESCRIPTOR,
)


def descriptor_set() -> bytes:
    """A serialized FileDescriptorSet of all that `ROOTS` refer to, and no more.

    Files come before those that import them; the bytes depend on the installed
    tensorflow-serving-api and TensorFlow alone.
    """
    needed: dict[str, Any] = {}
    for root in ROOTS:
        _reach(root, needed)
    files: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for descriptor in needed.values():
        _add_file(descriptor.file, needed, files)
    whole = descriptor_pb2.FileDescriptorSet(file=files.values())
    return whole.SerializeToString(deterministic=True)


def _reach(descriptor: Any, needed: dict[str, Any]) -> None:
    """Collects a message or enum, and what its fields and its parent refer to."""
    if descriptor is None or descriptor.full_name in needed:
        return
    needed[descriptor.full_name] = descriptor
    _reach(descriptor.containing_type, needed)
    for field in getattr(descriptor, "fields", ()):
        _reach(field.message_type or field.enum_type, needed)


def _add_file(
    file: Any,
    needed: dict[str, Any],
    files: dict[str, descriptor_pb2.FileDescriptorProto],
) -> None:
    """Adds a file after its imports, cut down to the needed messages."""
    if file.name in files:
        return
    imports = {d.file.name: d.file for d in _referred(file, needed)}
    imports.pop(file.name, None)
    for name in sorted(imports):
        _add_file(imports[name], needed, files)
    proto = descriptor_pb2.FileDescriptorProto()
    file.CopyToProto(proto)
    for field in ("service", "public_dependency", "weak_dependency", "options"):
        proto.ClearField(field)
    proto.dependency[:] = sorted(imports)
    _prune(proto.message_type, proto.package, needed)
    _prune(proto.enum_type, proto.package, needed)
    files[file.name] = proto


def _referred(file: Any, needed: dict[str, Any]) -> list[Any]:
    """The messages and enums that the needed messages of a file have as fields."""
    return [
        field.message_type or field.enum_type
        for descriptor in needed.values()
        if descriptor.file.name == file.name
        for field in getattr(descriptor, "fields", ())
        if field.message_type or field.enum_type
    ]


def _prune(found: Any, scope: str, needed: dict[str, Any]) -> None:
    """Removes what is not needed from a list of messages or enums, at every depth."""
    kept = [item for item in found if f"{scope}.{item.name}" in needed]
    del found[:]
    found.extend(kept)
    for item in found:
        if hasattr(item, "nested_type"):
            name = f"{scope}.{item.name}"
            _prune(item.nested_type, name, needed)
            _prune(item.enum_type, name, needed)


if __name__ == "__main__":
    OUTPUT.write_bytes(descriptor_set())
    print(f"{OUTPUT.name}: {OUTPUT.stat().st_size} bytes")
