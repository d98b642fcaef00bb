"""Methods of tensors and variables that numpy users expect, and all that symbolic tensors can do.

Each is a function of `ops`. The classes stand below the functions: the core makes `Tensor` and `Variable`,
`cnnrs.symbolic` makes `KerasTensor`. Therefore this module gives them the methods; `cnnrs.ops` imports it.

>>> from cnnrs import ops
>>> x = ops.reshape(ops.arange(6), (2, 3))
>>> x.sum(axis=0).tolist(), x.T.shape, x.reshape(3, -1).shape, x.flatten().shape
([3, 5, 7], (3, 2), (3, 2), (6,))
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import _core
from cnnrs._core import Tensor
from cnnrs.ops import core, elementwise, indexing, matrix_products, reductions, shapes
from cnnrs.ops.numpy_functions import array_function
from cnnrs.symbolic import KerasTensor

__all__ = ["METHODS", "KerasTensor", "Tensor"]

# With arguments `(axis=None, keepdims=False)`.
_REDUCTIONS = ("all", "any", "argmax", "argmin", "max", "mean", "min", "prod", "std", "sum", "var")


def _reduction(name: str) -> Callable[..., Any]:
    function = getattr(reductions, name)

    def method(self: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return function(self, axis=axis, keepdims=keepdims)

    method.__doc__ = f"`ops.{name}(self, axis, keepdims)`."
    return method


def _one_or_many(values: tuple[Any, ...]) -> Any:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))` mean the same."""
    return values[0] if len(values) == 1 and isinstance(values[0], (list, tuple)) else values


def _reshape(self: Any, *newshape: Any) -> Any:
    """`ops.reshape(self, newshape)`, with one argument or several."""
    return shapes.reshape(self, _one_or_many(newshape))


def _reshape_symbol(self: Any, newshape: Any) -> Any:
    """`ops.reshape(self, newshape)`. Keras gives symbolic tensors one argument."""
    return shapes.reshape(self, newshape)


def _transpose(self: Any, *axes: Any) -> Any:
    """`ops.transpose(self, axes)`, with one argument or several; without any the axes are reversed."""
    given = _one_or_many(axes)
    return shapes.transpose(self, None if given in ((), (None,)) else given)


def _flatten(self: Any) -> Any:
    """All elements along one axis."""
    return shapes.reshape(self, (-1,))


def _squeeze(self: Any, axis: Any = None) -> Any:
    """`ops.squeeze(self, axis)`."""
    return shapes.squeeze(self, axis)


def _astype(self: Any, dtype: Any) -> Any:
    """`ops.cast(self, dtype)`."""
    return core.cast(self, dtype)


def _item(self: Any) -> Any:
    """The only element, as a Python number."""
    return self.numpy().item()


def _tolist(self: Any) -> Any:
    """The elements as nested lists of Python numbers."""
    return self.numpy().tolist()


METHODS: dict[str, Any] = {
    **{name: _reduction(name) for name in _REDUCTIONS},
    "T": property(_transpose, doc="The axes in reverse order."),
    "astype": _astype,
    "flatten": _flatten,
    "item": _item,
    "reshape": _reshape,
    "squeeze": _squeeze,
    "tolist": _tolist,
    "transpose": _transpose,
}


def _equal(self: Any, other: object) -> Any:
    """`ops.equal(self, other)`; nothing equals None."""
    return False if other is None else elementwise.equal(self, other)


def _not_equal(self: Any, other: object) -> Any:
    """`ops.not_equal(self, other)`; everything differs from None."""
    return True if other is None else elementwise.not_equal(self, other)


def _between_symbols(compare: Callable[[Any, Any], Any], same: bool) -> Callable[[Any, object], Any]:
    """The comparison, whose truth says whether both are one symbol: lists of them can be searched."""

    def method(self: Any, other: object) -> Any:
        if not isinstance(other, KerasTensor):
            return compare(self, other)
        if self is not other and self.shape != other.shape and not _broadcast(self.shape, other.shape):
            return not same
        result = compare(self, other)
        result.truth = (self is other) is same
        return result

    return method


def _broadcast(left: tuple[int | None, ...], right: tuple[int | None, ...]) -> bool:
    """Whether extents, from the last on, are equal, 1 or unknown."""
    pairs = zip(reversed(left), reversed(right), strict=False)
    return all(a == b or 1 in (a, b) or None in (a, b) for a, b in pairs)


def _round(self: Any, ndigits: int | None = None) -> Any:
    """`ops.round(self, ndigits)`."""
    return elementwise.round(self, ndigits or 0)


def _compared(compare: Callable[[Any, Any], Any]) -> Callable[[Any, object], Any]:
    """The comparison, which leaves to Python what is no number."""

    def method(self: Any, other: object) -> Any:
        try:
            return compare(self, other)
        except TypeError:
            return NotImplemented

    return method


# Operators of Python that a symbolic tensor has with either operand on the left.
_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "add": elementwise.add,
    "sub": elementwise.subtract,
    "mul": elementwise.multiply,
    "truediv": elementwise.divide,
    "floordiv": elementwise.floor_divide,
    "mod": elementwise.mod,
    "pow": elementwise.power,
    "matmul": matrix_products.matmul,
    "and": elementwise.logical_and,
    "or": elementwise.logical_or,
    "xor": elementwise.logical_xor,
}
_OTHERS: dict[str, Callable[..., Any]] = {
    "lt": elementwise.less,
    "le": elementwise.less_equal,
    "gt": elementwise.greater,
    "ge": elementwise.greater_equal,
    "neg": elementwise.negative,
    "abs": elementwise.abs,
    "invert": elementwise.logical_not,
    "eq": _equal,
    "ne": _not_equal,
    "getitem": indexing.get_item,
}


def _reflected(function: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    """The operator for an operand on the right."""
    return lambda self, other: function(other, self)


def _attach(cls: type) -> None:
    """Gives a class the methods that it does not define itself."""
    for name, method in METHODS.items():
        if not hasattr(cls, name):
            if not isinstance(method, property):
                method.__name__ = name
            setattr(cls, name, method)


def _replace(cls: type, **methods: Any) -> None:
    """Gives a class methods, also where it defines its own."""
    for name, method in methods.items():
        setattr(cls, name, method)


def _attach_operators(cls: type) -> None:
    """Gives a class Python's operators: the functions of `ops`, whose first argument is `self`."""
    for name, function in _ARITHMETIC.items():
        setattr(cls, f"__{name}__", function)
        setattr(cls, f"__r{name}__", _reflected(function))
    for name, function in _OTHERS.items():
        setattr(cls, f"__{name}__", function)
    _replace(cls, __eq__=_between_symbols(_equal, True), __ne__=_between_symbols(_not_equal, False))


def _reduce(self: Any) -> tuple[Any, ...]:
    """Copies and pickles hold the values, not how they were made."""
    return _rebuild, (self.numpy(), self.requires_grad)


def _rebuild(value: Any, requires_grad: bool) -> Any:
    tensor = _core.tensor(value)
    if requires_grad:
        tensor.requires_grad = True
    return tensor


_replace(Tensor, __reduce__=_reduce)
_attach(Tensor)
_attach(_core.Variable)
for _class in (Tensor, _core.Variable):
    # The core has products of matrices of floats only, and no bool for the magnitude of one.
    _replace(
        _class,
        __abs__=elementwise.abs,
        __matmul__=matrix_products.matmul,
        __rmatmul__=_reflected(matrix_products.matmul),
        __array_function__=array_function,
    )
# Tensors compare in the core.
_replace(_core.Variable, __eq__=_compared(_equal), __ne__=_compared(_not_equal), __hash__=object.__hash__)
_replace(KerasTensor, reshape=_reshape_symbol, __array_function__=array_function)
_attach(KerasTensor)
_attach_operators(KerasTensor)
for _rounded in (Tensor, _core.Variable, KerasTensor):
    _replace(_rounded, __round__=_round)
