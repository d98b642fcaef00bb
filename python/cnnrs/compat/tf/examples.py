"""`tf.io.parse_example` and its kin: features of `tf.train.Example`s as tensors, and tensors as messages."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import flag
from cnnrs.compat.tf.arguments import extents
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.namespaces import operation
from cnnrs.compat.tf.protos import message
from cnnrs.compat.tf.sparse import SparseTensor
from cnnrs.data.elements import as_leaf, host
from cnnrs.data.spec import plain_name
from cnnrs.data.strings import StringTensor, as_bytes

__all__ = [
    "FixedLenFeature",
    "FixedLenSequenceFeature",
    "VarLenFeature",
    "parse_example",
    "parse_single_example",
    "parse_single_sequence_example",
    "parse_tensor",
    "serialize_tensor",
]

# Of each type that features may have: the list that holds it.
_LISTS = {"string": "bytes_list", "float32": "float_list", "int64": "int64_list"}


class FixedLenFeature(NamedTuple):
    """A feature with a fixed number of values.

    Attributes:
        shape: Their shape.
        dtype: "string", "float32" or "int64".
        default_value: What an example without the feature has; None if each must have it.
    """

    shape: Any
    dtype: Any
    default_value: Any = None


class VarLenFeature(NamedTuple):
    """A feature with any number of values, which becomes a `SparseTensor`.

    Attributes:
        dtype: "string", "float32" or "int64".
    """

    dtype: Any


class FixedLenSequenceFeature(NamedTuple):
    """A feature with any number of values of a shape, which become a tensor.

    Attributes:
        shape: The shape of one value.
        dtype: "string", "float32" or "int64".
        allow_missing: Whether examples may lack it, and have none of them then.
        default_value: What pads shorter ones in a batch; None for zeros or empty text.
    """

    shape: Any
    dtype: Any
    allow_missing: bool = False
    default_value: Any = None


def _parsed(kind: str, serialized: Any, function: str) -> Any:
    try:
        data = as_bytes(serialized)
    except TypeError as error:
        raise TypeError(f"tf.io.{function}: serialized: {error}") from None
    made = message(kind)()
    try:
        made.ParseFromString(data)
    except Exception as error:  # of protobuf, whose class depends on its version
        raise ValueError(
            f"tf.io.{function}: serialized: expected a tf.train.{kind}, received {len(data)} bytes that are "
            f"none: {error}"
        ) from None
    return made


def _dtype(feature: Any, key: str, function: str) -> str:
    name = as_dtype(feature.dtype).name
    if name not in _LISTS:
        raise ValueError(
            f"tf.io.{function}: features[{key!r}]: expected dtype string, float32 or int64, received {name}"
        )
    return str(name)


def _values(features: Any, key: str, dtype: str, function: str) -> list[Any] | None:
    """The values of a feature; None if the example lacks it.

    Raises:
        ValueError: It holds another type.
    """
    if key not in features:
        return None
    feature = features[key]
    kind = feature.WhichOneof("kind")
    if kind is None:
        return None
    if kind != _LISTS[dtype]:
        raise ValueError(f"tf.io.{function}: features[{key!r}]: expected {dtype}, found a {kind}")
    return list(getattr(feature, kind).value)


def _made(values: Any, dtype: str, shape: list[int]) -> Any:
    if dtype == "string":
        return StringTensor(list(values) if values else np.empty((0,), object)).reshape(shape)
    return ops.convert_to_tensor(np.array(values, dtype).reshape(shape))


def _fixed(found: list[Any] | None, feature: FixedLenFeature, key: str, dtype: str, function: str) -> Any:
    shape = extents(feature.shape, f"io.{function}")
    size = int(np.prod(shape, dtype=np.int64))
    if found is None:
        if feature.default_value is None:
            raise ValueError(
                f"tf.io.{function}: features[{key!r}]: the example lacks it, and there is no default_value"
            )
        default = host(as_leaf(feature.default_value, f"tf.io.{function}: features[{key!r}]: default_value"))
        found = default.reshape(-1).tolist()
        found = found * size if len(found) == 1 else found
    if len(found) != size:
        raise ValueError(
            f"tf.io.{function}: features[{key!r}]: expected {size} values for shape {tuple(shape)}, "
            f"found {len(found)}"
        )
    return _made(found, dtype, shape)


def _sequence(found: list[Any], feature: Any, key: str, dtype: str, function: str) -> Any:
    shape = extents(feature.shape, f"io.{function}")
    each = int(np.prod(shape, dtype=np.int64))
    if len(found) % max(each, 1):
        raise ValueError(
            f"tf.io.{function}: features[{key!r}]: expected values in groups of {each}, found {len(found)}"
        )
    return _made(found, dtype, [len(found) // max(each, 1), *shape])


def _feature(features: Any, feature: Any, key: str, function: str) -> Any:
    dtype = _dtype(feature, key, function)
    found = _values(features, key, dtype, function)
    if isinstance(feature, FixedLenFeature):
        return _fixed(found, feature, key, dtype, function)
    if isinstance(feature, FixedLenSequenceFeature):
        if found is None and not flag(feature.allow_missing, f"tf.io.{function}", "allow_missing"):
            raise ValueError(f"tf.io.{function}: features[{key!r}]: the example lacks it; see allow_missing")
        return _sequence(found or [], feature, key, dtype, function)
    return _made(found or [], dtype, [len(found or [])])


def _check_features(features: Any, function: str) -> dict[str, Any]:
    kinds = (FixedLenFeature, VarLenFeature, FixedLenSequenceFeature)
    if not isinstance(features, dict) or not features:
        raise ValueError(f"tf.io.{function}: features: expected a dict of features, received {features!r}")
    for key, feature in features.items():
        if not isinstance(feature, kinds):
            raise ValueError(
                f"tf.io.{function}: features[{key!r}]: expected a FixedLenFeature, VarLenFeature or "
                f"FixedLenSequenceFeature, received {feature!r}"
            )
    return features


@operation
def parse_single_example(serialized: Any, features: Any, example_names: Any = None) -> dict[str, Any]:
    """The features of one `tf.train.Example`.

    Args:
        serialized: Its bytes, without axes.
        features: The features by name.
        example_names: A name, which begins the messages of errors.

    Returns:
        A dict of tensors, `StringTensor`s and `SparseTensor`s.

    Raises:
        ImportError: protobuf is not there.
        ValueError: The bytes are no example, or a feature is missing or of another type or number.
    """
    function = "parse_single_example"
    wanted = _check_features(features, function)
    try:
        found = _parsed("Example", serialized, function).features.feature
        made = {key: _feature(found, feature, key, function) for key, feature in wanted.items()}
    except ValueError as error:
        raise ValueError(f"{example_names}: {error}") if example_names is not None else error from None
    return {
        key: _sparse_row(value) if isinstance(wanted[key], VarLenFeature) else value
        for key, value in made.items()
    }


def _sparse_row(values: Any) -> SparseTensor:
    return SparseTensor(np.arange(values.shape[0])[:, None], values, [values.shape[0]])


@operation
def parse_example(serialized: Any, features: Any, example_names: Any = None) -> dict[str, Any]:
    """The features of a batch of `tf.train.Example`s.

    Args:
        serialized: Their bytes, of shape (n,).
        features: The features by name.
        example_names: Names of the examples, which begin the messages of errors.

    Returns:
        A dict of tensors, `StringTensor`s and `SparseTensor`s with a first axis of extent n.

    Raises:
        ImportError: protobuf is not there.
        ValueError: Bytes are no example, or a feature is missing or of another type or number.
    """
    function = "parse_example"
    wanted = _check_features(features, function)
    texts = StringTensor(serialized)
    if texts.ndim != 1:
        raise ValueError(
            f"tf.io.{function}: serialized: expected one axis, received shape {texts.shape}; "
            "parse_single_example takes a single one"
        )
    names = None if example_names is None else StringTensor(example_names).tolist()
    rows = []
    for index, text in enumerate(texts.tolist()):
        try:
            found = _parsed("Example", text, function).features.feature
            rows.append({key: _feature(found, feature, key, function) for key, feature in wanted.items()})
        except ValueError as error:
            name = f"example {index}" if names is None else names[index].decode()
            raise ValueError(f"{name}: {error}") from None
    return {key: _batch([row[key] for row in rows], feature) for key, feature in wanted.items()}


def _batch(values: list[Any], feature: Any) -> Any:
    arrays = [host(v).array if isinstance(v, StringTensor) else host(v) for v in values]
    text = as_dtype(feature.dtype) == "string"
    if isinstance(feature, VarLenFeature):
        places = [(row, column) for row, array in enumerate(arrays) for column in range(len(array))]
        flat = np.concatenate(arrays) if arrays else np.empty(0, object if text else feature.dtype)
        width = max((len(array) for array in arrays), default=0)
        joined = StringTensor(flat) if text else ops.convert_to_tensor(flat)
        return SparseTensor(np.array(places, np.int64).reshape(-1, 2), joined, [len(arrays), width])
    if isinstance(feature, FixedLenSequenceFeature):
        longest = max((len(array) for array in arrays), default=0)
        fill: Any = b"" if text else 0
        if feature.default_value is not None:
            fill = as_bytes(feature.default_value) if text else feature.default_value
        for index, array in enumerate(arrays):
            whole = np.full((longest, *array.shape[1:]), fill, array.dtype)
            whole[: len(array)] = array
            arrays[index] = whole
    stacked = np.stack(arrays)
    return StringTensor(stacked) if text else ops.convert_to_tensor(stacked)


@operation
def parse_single_sequence_example(
    serialized: Any,
    context_features: Any = None,
    sequence_features: Any = None,
    example_name: Any = None,
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The features of one `tf.train.SequenceExample`: those of the whole, and those of its steps.

    Args:
        serialized: Its bytes, without axes.
        context_features: The features of the whole by name.
        sequence_features: The features of the steps by name: `FixedLenSequenceFeature`s.
        example_name: A name, which begins the messages of errors.

    Returns:
        Two dicts of tensors, `StringTensor`s and `SparseTensor`s.

    Raises:
        ImportError: protobuf is not there.
        ValueError: The bytes are no such example, or a feature is missing or of another type or number.
    """
    function = "parse_single_sequence_example"
    try:
        found = _parsed("SequenceExample", serialized, function)
        context, steps = {}, {}
        for key, feature in (_check_features(context_features, function) if context_features else {}).items():
            value = _feature(found.context.feature, feature, key, function)
            context[key] = _sparse_row(value) if isinstance(feature, VarLenFeature) else value
        for key, feature in (
            _check_features(sequence_features, function) if sequence_features else {}
        ).items():
            if not isinstance(feature, FixedLenSequenceFeature):
                raise ValueError(
                    f"tf.io.{function}: sequence_features[{key!r}]: expected a FixedLenSequenceFeature"
                )
            steps[key] = _steps(found.feature_lists.feature_list, feature, key, function)
    except ValueError as error:
        raise ValueError(f"{example_name}: {error}") if example_name is not None else error from None
    return context, steps


def _steps(lists: Any, feature: Any, key: str, function: str) -> Any:
    dtype = _dtype(feature, key, function)
    if key not in lists:
        if not feature.allow_missing:
            raise ValueError(f"tf.io.{function}: sequence_features[{key!r}]: the example lacks it")
        return _sequence([], feature, key, dtype, function)
    values: list[Any] = []
    for step in lists[key].feature:
        values.extend(_values({key: step}, key, dtype, function) or [])
    return _sequence(values, feature, key, dtype, function)


# The numbers of element types in messages, and the fields that hold values where the bytes are not given.
_NUMBERS = {
    "float32": (1, "float_val"), "float64": (2, "double_val"), "int32": (3, "int_val"),
    "uint8": (4, "int_val"), "int16": (5, "int_val"), "int8": (6, "int_val"), "string": (7, "string_val"),
    "int64": (9, "int64_val"), "bool": (10, "bool_val"), "bfloat16": (14, "half_val"),
    "uint16": (17, "int_val"), "float16": (19, "half_val"), "uint32": (22, "uint32_val"),
    "uint64": (23, "uint64_val"),
}  # fmt: skip
_NAMES = {number: name for name, (number, _) in _NUMBERS.items()}


@operation
def serialize_tensor(tensor: Any) -> Any:
    """A tensor as the bytes of a message, which `parse_tensor` reads.

    Args:
        tensor: A tensor, an array, numbers or text.

    Returns:
        A `StringTensor` without axes.

    Raises:
        ImportError: protobuf is not there.
        TypeError: It is none of these.
    """
    leaf = as_leaf(tensor, "tf.io.serialize_tensor: tensor")
    dtype = "string" if isinstance(leaf, StringTensor) else plain_name(leaf.dtype)
    made = message("TensorProto")(dtype=_NUMBERS[dtype][0])
    # A scalar has a shape, too: one without axes.
    made.tensor_shape.SetInParent()
    for extent in leaf.shape:
        made.tensor_shape.dim.add(size=extent)
    if isinstance(leaf, StringTensor):
        made.string_val.extend(leaf.array.ravel().tolist())
    else:
        array = np.asarray(host(leaf))
        if dtype == "bfloat16":
            array = _bfloat16(array)
        made.tensor_content = np.ascontiguousarray(array).tobytes()
    return StringTensor(made.SerializeToString(deterministic=True))


def _bfloat16(array: np.ndarray) -> np.ndarray:
    """The 16 bits of numbers of bfloat16, whichever type numpy has them in."""
    bits = (
        array.view(np.uint16) if array.dtype.itemsize == 2 else array.astype(np.float32).view(np.uint32) >> 16
    )
    return bits.astype(np.uint16)


@operation
def parse_tensor(serialized: Any, out_type: Any) -> Any:
    """The tensor of a message.

    Args:
        serialized: Its bytes, without axes.
        out_type: The type that it has.

    Returns:
        The tensor, or a `StringTensor`.

    Raises:
        ImportError: protobuf is not there.
        ValueError: The bytes are no such message, or the tensor is of another type, or its values are not as
            many as its shape asks for.
    """
    function, wanted = "parse_tensor", as_dtype(out_type).name
    found = _parsed("TensorProto", serialized, function)
    dtype = _NAMES.get(found.dtype)
    if dtype != wanted:
        raise ValueError(f"tf.io.{function}: expected a tensor of {wanted}, found {dtype or found.dtype}")
    shape = [dim.size for dim in found.tensor_shape.dim]
    if min(shape, default=0) < 0 or found.tensor_shape.unknown_rank:
        raise ValueError(f"tf.io.{function}: expected a shape, found {shape}")
    size = 1
    for extent in shape:
        size *= extent
    if dtype == "string":
        return StringTensor(_filled(list(found.string_val), size, function, b"")).reshape(shape)
    host_dtype = np.dtype(np.uint16 if dtype == "bfloat16" else dtype)
    if found.tensor_content:
        if len(found.tensor_content) != size * host_dtype.itemsize:
            raise ValueError(
                f"tf.io.{function}: expected {size * host_dtype.itemsize} bytes for shape {tuple(shape)}, "
                f"found {len(found.tensor_content)}"
            )
        array = np.frombuffer(found.tensor_content, host_dtype)
    else:
        values = list(getattr(found, _NUMBERS[dtype][1]))
        kind = np.uint16 if dtype in ("float16", "bfloat16") else host_dtype
        array = np.array(_filled(values, size, function, 0), kind)
        array = array.view(np.float16) if dtype == "float16" else array
    if dtype == "bfloat16":
        wide = (array.astype(np.uint32) << 16).view(np.float32)
        return ops.cast(ops.convert_to_tensor(wide.reshape(shape)), "bfloat16")
    return ops.convert_to_tensor(array.reshape(shape))


def _filled(values: list[Any], size: int, function: str, empty: Any) -> Any:
    """Values of a message, whose last one stands for those that follow and are equal."""
    if len(values) > size or (size > 2**28 and len(values) < size):
        raise ValueError(f"tf.io.{function}: expected {size} values, found {len(values)}")
    made = np.empty(size, object)
    made[: len(values)] = values
    made[len(values) :] = values[-1] if values else empty
    return made
