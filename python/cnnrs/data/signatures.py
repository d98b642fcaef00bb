"""What users say of the elements of a generator, and whether the elements are so."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.data.elements import as_leaf, host
from cnnrs.data.spec import TensorSpec, shape_of
from cnnrs.data.strings import StringTensor

__all__ = ["as_spec", "as_tuples", "conforming", "spec_of_types"]


def as_tuples(structure: Any) -> Any:
    """Lists of specs or types as tuples: elements have no lists."""
    if isinstance(structure, list):
        return tuple(as_tuples(part) for part in structure)
    if isinstance(structure, dict):
        return {key: as_tuples(part) for key, part in structure.items()}
    return (
        tree.rebuild(structure, [as_tuples(p) for p in structure])
        if isinstance(structure, tuple)
        else structure
    )


def as_spec(spec: Any) -> TensorSpec:
    if isinstance(spec, TensorSpec):
        return spec
    if hasattr(spec, "shape") and hasattr(spec, "dtype"):
        return TensorSpec(spec.shape, spec.dtype)
    raise TypeError(f"Dataset.from_generator: output_signature: expected TensorSpecs, received {spec!r}")


def spec_of_types(types: Any, shapes: Any) -> Any:
    if shapes is None:
        return tree.map_structure(lambda dtype: TensorSpec(None, dtype), types)
    if isinstance(types, tuple):
        if len(shapes) != len(types):
            raise ValueError(
                f"Dataset.from_generator: output_shapes: expected {len(types)} shapes, received {shapes!r}"
            )
        return tuple(spec_of_types(t, s) for t, s in zip(types, shapes, strict=True))
    if isinstance(types, dict):
        return {key: spec_of_types(types[key], shapes[key]) for key in types}
    return TensorSpec(shape_of(shapes), types)


def conforming(element: Any, spec: Any, where: str) -> Any:
    """An element that a generator gave, with the types and shapes that were said.

    Raises:
        TypeError: It has another structure, or a type that does not become the one that was said.
        ValueError: It has another shape.
    """
    if isinstance(spec, dict):
        if not isinstance(element, dict) or element.keys() != spec.keys():
            raise TypeError(f"{where}: expected dicts with keys {list(spec)}, received {_short(element)}")
        return {key: conforming(element[key], spec[key], where) for key in spec}
    if isinstance(spec, tuple):
        if not isinstance(element, (tuple, list)) or len(element) != len(spec):
            raise TypeError(f"{where}: expected {len(spec)} parts of an element, received {_short(element)}")
        return tree.rebuild(spec, [conforming(e, s, where) for e, s in zip(element, spec, strict=True)])
    leaf = host(as_leaf(element, where))
    if (spec.dtype == "string") != isinstance(leaf, StringTensor):
        raise TypeError(f"{where}: expected {spec.dtype}, received {_short(element)}")
    if not isinstance(leaf, StringTensor) and leaf.dtype != spec.dtype:
        if leaf.dtype.kind == "f" and np.dtype(spec.dtype).kind in "iub":
            raise TypeError(f"{where}: expected {spec.dtype}, received {leaf.dtype}: {_short(element)}")
        leaf = leaf.astype(spec.dtype)
    if not spec.is_compatible_with(TensorSpec(leaf.shape, spec.dtype)):
        raise ValueError(f"{where}: expected shape {spec.shape}, received shape {tuple(leaf.shape)}")
    return leaf


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:77]}..."
