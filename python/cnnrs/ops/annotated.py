"""Tensors with a `TensorInfo`, and how ops pass it on.

Each op of the core either moves elements, or computes each element of the result from one of each input, or
does neither. What is known about a tensor passes through the first two kinds, and only through these:

- An op that moves elements does the same to the logits and to the mask. Softmax's logits are forgotten if
  its axis does not remain an axis of the same elements in the same order.
- An op that computes element by element keeps the mask, if the shape stays, and forgets the logits. Of
  several masks all must hold. A conversion to another float type converts the logits as well.

A function of `cnnrs.ops` is made of such ops, and passes on what they do.
"""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.dtypes import FLOATS
from cnnrs.base.tensor_info import Logits, TensorInfo

__all__ = ["AnnotatedTensor", "annotate", "autocast", "info_of", "pass_on"]

_NOTHING = TensorInfo()


class AnnotatedTensor(_core.Tensor):
    """A tensor with a `TensorInfo`, whose operators pass it on. Other tensors do not pay for that.

    Attributes:
        info: What is known about it.
    """

    __slots__ = ()

    info: TensorInfo

    def __getitem__(self, key: Any) -> Any:
        result = super().__getitem__(key)
        return _moved(self.info, result, lambda x: x[key], lambda axis: _axis_of_item(key, axis, self.ndim))

    def __pos__(self) -> Any:
        return self

    def astype(self, dtype: Any) -> Any:
        result = super().astype(dtype)
        return self if result.dtype == self.dtype else pass_on("cast", result, (self,), {})


def annotate(tensor: Any, logits: Logits | None = None, mask: Any = None) -> Any:
    """Puts what is known about a new tensor, which nobody else has, into its `info`.

    >>> from cnnrs import ops
    >>> losses = annotate(ops.array([1.0, 0.0]), mask=ops.array([True, False]))
    >>> info_of(losses * 2.0).mask.tolist()
    [True, False]
    """
    # The core makes all tensors as `Tensor`, of the same layout.
    tensor.__class__ = AnnotatedTensor
    tensor.info = TensorInfo(logits, mask)
    return tensor


def info_of(x: Any) -> TensorInfo:
    """What is known about a tensor; of anything else nothing is.

    >>> from cnnrs import ops
    >>> info_of(ops.softmax([[1.0, 2.0]])).logits.tensor.tolist()
    [[1.0, 2.0]]
    >>> info_of([1.0])
    TensorInfo(logits=None, mask=None)
    """
    return x.info if isinstance(x, AnnotatedTensor) else _NOTHING


def _in_order(axis: int, before: tuple[int, ...], after: tuple[int, ...], _: Any) -> int | None:
    """The axis after all elements stayed in the same order, the last axis running fastest."""
    outside = math.prod(before[:axis])
    for place in builtins.reversed(builtins.range(len(after))):
        if after[place] == before[axis] and math.prod(after[:place]) == outside:
            return place
    return None


def _of_transpose(axis: int, before: tuple[int, ...], _: Any, attributes: dict[str, Any]) -> int:
    perm = attributes["perm"]
    return len(before) - 1 - axis if perm is None else perm.index(axis)


def _of_flip(axis: int, _: Any, __: Any, attributes: dict[str, Any]) -> int | None:
    return None if axis in attributes["axes"] else axis


def _of_slice(axis: int, before: tuple[int, ...], after: tuple[int, ...], _: Any) -> int | None:
    return axis if before[axis] == after[axis] else None


def _axis_of_item(key: Any, axis: int, rank: int) -> int | None:
    """Where an axis of `x` is in `x[key]`; None if it is not there as a whole."""
    keys = list(key) if isinstance(key, tuple) else [key]
    if not all(k is None or k is ... or type(k) in (int, slice) or isinstance(k, np.integer) for k in keys):
        return None
    whole = slice(None)
    missing = [whole] * (rank - sum(k is not None and k is not ... for k in keys))
    places = [i for i, k in enumerate(keys) if k is ...]
    if places:
        keys[places[0] : places[0] + 1] = missing
    else:
        keys += missing
    before = after = 0
    for k in keys:
        if k is None:
            after += 1
        elif before == axis:
            return after if isinstance(k, slice) and k == whole else None
        else:
            before += 1
            after += isinstance(k, slice)
    return None


# Ops of the core that move elements: where an axis of the input is in the result, of the axis, the shapes
# before and after, and the attributes.
_MOVES: dict[str, Callable[[int, tuple[int, ...], tuple[int, ...], dict[str, Any]], int | None]] = {
    "expand_dims": _in_order,
    "flip": _of_flip,
    "identity": _in_order,
    "reshape": _in_order,
    "slice": _of_slice,
    "squeeze": _in_order,
    "stop_gradient": _in_order,
    "transpose": _of_transpose,
}

# Ops of the core whose result has, at each place, a number made of the inputs' there.
_ELEMENTWISE = frozenset(_core.elementwise_op_names())


def _moved(
    info: TensorInfo, result: Any, move: Callable[[Any], Any], axis_of: Callable[[int], int | None]
) -> Any:
    logits, mask = info
    if logits is not None:
        axis = None if logits.axis is None else axis_of(logits.axis)
        kept = axis is not None or logits.axis is None
        logits = Logits(move(logits.tensor), logits.function, axis) if kept else None
    if mask is not None:
        mask = move(mask)
    return result if logits is None and mask is None else annotate(result, logits, mask)


def pass_on(name: str, result: Any, inputs: Sequence[Any], attributes: dict[str, Any]) -> Any:
    """`result`, with what is known of `inputs` as far as op `name` of the core passes it on."""
    axis_of, x = _MOVES.get(name), inputs[0]
    if axis_of is not None:
        return _moved(
            x.info,
            result,
            lambda moved: _core.apply(name, (moved,), attributes),
            lambda axis: axis_of(axis, x.shape, result.shape, attributes),
        )
    if name not in _ELEMENTWISE:
        return result
    mask: Any = None
    for x in inputs:
        other = info_of(x).mask
        if other is not None and other.shape == result.shape:
            mask = other if mask is None else _core.apply("logical_and", (mask, other))
    logits = info_of(x).logits if name == "cast" and result.dtype in FLOATS else None
    if logits is not None:
        logits = Logits(logits.tensor.astype(result.dtype), logits.function, logits.axis)
    return result if logits is None and mask is None else annotate(result, logits, mask)


def autocast(x: Any, dtype: str) -> Any:
    """`x` as a layer that computes in `dtype` takes it, or gives it. Unlike with `cast` it may stay
    unrounded where it passes on to another layer.

    >>> from cnnrs import ops
    >>> autocast(ops.array([1.0, 2.0]), "bfloat16").dtype
    'bfloat16'
    """
    result = _core.autocast(x, dtype)
    return pass_on("cast", result, (x,), {}) if isinstance(x, AnnotatedTensor) else result


def _operator(method: str, name: str) -> Callable[..., Any]:
    own = getattr(_core.Tensor, method)

    def operator(self: AnnotatedTensor, *others: Any) -> Any:
        result = own(self, *others)
        return result if result is NotImplemented else pass_on(name, result, (self, *others), {})

    operator.__name__ = method
    return operator


for _method, _name in {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "truediv": "div",
    "floordiv": "floor_div",
    "mod": "mod",
    "pow": "pow",
}.items():
    setattr(AnnotatedTensor, f"__{_method}__", _operator(f"__{_method}__", _name))
    setattr(AnnotatedTensor, f"__r{_method}__", _operator(f"__r{_method}__", _name))
for _method, _name in {"neg": "neg", "abs": "abs"}.items():
    setattr(AnnotatedTensor, f"__{_method}__", _operator(f"__{_method}__", _name))
