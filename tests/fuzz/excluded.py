"""Public names that no row draws, each with its reason."""

from __future__ import annotations

__all__ = ["LAYERS", "OPS"]

_CONTROL = "takes Python functions; programs are made of values"
_NO_TENSOR = "gives no tensor"
_SIGNS = "vectors are unique up to signs; tests/python/test_linalg.py multiplies the factors"
_LABELS = "tests/python/test_ctc.py compares it with all ways to spread labels"

OPS = {
    "cond": _CONTROL,
    "fori_loop": _CONTROL,
    "map": _CONTROL,
    "vectorized_map": _CONTROL,
    "while_loop": _CONTROL,
    "custom_gradient": "always raises NotImplementedError",
    "convert_to_numpy": _NO_TENSOR,
    "dtype": _NO_TENSOR,
    "is_tensor": _NO_TENSOR,
    "ndim": _NO_TENSOR,
    "shape": _NO_TENSOR,
    "size": _NO_TENSOR,
    "jvp": _CONTROL,
    "eig": _SIGNS,
    "eigh": _SIGNS,
    "lu_factor": _SIGNS,
    "qr": _SIGNS,
    "svd": _SIGNS,
    "istft": "undoes stft; tests/python/test_fourier.py does both",
    "ctc_decode": _LABELS,
    "ctc_loss": _LABELS,
    "polar": "gives an array of numpy",
    "view_as_complex": "gives an array of numpy",
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
