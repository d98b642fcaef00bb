"""Dtype policies: in which type layers keep their variables and compute, by name and as plain data."""

from __future__ import annotations

from typing import Any

from cnnrs import serialization
from cnnrs.base import suggest
from cnnrs.base.policies import DTypePolicy, DTypePolicyMap, FloatDTypePolicy, of

__all__ = ["DTypePolicy", "DTypePolicyMap", "FloatDTypePolicy", "deserialize", "get", "serialize"]

_CLASSES = {cls.__name__: cls for cls in (DTypePolicy, DTypePolicyMap, FloatDTypePolicy)}


def serialize(dtype_policy: DTypePolicy) -> Any:
    """The config of a policy.

    >>> from cnnrs import dtype_policies
    >>> dtype_policies.serialize(dtype_policies.get("mixed_float16"))["config"]
    {'name': 'mixed_float16'}
    """
    return serialization.serialize_keras_object(dtype_policy)


def deserialize(config: Any, custom_objects: Any = None) -> DTypePolicy:
    """The policy of a config.

    Raises:
        TypeError: The class is not known: quantized policies are not there.
        ValueError: The config is damaged, or names no policy.

    >>> from cnnrs import dtype_policies
    >>> dtype_policies.deserialize({"class_name": "DTypePolicy", "config": {"name": "float32"}})
    <DTypePolicy "float32">
    """
    return serialization.deserialize(config, _CLASSES, "dtype policy", custom_objects)


def get(identifier: Any) -> DTypePolicy:
    """The policy that an identifier stands for.

    Args:
        identifier: A policy, its name or config, an element type, or None for the process's policy.

    Raises:
        ValueError: It stands for none.

    >>> from cnnrs import dtype_policies
    >>> dtype_policies.get("mixed_bfloat16").compute_dtype
    'bfloat16'
    """
    return deserialize(identifier) if isinstance(identifier, dict) else of(identifier)


__getattr__ = suggest.without(
    "cnnrs.dtype_policies",
    {
        "QuantizedDTypePolicy QuantizedFloat8DTypePolicy GPTQDTypePolicy AWQDTypePolicy Int4DTypePolicy "
        "TernaryDTypePolicy": "no layer computes quantized yet; use DTypePolicy('mixed_bfloat16')",
    },
    __all__,
)
