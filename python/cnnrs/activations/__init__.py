"""Activation functions by name, with the arguments and defaults of `keras.activations`.

>>> from cnnrs import activations
>>> activations.get("relu") is activations.relu
True
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cnnrs import identifiers, ops
from cnnrs.ops import (
    celu,
    elu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    log_sigmoid,
    log_softmax,
    mish,
    relu6,
    selu,
    sigmoid,
    silu,
    soft_shrink,
    softmax,
    softplus,
    softsign,
    sparse_plus,
    sparse_sigmoid,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)

__all__ = [
    "celu",
    "deserialize",
    "elu",
    "exponential",
    "gelu",
    "get",
    "glu",
    "hard_shrink",
    "hard_sigmoid",
    "hard_silu",
    "hard_swish",
    "hard_tanh",
    "leaky_relu",
    "linear",
    "log_sigmoid",
    "log_softmax",
    "mish",
    "relu",
    "relu6",
    "selu",
    "serialize",
    "sigmoid",
    "silu",
    "soft_shrink",
    "softmax",
    "softplus",
    "softsign",
    "sparse_plus",
    "sparse_sigmoid",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]


def linear(x: Any) -> Any:
    """`x` itself."""
    return x


def exponential(x: Any) -> Any:
    """e to the power of x."""
    return ops.exp(x)


def gelu(x: Any, approximate: bool = False) -> Any:
    """`x` times the normal distribution's function of `x`, by erf, or by tanh if approximate."""
    return ops.gelu(x, approximate)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    """`x` where it reaches the threshold, `negative_slope * (x - threshold)` below, at most `max_value`."""
    if threshold == 0.0 and max_value is None:
        return ops.relu(x) if negative_slope == 0.0 else ops.leaky_relu(x, negative_slope)
    if threshold == 0.0 and max_value == 6.0 and negative_slope == 0.0:
        return ops.relu6(x)
    below = ops.multiply(ops.subtract(x, threshold), negative_slope) if negative_slope else 0.0
    kept = x if max_value is None else ops.minimum(x, max_value)
    # NaN is not less, and so kept.
    return ops.where(ops.less(x, threshold), below, kept)


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    name: value
    for name, value in globals().items()
    if name in __all__ and name not in ("deserialize", "get", "serialize")
}


def get(identifier: Any) -> Callable[..., Any]:
    """The function that `identifier` means.

    Args:
        identifier: A name, a function, the form that `serialize` gives, or None for `linear`.

    Raises:
        ValueError: There is no activation of that name.
        TypeError: It is none of these.
    """
    if identifier is None:
        return linear
    if callable(identifier):
        return identifier
    if isinstance(identifier, (str, dict)):
        return deserialize(identifier)
    raise TypeError(f"activation: expected a name or a function, received {identifier!r}")


def deserialize(config: Any, custom_objects: dict[str, Any] | None = None) -> Callable[..., Any]:
    """The function from its name, or from the form that `serialize` gives."""
    return identifiers.deserialize(config, _FUNCTIONS, "activation", custom_objects)


def serialize(activation: Callable[..., Any]) -> Any:
    """The name of a function of this module; a dict for a registered function or layer."""
    name = getattr(activation, "__name__", None)
    if name is not None and _FUNCTIONS.get(name) is activation:
        return name
    from cnnrs import saving

    return saving.serialize_keras_object(activation)
