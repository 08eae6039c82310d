"""Messages of grpc.reflection.v1alpha, no more of them than is asked."""

from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "grpc.reflection.v1alpha"
_PATH = f"/{_PACKAGE}.ServerReflection/ServerReflectionInfo"


def _messages() -> tuple[Any, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="reflection.proto", package=_PACKAGE, syntax="proto3"
    )
    kinds = descriptor_pb2.FieldDescriptorProto

    def add(message_name: str, /, **fields: tuple[int, int, str, bool]) -> None:
        message = file.message_type.add(name=message_name)
        for field, (number, kind, other, repeated) in fields.items():
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            message.field.add(
                name=field,
                number=number,
                type=kind,
                label=label,
                type_name=f".{_PACKAGE}.{other}" if other else None,
            )

    text, raw, inner = kinds.TYPE_STRING, kinds.TYPE_BYTES, kinds.TYPE_MESSAGE
    add(
        "Request",
        file_containing_symbol=(4, text, "", False),
        list_services=(7, text, "", False),
    )
    add("Service", name=(1, text, "", False))
    add("Services", service=(1, inner, "Service", True))
    add("Files", file_descriptor_proto=(1, raw, "", True))
    add(
        "Response",
        file_descriptor_response=(4, inner, "Files", False),
        list_services_response=(6, inner, "Services", False),
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made = (
        message_factory.GetMessageClass(
            pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")
        )
        for name in ("Request", "Response")
    )
    return next(made), next(made)


_Request, _Response = _messages()


def _ask(channel: grpc.Channel, request: Any) -> Any:
    call = channel.stream_stream(
        _PATH, _Request.SerializeToString, _Response.FromString
    )
    return next(call(iter([request]), timeout=60))


def services(channel: grpc.Channel) -> set[str]:
    """Names of all services that a server offers."""
    # Any text will do, but an empty one would not be on the wire.
    answer = _ask(channel, _Request(list_services="*"))
    return {each.name for each in answer.list_services_response.service}


def files_of(channel: grpc.Channel, symbol: str) -> list[Any]:
    """Descriptors of the file that holds a symbol, and maybe of what it imports."""
    answer = _ask(channel, _Request(file_containing_symbol=symbol))
    return [
        descriptor_pb2.FileDescriptorProto.FromString(each)
        for each in answer.file_descriptor_response.file_descriptor_proto
    ]
