"""Arguments of layers' calls: their signatures, their tensors, their shapes."""

from __future__ import annotations

import inspect
import operator
from typing import Any

import numpy as np

from cnnrs import _core, ops, symbolic, tree
from cnnrs.base.dtypes import FLOAT, FLOATS
from cnnrs.ops.annotated import autocast
from cnnrs.ops.dispatch import as_data
from cnnrs.ops.masks import keep_mask


class _CallSignature:
    """Names of the arguments of `call` and `build`."""

    def __init__(self, cls: type):
        parameters = list(inspect.signature(cls.call).parameters.values())[1:]  # type: ignore[attr-defined]
        self.names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        every = [p.name for p in parameters]
        self.mask_names = frozenset(n for n in every if n == "mask" or n.endswith("_mask"))
        self.every = every
        self.needs_training = any(p.name == "training" and p.default is p.empty for p in parameters)
        takes_rest = any(p.kind is p.VAR_KEYWORD for p in parameters)
        self.training_position: int | None = None
        if "training" in self.names:
            self.training_position = self.names.index("training")
        elif "training" in every or (takes_rest and getattr(cls, "_call_takes_training", False)):
            self.training_position = len(self.names) + 1000
        build = list(inspect.signature(cls.build).parameters.values())[1:]  # type: ignore[attr-defined]
        self.required_build_names = [
            p.name
            for p in build
            if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
        ]
        self.build_names = [p.name for p in build if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _call_signature(cls: type) -> _CallSignature:
    signature = vars(cls).get("_own_call_signature")
    if signature is None:
        signature = _CallSignature(cls)
        cls._own_call_signature = signature  # type: ignore[attr-defined]
    return signature


def _to_tensors(value: Any, dtype: str) -> Any:
    if isinstance(value, np.ndarray):
        return as_data(value, dtype)
    if isinstance(value, _core.Variable):
        return value.value
    if isinstance(value, (list, tuple)) and value and not hasattr(value, "_fields"):
        if any(isinstance(v, (np.ndarray, _core.Variable, list)) for v in value):
            return type(value)(_to_tensors(v, dtype) for v in value)
    if isinstance(value, dict):
        return {k: _to_tensors(v, dtype) for k, v in value.items()}
    return value


def _autocast(value: Any, dtype: str) -> Any:
    """`value` with the float tensors in it as `dtype`."""
    if isinstance(value, (_core.Tensor, _core.Variable)):
        own = value.dtype
        return keep_mask(autocast(value, dtype), value) if own != dtype and own in FLOATS else value
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        parts = [_autocast(part, dtype) for part in value]
        return value if all(map(operator.is_, parts, value)) else type(value)(parts)
    if isinstance(value, dict):
        return {key: _autocast(part, dtype) for key, part in value.items()}
    return value


def _is_numbers(value: list[Any]) -> bool:
    """Whether nested lists hold numbers only."""
    leaves = tree.flatten(value)
    return bool(leaves) and all(isinstance(leaf, (int, float)) for leaf in leaves)


def _batch_of(samples: list[Any], layer: str) -> Any:
    """One array or tensor of samples that came as a list of them."""
    shapes = [_shape_of(sample) for sample in samples]
    if not shapes or not all(isinstance(shape, tuple) for shape in shapes):
        return samples
    if any(shape != shapes[0] for shape in shapes):
        other = next(shape for shape in shapes if shape != shapes[0])
        raise ValueError(
            f"{layer}: expected the arrays of a list to have one shape, so that they make a batch, received "
            f"{shapes[0]} and {other}; call the layer on each of them"
        )
    if all(isinstance(sample, np.ndarray) for sample in samples):
        return np.stack(samples)
    return ops.stack(samples)


def _holds_tensor(value: Any) -> bool:
    return any(hasattr(leaf, "shape") for leaf in tree.flatten(value))


def _shape_of(leaf: Any) -> Any:
    return tuple(leaf.shape) if hasattr(leaf, "shape") else leaf


def _is_shape(value: Any) -> bool:
    return isinstance(value, (tuple, list)) and all(
        v is None or isinstance(v, (int, np.integer)) for v in value
    )


def _symbols(shape: Any, dtype: str = FLOAT) -> Any:
    """Symbolic tensors of the shapes in a structure."""
    if _is_shape(shape):
        return symbolic.KerasTensor(shape, dtype)
    if isinstance(shape, dict):
        return {k: _symbols(v, dtype) for k, v in shape.items()}
    return type(shape)(_symbols(s, dtype) for s in shape)


def _tuples(shape: Any) -> Any:
    """Shapes as tuples, after JSON made lists of them."""
    if _is_shape(shape):
        return tuple(shape)
    if isinstance(shape, dict):
        return {k: _tuples(v) for k, v in shape.items()}
    return [_tuples(s) for s in shape] if isinstance(shape, list) else shape
