"""What of a model goes into a file by which name, and which weight of a file belongs to which of a model.

Weights and states of generators have the paths of their variables in the model. A layer that defines
`save_own_variables` or `load_own_variables` keeps its own state: what it puts into its store stands for the
variables that it owns itself.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core
from cnnrs.base.dtypes import fits, is_number
from cnnrs.base.user_warnings import warn_user
from cnnrs.layers import Layer

__all__ = ["OwnState", "is_model", "named_variables", "own_states", "pair", "stores_of", "write_stores"]

# Names of tensors of own state: the layer, this, the key of its store.
_INSIDE = "/own_state/"


def is_model(value: Any) -> bool:
    """Whether a value is a model: a layer that can be compiled. `cnnrs.models` imports this folder."""
    return isinstance(value, Layer) and hasattr(value, "compile_from_config")


def _unique(name: str, taken: Iterable[str]) -> str:
    unique, count = name, 1
    while unique in taken:
        unique, count = f"{name}_{count}", count + 1
    return unique


def named_variables(model: Any, with_own_state: bool = False) -> dict[str, Any]:
    """Weights and generator states by unique names in a fixed order.

    Args:
        model: A built model.
        with_own_state: Whether the variables of layers that keep their own state are among them.
    """
    apart: set[int] = set()
    if not with_own_state:
        owners = [layer for layer in model._flatten_layers() if layer._keeps_own_state()]
        apart = {variable.id for layer in owners for variable, _ in layer._ordered_own()}
    named: dict[str, Any] = {}
    seen: set[int] = set()
    # A Sequential makes the weights of its layers; its own name, often an automatic one, says nothing here.
    prefix = f"{model.path}/"
    for variable in model.variables:
        if variable.id in seen or variable.id in apart:
            continue
        seen.add(variable.id)
        path = getattr(variable, "path", None) or variable.name
        named[_unique(path.removeprefix(prefix), named)] = variable
    return named


class OwnState(NamedTuple):
    """The stores of the layers that keep their own state, as a file holds them.

    Attributes:
        tensors: The values by name.
        stores: For each layer, by unique names, the keys of its store with the values' dtypes and shapes.
    """

    tensors: dict[str, np.ndarray]
    stores: dict[str, dict[str, tuple[str, list[int]]]]


def own_states(model: Any) -> dict[str, Any]:
    """The layers of a model that keep their own state, by unique names.

    Raises:
        NotImplementedError: A layer defines `save_assets` or `load_assets`.
    """
    found: dict[str, Any] = {}
    for layer in model._flatten_layers():
        for method in ("save_assets", "load_assets"):
            # The config of the package's own layers has what these methods store.
            defined = getattr(type(layer), method, None)
            if defined is not None and not defined.__module__.startswith("cnnrs."):
                raise NotImplementedError(
                    f"{layer.name}: {type(layer).__name__} defines {method}(), but files hold arrays only; "
                    "save the model to a .keras file, or keep the state in variables"
                )
        if layer._keeps_own_state():
            found[_unique(layer.name, found)] = layer
    return found


def write_stores(model: Any) -> OwnState:
    """Calls `save_own_variables` of the layers that keep their own state.

    Raises:
        TypeError: A layer puts something into its store that is no array of numbers under a string.
    """
    state = OwnState({}, {})
    for name, layer in own_states(model).items():
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        state.stores[name] = {}
        for key, value in store.items():
            array = np.asarray(value.numpy() if isinstance(value, (_core.Tensor, _core.Variable)) else value)
            if not isinstance(key, str) or not is_number(array):
                raise TypeError(
                    f"{layer.name}: save_own_variables: expected arrays of numbers under strings, "
                    f"received {type(value).__name__} under {key!r}"
                )
            state.stores[name][key] = (array.dtype.str, list(array.shape))
            # As bytes, for arrays may have types that no tensor holds.
            contiguous = np.ascontiguousarray(array)
            state.tensors[f"{name}{_INSIDE}{key}"] = contiguous.reshape(-1).view(np.uint8)
    return state


def stores_of(tensors: dict[str, np.ndarray], text: str) -> dict[str, dict[str, np.ndarray]]:
    """The stores that `write_stores` gave, taken out of the tensors of a file.

    Args:
        tensors: The tensors; those of stores are removed.
        text: `OwnState.stores` as JSON.
    """
    stores: dict[str, dict[str, np.ndarray]] = {}
    for name, entries in json.loads(text).items():
        stores[name] = {}
        for key, (dtype, shape) in entries.items():
            raw = np.ascontiguousarray(tensors.pop(f"{name}{_INSIDE}{key}"))
            stores[name][key] = raw.view(np.dtype(dtype)).reshape(shape).copy()
    return stores


def _regular(names: Iterable[str]) -> dict[str, str]:
    """Names with layers counted from the first of the model on; automatic names count in the process."""
    numbers: dict[str, dict[str, int]] = {}
    regular: dict[str, str] = {}
    for name in names:
        parts = []
        for part in name.split("/"):
            stem = re.sub(r"_\d+$", "", part)
            known = numbers.setdefault(stem, {})
            parts.append(f"{stem}_{known.setdefault(part, len(known))}")
        regular[_unique("/".join(parts), regular)] = name
    return regular


def _fits(value: np.ndarray, variable: Any) -> bool:
    return tuple(value.shape) == tuple(variable.shape) and fits(value.dtype.name, variable.dtype)


def _warn_of_other_names(named: Iterable[str], weights: Iterable[str]) -> None:
    """Warns if weights go by their order although names say otherwise.

    Automatic numbers and the names of the models around a layer say nothing.
    """
    for (mine, name), (theirs, source) in zip(
        _regular(named).items(), _regular(weights).items(), strict=True
    ):
        if not (f"/{mine}".endswith(f"/{theirs}") or f"/{theirs}".endswith(f"/{mine}")):
            warn_user(
                f"names differ, so weights are read in their order: {name!r} takes {source!r}. If that is "
                "not meant, give layers the names that the file has"
            )
            return


def pair(
    named: dict[str, Any], weights: dict[str, np.ndarray], skip_mismatch: bool
) -> dict[str, np.ndarray | None]:
    """The weight of a file that belongs to each variable of a model; None where there is none.

    Names count if all of the model's are in the file. Automatic names depend on what the process made
    before: where names differ and the numbers of weights agree, weights go by their order. If some may be
    left as they are, the way that fits most variables is taken: by order, by names, or by names counted from
    the first layer on.

    Args:
        named: Variables by name.
        weights: Values by name, in the order of the model that wrote them.
        skip_mismatch: Whether variables that nothing fits are left as they are.
    """
    by_name = {name: weights.get(name) for name in named}
    if all(value is not None for value in by_name.values()):
        return by_name
    by_order: dict[str, np.ndarray | None] | None = None
    if len(weights) == len(named):
        by_order = dict(zip(named, weights.values(), strict=True))
    if not skip_mismatch:
        if by_order is not None:
            _warn_of_other_names(named, weights)
        return by_order or by_name
    theirs = _regular(weights)
    counted = {
        mine: weights[theirs[regular]] if regular in theirs else None
        for regular, mine in _regular(named).items()
    }

    def fitting(found: dict[str, np.ndarray | None]) -> int:
        return sum(value is not None and _fits(value, named[name]) for name, value in found.items())

    return max((way for way in (by_order, by_name, counted) if way is not None), key=fitting)
