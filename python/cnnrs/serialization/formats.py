"""File formats: the suffix by which a path says what the file holds."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import file_path

__all__ = ["check_model_path", "check_weights_path"]

_MODEL = ".safetensors"
_WEIGHTS = ".weights.safetensors"


def _suffix(filepath: Any, suffix: str, what: str) -> str:
    path = file_path(filepath, what)
    if not path.endswith(suffix):
        raise ValueError(
            f"{what}: expected a path ending in {suffix!r}, received {path!r}; other formats are not written"
        )
    return path


def check_model_path(filepath: Any) -> str:
    """The path of a model's file; ValueError unless it ends in ".safetensors".

    >>> from cnnrs import saving
    >>> saving.check_model_path("m.safetensors")
    'm.safetensors'
    """
    path = _suffix(filepath, _MODEL, "model file")
    if path.endswith(_WEIGHTS):
        raise ValueError(f"model file: {path!r} is the name of a file of weights; use save_weights")
    return path


def check_weights_path(filepath: Any) -> str:
    """The path of a file of weights; ValueError unless it ends in ".weights.safetensors".

    >>> from cnnrs import saving
    >>> saving.check_weights_path("m.weights.safetensors")
    'm.weights.safetensors'
    """
    return _suffix(filepath, _WEIGHTS, "weights file")
