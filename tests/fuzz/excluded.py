"""Public names that no row draws, each with its reason."""

from __future__ import annotations

__all__ = ["LAYERS", "OPS"]

_CONTROL = "takes Python functions; programs are made of values"
_NO_TENSOR = "gives no tensor"

OPS = {
    "cond": _CONTROL,
    "fori_loop": _CONTROL,
    "map": _CONTROL,
    "vectorized_map": _CONTROL,
    "while_loop": _CONTROL,
    "custom_gradient": _CONTROL,
    "convert_to_numpy": _NO_TENSOR,
    "dtype": _NO_TENSOR,
    "is_tensor": _NO_TENSOR,
    "ndim": _NO_TENSOR,
    "shape": _NO_TENSOR,
    "size": _NO_TENSOR,
    "empty": "its values mean nothing",
}

LAYERS = {
    "Input": "every model has it",
    "InputLayer": "every model has it, as Input",
    "InputSpec": "describes inputs; is no layer",
    "Layer": "the base class",
    "deserialize": "makes layers of configurations",
    "serialize": "makes configurations of layers",
}
