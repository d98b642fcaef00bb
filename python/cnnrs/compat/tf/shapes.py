"""`TensorShape` and `TensorSpec`: shapes with TensorFlow's methods that are tuples as well."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from cnnrs import _core
from cnnrs.compat.tf.dtypes import DType, as_dtype, float32

__all__ = ["TensorShape", "TensorSpec", "of_tuple"]


class TensorShape(tuple[Any, ...]):
    """A shape: a tuple of extents, None where unknown.

    Args:
        dims: Extents, or None if even their number is unknown.

    >>> shape = TensorShape([None, 28, 28])
    >>> shape.rank, shape[1:].as_list(), shape == [None, 28, 28], shape.is_compatible_with([5, 28, 28])
    (3, [28, 28], True, True)
    """

    _known = True

    def __new__(cls, dims: Any = ()) -> TensorShape:
        if isinstance(dims, TensorShape):
            return dims
        if dims is None:
            self = super().__new__(cls, ())
            self._known = False
            return self
        if isinstance(dims, (_core.Tensor, _core.Variable)):
            dims = dims.numpy().tolist()
        if not isinstance(dims, Iterable):
            dims = [dims]
        extents = [None if n is None or n == -1 else n.__index__() for n in dims]
        if any(n is not None and n < 0 for n in extents):
            raise ValueError(f"TensorShape: expected extents of at least 0, received {tuple(extents)}")
        return super().__new__(cls, extents)

    @property
    def rank(self) -> int | None:
        """The number of axes, None if unknown."""
        return len(self) if self._known else None

    ndims = rank

    @property
    def dims(self) -> list[int | None] | None:
        """The extents as a list; None if the rank is unknown."""
        return list(self) if self._known else None

    def as_list(self) -> list[int | None]:
        """The extents as a list.

        Raises:
            ValueError: The rank is unknown.
        """
        if not self._known:
            raise ValueError("as_list: expected a shape of known rank, received TensorShape(None)")
        return list(self)

    def num_elements(self) -> int | None:
        """The product of the extents, None if one is unknown."""
        return math.prod(self) if self.is_fully_defined() else None

    def is_fully_defined(self) -> bool:
        """Whether all extents are known."""
        return self._known and None not in self

    def is_compatible_with(self, other: Any) -> bool:
        """Whether a tensor can have both shapes."""
        other = TensorShape(other)
        if not (self._known and other._known):
            return True
        return len(self) == len(other) and all(
            None in pair or pair[0] == pair[1] for pair in zip(self, other, strict=True)
        )

    def merge_with(self, other: Any) -> TensorShape:
        """The shape that knows what one of both knows.

        Raises:
            ValueError: They are not compatible.
        """
        other = TensorShape(other)
        self.assert_is_compatible_with(other)
        if not self._known or not other._known:
            return self if self._known else other
        return TensorShape([b if a is None else a for a, b in zip(self, other, strict=True)])

    def most_specific_compatible_shape(self, other: Any) -> TensorShape:
        """The shape that knows what both know."""
        other = TensorShape(other)
        if self.rank != other.rank or self.rank is None:
            return TensorShape(None)
        return TensorShape([a if a == b else None for a, b in zip(self, other, strict=True)])

    def concatenate(self, other: Any) -> TensorShape:
        """The extents of both."""
        other = TensorShape(other)
        return TensorShape([*self, *other]) if self._known and other._known else TensorShape(None)

    def with_rank(self, rank: int) -> TensorShape:
        """The shape, if it has that many axes.

        Raises:
            ValueError: It has another number.
        """
        if not self._known:
            return TensorShape([None] * rank)
        self.assert_has_rank(rank)
        return self

    def with_rank_at_least(self, rank: int) -> TensorShape:
        """The shape, if it has at least that many axes.

        Raises:
            ValueError: It has less.
        """
        if self._known and len(self) < rank:
            raise ValueError(f"expected a shape of at least {rank} axes, received {tuple(self)}")
        return self

    def assert_has_rank(self, rank: int) -> None:
        """Raises ValueError unless the shape has that many axes."""
        if self._known and len(self) != rank:
            raise ValueError(f"expected a shape of {rank} axes, received {tuple(self)}")

    def assert_is_compatible_with(self, other: Any) -> None:
        """Raises ValueError unless a tensor can have both shapes."""
        if not self.is_compatible_with(other):
            raise ValueError(f"shapes {tuple(self)} and {tuple(other)} are not compatible")

    def assert_same_rank(self, other: Any) -> None:
        """Raises ValueError unless both shapes have as many axes."""
        self.assert_has_rank(len(TensorShape(other)))

    def assert_is_fully_defined(self) -> None:
        """Raises ValueError if an extent is unknown."""
        if not self.is_fully_defined():
            raise ValueError(f"expected a shape of known extents, received {tuple(self)}")

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return of_tuple(found) if isinstance(key, slice) else found

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape(other).concatenate(self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TensorShape) and self._known != other._known:
            return False
        return tuple.__eq__(self, tuple(other)) if isinstance(other, (list, tuple)) else False

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = tuple.__hash__

    def __reduce__(self) -> Any:
        return TensorShape, (list(self) if self._known else None,)


def of_tuple(extents: tuple[Any, ...]) -> TensorShape:
    """A tuple of extents as a shape, without a look at them."""
    return tuple.__new__(TensorShape, extents)


class TensorSpec:
    """The shape, dtype and name of a tensor.

    Args:
        shape: Extents, None where unknown.
        dtype: Element type.
        name: Name.

    >>> import cnnrs.compat.tf as tf
    >>> tf.TensorSpec([None, 2], tf.float32).is_compatible_with(tf.zeros((5, 2)))
    True
    """

    def __init__(self, shape: Any, dtype: Any = float32, name: str | None = None):
        self._shape = TensorShape(shape)
        self._dtype = as_dtype(dtype)
        self._name = name

    @property
    def shape(self) -> TensorShape:
        """The extents."""
        return self._shape

    @property
    def dtype(self) -> DType:
        """The element type."""
        return self._dtype

    @property
    def name(self) -> str | None:
        """The name."""
        return self._name

    @classmethod
    def from_tensor(cls, tensor: Any, name: str | None = None) -> TensorSpec:
        """That of a tensor."""
        return cls(tensor.shape, tensor.dtype, name or getattr(tensor, "name", None))

    @classmethod
    def from_spec(cls, spec: Any, name: str | None = None) -> TensorSpec:
        """That of another spec, with another name if one is given."""
        return cls(spec.shape, spec.dtype, name or spec.name)

    def is_compatible_with(self, spec_or_value: Any) -> bool:
        """Whether a tensor or spec has this dtype, and a shape that fits."""
        return self._dtype == as_dtype(spec_or_value) and self._shape.is_compatible_with(spec_or_value.shape)

    def most_specific_compatible_type(self, other: Any) -> TensorSpec:
        """The spec that knows what both know.

        Raises:
            ValueError: The dtypes differ.
        """
        if self._dtype != other.dtype:
            raise ValueError(f"expected a spec of {self._dtype.name}, received one of {other.dtype}")
        return TensorSpec(self._shape.most_specific_compatible_shape(other.shape), self._dtype, self._name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TensorSpec) and (self.shape, self.dtype, self.name) == (
            other.shape,
            other.dtype,
            other.name,
        )

    def __hash__(self) -> int:
        return hash((self._shape, self._dtype))

    def __repr__(self) -> str:
        return f"TensorSpec(shape={tuple(self._shape)}, dtype={self._dtype!r}, name={self._name!r})"
