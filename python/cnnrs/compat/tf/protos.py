"""Messages of TensorFlow's files: `tf.train.Example` and tensors, by the package protobuf.

Messages are described here, as in `tensorflow/core/example/*.proto` and `core/framework/tensor.proto`, in a
pool of their own: a program may import TensorFlow as well.
"""

from __future__ import annotations

import functools
from typing import Any

__all__ = ["message"]

_LABELS = {"": 1, "repeated": 3}
_TYPES = {
    "double": 1, "float": 2, "int64": 3, "uint64": 4, "int32": 5, "bool": 8, "string": 9, "message": 11,
    "bytes": 12, "uint32": 13,
}  # fmt: skip

# Messages, and of each its fields: label, type, name and number; `map` is a map from text to a message.
_EXAMPLE = """
BytesList: repeated bytes value 1
FloatList: repeated float value 1
Int64List: repeated int64 value 1
Feature: oneof BytesList bytes_list 1; oneof FloatList float_list 2; oneof Int64List int64_list 3
Features: map Feature feature 1
FeatureList: repeated Feature feature 1
FeatureLists: map FeatureList feature_list 1
Example: Features features 1
SequenceExample: Features context 1; FeatureLists feature_lists 2
"""
_TENSOR = """
Dim: int64 size 1; string name 2
TensorShapeProto: repeated Dim dim 2; bool unknown_rank 3
TensorProto: int32 dtype 1; TensorShapeProto tensor_shape 2; int32 version_number 3; bytes tensor_content 4; \
repeated float float_val 5; repeated double double_val 6; repeated int32 int_val 7; \
repeated bytes string_val 8; repeated int64 int64_val 10; repeated bool bool_val 11; \
repeated int32 half_val 13; repeated uint32 uint32_val 16; repeated uint64 uint64_val 17
"""


def message(name: str) -> Any:
    """The class of a message.

    Raises:
        ImportError: protobuf is not there; the message names the extra.
    """
    return _classes()[name]


@functools.cache
def _classes() -> dict[str, Any]:
    try:
        # It has no stubs of its own.
        from google.protobuf import (  # type: ignore[import-untyped]
            descriptor_pb2,
            descriptor_pool,
            message_factory,
        )
    except ImportError as error:
        raise ImportError(
            "tf.train: protobuf is not there; install it with: pip install 'cnnrs[tfrecord]'"
        ) from error
    pool = descriptor_pool.DescriptorPool()
    file = descriptor_pb2.FileDescriptorProto(name="cnnrs.proto", package="tensorflow", syntax="proto3")
    names = []
    for line in (*_EXAMPLE.strip().split("\n"), *_TENSOR.strip().split("\n")):
        name, _, fields = line.partition(": ")
        names.append(name)
        _add(file.message_type.add(name=name), fields)
    pool.Add(file)
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.{name}"))
        for name in names
    }


def _add(described: Any, fields: str) -> None:
    """Adds fields to the description of a message."""
    for entry in fields.split(";"):
        *label, kind, name, number = entry.split()
        field = described.field.add(name=name, number=int(number))
        field.label = _LABELS["repeated" if label and label[0] in ("repeated", "map") else ""]
        field.type = _TYPES.get(kind, _TYPES["message"])
        if field.type == _TYPES["message"]:
            field.type_name = f".tensorflow.{kind}"
        if label == ["oneof"]:
            if not described.oneof_decl:
                described.oneof_decl.add(name="kind")
            field.oneof_index = 0
        if label == ["map"]:
            # In a file, a map is a repeated message of a key and a value.
            entries = "".join(part.capitalize() for part in name.split("_")) + "Entry"
            nested = described.nested_type.add(name=entries)
            nested.options.map_entry = True
            nested.field.add(name="key", number=1, label=_LABELS[""], type=_TYPES["string"])
            nested.field.add(
                name="value",
                number=2,
                label=_LABELS[""],
                type=_TYPES["message"],
                type_name=f".tensorflow.{kind}",
            )
            field.type_name = f".tensorflow.{described.name}.{entries}"
