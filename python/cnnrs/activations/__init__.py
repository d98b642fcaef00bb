"""Activation functions by name, with the arguments and defaults of `keras.activations`.

>>> from cnnrs import activations
>>> activations.get("relu") is activations.relu
True
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnrs.activations.functions import (
    celu,
    elu,
    exponential,
    gelu,
    glu,
    hard_shrink,
    hard_sigmoid,
    hard_silu,
    hard_swish,
    hard_tanh,
    leaky_relu,
    linear,
    log_sigmoid,
    log_softmax,
    mish,
    relu,
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
    sparsemax,
    squareplus,
    swish,
    tanh,
    tanh_shrink,
    threshold,
)
from cnnrs.activations.lookup import deserialize, get, serialize
from cnnrs.base import suggest
from cnnrs.base.late import late, names_of

if TYPE_CHECKING:
    from cnnrs.activations.comparing import Comparison as Comparison
    from cnnrs.activations.comparing import compare as compare

# What compares is no activation, and is loaded when it is first used.
_LATE = {"comparing": "Comparison compare"}

__all__ = [
    *names_of(_LATE),
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
    "sparsemax",
    "squareplus",
    "swish",
    "tanh",
    "tanh_shrink",
    "threshold",
]

__getattr__, __dir__ = late("cnnrs.activations", _LATE, suggest.without("cnnrs.activations", {}, __all__))
