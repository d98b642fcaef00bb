"""Methods of tensors, variables and symbolic tensors that numpy users expect: each is a function of `ops`.

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

__all__ = ["METHODS", "Tensor", "attach"]

# With arguments `(axis=None, keepdims=False)`.
_REDUCTIONS = ("all", "any", "argmax", "argmin", "max", "mean", "min", "prod", "std", "sum", "var")


def _ops() -> Any:
    from cnnrs import ops

    return ops


def _reduction(name: str) -> Callable[..., Any]:
    def method(self: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return getattr(_ops(), name)(self, axis=axis, keepdims=keepdims)

    method.__doc__ = f"`ops.{name}(self, axis, keepdims)`."
    return method


def _one_or_many(values: tuple[Any, ...]) -> Any:
    """`x.reshape(2, 3)` and `x.reshape((2, 3))` mean the same."""
    return values[0] if len(values) == 1 and isinstance(values[0], (list, tuple)) else values


def _reshape(self: Any, *newshape: Any) -> Any:
    """`ops.reshape(self, newshape)`, with one argument or several."""
    return _ops().reshape(self, _one_or_many(newshape))


def _transpose(self: Any, *axes: Any) -> Any:
    """`ops.transpose(self, axes)`, with one argument or several; without any the axes are reversed."""
    given = _one_or_many(axes)
    return _ops().transpose(self, None if given in ((), (None,)) else given)


def _flatten(self: Any) -> Any:
    """All elements along one axis."""
    return _ops().reshape(self, (-1,))


def _squeeze(self: Any, axis: Any = None) -> Any:
    """`ops.squeeze(self, axis)`."""
    return _ops().squeeze(self, axis)


def _astype(self: Any, dtype: Any) -> Any:
    """`ops.cast(self, dtype)`."""
    return _ops().cast(self, dtype)


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


def attach(cls: type) -> None:
    """Gives a class the methods that it does not define itself."""
    for name, method in METHODS.items():
        if not hasattr(cls, name):
            if not isinstance(method, property):
                method.__name__ = name
            setattr(cls, name, method)


def _reduce(self: Any) -> tuple[Any, ...]:
    """Copies and pickles hold the values, not how they were made."""
    return _rebuild, (self.numpy(), self.requires_grad)


def _rebuild(value: Any, requires_grad: bool) -> Any:
    tensor = _core.tensor(value)
    if requires_grad:
        tensor.requires_grad = True
    return tensor


Tensor.__reduce__ = _reduce  # type: ignore[method-assign]
attach(Tensor)
attach(_core.Variable)
