"""What is known of the elements of a data set: shapes with unknown extents, and types."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base.dtypes import dtype_name, standardize_dtype
from cnnrs.data.strings import StringTensor, is_text

__all__ = ["NONE", "DatasetSpec", "TensorSpec", "batched", "merged", "plain_name", "shape_of", "spec_of"]


@functools.lru_cache(256)
def plain_name(dtype: Any) -> str:
    """The name of a type as text and nothing more: compat.tf has names with attributes."""
    return str.__str__(dtype_name(dtype))


def shape_of(shape: Any) -> tuple[int | None, ...] | None:
    """A shape as a tuple with None for unknown extents; None for an unknown number of axes.

    >>> shape_of([None, 3]), shape_of(2), shape_of(None)
    ((None, 3), (2,), None)
    """
    if hasattr(shape, "as_list"):
        shape = None if getattr(shape, "rank", 0) is None else shape.as_list()
    if shape is None:
        return None
    if hasattr(shape, "__index__") and not hasattr(shape, "__len__"):
        return (shape.__index__(),)
    try:
        return tuple(None if n is None or n == -1 else n.__index__() for n in shape)
    except (AttributeError, TypeError):
        raise TypeError(f"shape: expected integers and None, received {shape!r}") from None


class TensorSpec:
    """Shape and type of a tensor, as far as they are known.

    Attributes:
        shape: A tuple with None for unknown extents; None for an unknown number of axes.
        dtype: The name of the type; "string" for text.
        name: The name that was given.

    Args:
        shape: Integers and None, or None.
        dtype: A type, as `ops.cast` takes it, or "string".
        name: A name, for who reads it.

    Raises:
        TypeError: The shape or the type is none.

    Example:
        >>> from cnnrs.data import TensorSpec
        >>> spec = TensorSpec([None, 28, 28], "uint8")
        >>> spec, spec.is_compatible_with(TensorSpec([32, 28, 28], "uint8"))
        (TensorSpec(shape=(None, 28, 28), dtype='uint8'), True)
    """

    __slots__ = ("dtype", "name", "shape")

    def __init__(self, shape: Any, dtype: Any = "float32", name: str | None = None):
        self.shape = shape_of(shape)
        self.dtype = "string" if _is_string(dtype) else plain_name(standardize_dtype(dtype))
        self.name = name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """The spec of a tensor or an array."""
        found = spec_of(tensor)
        return cls(found.shape, found.dtype, name)

    def is_compatible_with(self, other: Any) -> bool:
        """Whether one tensor may have both specs; `other` may be a tensor, too."""
        if not isinstance(other, TensorSpec):
            other = spec_of(other)
        if not isinstance(other, TensorSpec) or self.dtype != other.dtype:
            return False
        if self.shape is None or other.shape is None:
            return True
        pairs = zip(self.shape, other.shape, strict=False)
        return len(self.shape) == len(other.shape) and all(a is None or b is None or a == b for a, b in pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TensorSpec):
            return NotImplemented
        return (self.shape, self.dtype) == (other.shape, other.dtype)

    def __hash__(self) -> int:
        return hash((self.shape, self.dtype))

    def __repr__(self) -> str:
        name = "" if self.name is None else f", name={self.name!r}"
        return f"TensorSpec(shape={self.shape}, dtype={self.dtype!r}{name})"


class DatasetSpec:
    """The spec of a data set that is itself part of an element, as in windows.

    Attributes:
        element_spec: That of its elements.

    >>> from cnnrs.data import Dataset
    >>> Dataset.range(4).window(2).element_spec
    DatasetSpec(TensorSpec(shape=(), dtype='int64'))
    """

    __slots__ = ("element_spec",)

    def __init__(self, element_spec: Any):
        self.element_spec = element_spec

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DatasetSpec) and self.element_spec == other.element_spec

    def __hash__(self) -> int:
        return hash(repr(self.element_spec))

    def __repr__(self) -> str:
        return f"DatasetSpec({self.element_spec!r})"


class _NoneSpec:
    """The spec of a part of an element that is None."""

    def __repr__(self) -> str:
        return "NoneTensorSpec()"


NONE = _NoneSpec()


def _is_string(dtype: Any) -> bool:
    return dtype is str or dtype is bytes or dtype_name(dtype) == "string"


def spec_of(element: Any) -> Any:
    """The specs of an element, in its structure."""
    return tree.map_structure(_spec_of_leaf, element)


def _spec_of_leaf(leaf: Any) -> Any:
    if leaf is None:
        return NONE
    if isinstance(leaf, StringTensor):
        return TensorSpec(leaf.shape, "string")
    if isinstance(leaf, (_core.Tensor, _core.Variable, np.ndarray, np.generic)) and not is_text(leaf):
        return TensorSpec(leaf.shape, leaf.dtype)
    if hasattr(leaf, "element_spec"):
        return DatasetSpec(leaf.element_spec)
    if is_text(leaf):
        return TensorSpec(np.shape(leaf), "string")
    return TensorSpec(np.shape(leaf), np.asarray(leaf).dtype)


def batched(spec: Any, size: int | None) -> Any:
    """The specs of a batch of `size` such elements; None for an unknown size."""

    def with_axis(leaf: Any) -> Any:
        if not isinstance(leaf, TensorSpec):
            return DatasetSpec(leaf.element_spec) if isinstance(leaf, DatasetSpec) else leaf
        return TensorSpec(None if leaf.shape is None else (size, *leaf.shape), leaf.dtype)

    return tree.map_structure(with_axis, spec)


def merged(first: Any, second: Any) -> Any:
    """What is known of elements of which some have one spec and some another.

    Raises:
        ValueError: They differ in structure or in a type.

    >>> merged(TensorSpec([2, 3]), TensorSpec([4, 3]))
    TensorSpec(shape=(None, 3), dtype='float32')
    """

    def merge(a: Any, b: Any) -> Any:
        if not (isinstance(a, TensorSpec) and isinstance(b, TensorSpec)):
            if isinstance(a, DatasetSpec) and isinstance(b, DatasetSpec):
                return DatasetSpec(merged(a.element_spec, b.element_spec))
            if a == b:
                return a
        elif a.dtype == b.dtype:
            if a.shape is None or b.shape is None or len(a.shape) != len(b.shape):
                return TensorSpec(None, a.dtype)
            pairs = zip(a.shape, b.shape, strict=True)
            return TensorSpec([m if m == n else None for m, n in pairs], a.dtype)
        raise ValueError(f"expected elements of one structure and type, received {first!r} and {second!r}")

    return tree.map_structure(merge, first, second)
