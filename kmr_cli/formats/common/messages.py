"""Messages of protocol buffers, declared privately: nothing but ``protobuf`` is needed to read and write them.

Only fields that the program looks at are declared. protobuf keeps the others as unknown fields and writes them back
unchanged. The descriptors live in pools of their own, because the default pool accepts another package's definitions of
the same messages only once.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "string": _Field.TYPE_STRING,
    "bytes": _Field.TYPE_BYTES,
    "int32": _Field.TYPE_INT32,
    "int64": _Field.TYPE_INT64,
    "bool": _Field.TYPE_BOOL,
    "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
}


def declare(package: str, declarations: str, *, oneof: Collection[str] = (), optional: bool = False) -> dict[str, Any]:
    """Classes of messages, by name.

    proto3 drops a zero that was written to a plain field: ``i: 0`` and ``s: ""`` would vanish when a message is written
    back. A field of a oneof, and an optional one, keeps it.

    Args:
        package: a name for the pool.
        declarations: one message per line, or several lines for one: its name, then ``name=number:type`` for each
            field. A leading ``*`` is a repeated field, ``type{}`` a map from string to type.
        oneof: messages whose fields exclude each other.
        optional: whether all single fields of the others are optional.
    """
    file = descriptor_pb2.FileDescriptorProto(name=f"{package}.proto", package=package, syntax="proto3")
    messages: dict[str, Any] = {}
    for line in declarations.strip().splitlines():
        owner, *fields = line.split()
        if owner not in messages:
            messages[owner] = file.message_type.add(name=owner)
        for declaration in fields:
            name, number, kind = re.split("[=:]", declaration)
            field = _field(package, messages[owner], name, int(number), kind)
            if field.label == _Field.LABEL_OPTIONAL and owner in oneof:
                _in_the_oneof(messages[owner], field)
            elif field.label == _Field.LABEL_OPTIONAL and optional:
                _make_optional(messages[owner], field)
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(file.SerializeToString())
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{package}.{name}")) for name in messages}


def _field(package: str, message: Any, name: str, number: int, kind: str) -> Any:
    if kind.endswith("{}"):
        entry = message.nested_type.add(name=name.title().replace("_", "") + "Entry")
        entry.options.map_entry = True
        _field(package, entry, "key", 1, "string")
        _field(package, entry, "value", 2, kind[:-2])
        kind = f"*{message.name}.{entry.name}"
    label = _Field.LABEL_REPEATED if kind.startswith("*") else _Field.LABEL_OPTIONAL
    field = message.field.add(name=name, number=number, label=label)
    kind = kind.lstrip("*")
    if kind in _SCALARS:
        field.type = _SCALARS[kind]
    else:
        field.type, field.type_name = _Field.TYPE_MESSAGE, f".{package}.{kind}"
    return field


def _in_the_oneof(message: Any, field: Any) -> None:
    if not message.oneof_decl:
        message.oneof_decl.add(name="value")
    field.oneof_index = 0


def _make_optional(message: Any, field: Any) -> None:
    field.proto3_optional = True
    field.oneof_index = len(message.oneof_decl)
    message.oneof_decl.add(name=f"_{field.name}")
