"""States of random generators in files of Keras: a group that Keras does not look at."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from cnnrs.serialization.copies import restore_training
from cnnrs.serialization.hdf5 import Group

__all__ = ["GROUP", "generators_of", "restore_generators"]

GROUP = "cnnrs"


def _states(model: Any) -> list[Any]:
    found: dict[int, Any] = {}
    # Optimizers and metrics draw nothing.
    for layer in getattr(model, "_flatten_layers", tuple)():
        for generator in layer._seed_generators():
            found.setdefault(generator.state.id, generator.state)
    return list(found.values())


def generators_of(model: Any) -> Group | None:
    """The states of the generators in a model's layers, and of the one that shuffles; None without any."""
    group = Group(arrays={str(i): np.asarray(state.numpy()) for i, state in enumerate(_states(model))})
    if getattr(model, "compiled", False):
        group.attrs["shuffle"] = json.dumps(model._shuffle_seed.get_config())
        group.arrays["shuffle"] = np.asarray(model._shuffle_seed.state.numpy())
    return group if group.arrays else None


def restore_generators(model: Any, group: Group | None) -> None:
    """Sets what `generators_of` gave. A file of Keras has none, and a changed model other ones."""
    if group is None:
        return
    states = _states(model)
    values = [group.arrays.get(str(i)) for i in range(len(states))]
    if str(len(states)) not in group.arrays and all(_is_state(value) for value in values):
        for state, value in zip(states, values, strict=True):
            state.assign(value)
    if not getattr(model, "compiled", False) or "shuffle" not in group.arrays:
        return
    config, state = json.loads(str(group.attrs.get("shuffle"))), group.arrays["shuffle"]
    if not isinstance(config, dict) or config.keys() != {"seed", "name"} or not _is_state(state):
        raise ValueError(f"{GROUP}/shuffle: expected a seed, a name and a state, received {config!r}")
    restore_training(model, None, config, state)


def _is_state(value: Any) -> bool:
    return value is not None and value.shape == (2,) and value.dtype == np.int32
