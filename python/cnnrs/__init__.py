"""cnnrs: convolutional networks with the Keras API in Python and one fused graph in Rust underneath.

>>> import numpy as np
>>> import cnnrs
>>> from cnnrs import layers
>>> model = cnnrs.Sequential(
...     [cnnrs.Input((8, 8, 1)), layers.Conv2D(4, 3, activation="relu"), layers.Flatten(), layers.Dense(2)]
... )
>>> model.predict(np.zeros((3, 8, 8, 1)), verbose=0).shape
(3, 2)

Submodules and names are loaded when they are first used.
"""

from __future__ import annotations

import importlib
import sys
import threading
from typing import TYPE_CHECKING, Any

from cnnrs.base.at_fork import renew

if TYPE_CHECKING:
    from types import FrameType

    from cnnrs import activations as activations
    from cnnrs import analysis as analysis
    from cnnrs import applications as applications
    from cnnrs import backend as backend
    from cnnrs import config as config
    from cnnrs import data as data
    from cnnrs import evaluation as evaluation
    from cnnrs import layers as layers
    from cnnrs import models as models
    from cnnrs import ops as ops
    from cnnrs import reporting as reporting
    from cnnrs import runs as runs
    from cnnrs import sanity as sanity
    from cnnrs import serving as serving
    from cnnrs import tree as tree
    from cnnrs._core import Tensor as Tensor
    from cnnrs._core import no_grad as no_grad
    from cnnrs.analysis import output_size as output_size
    from cnnrs.analysis import receptive_field as receptive_field
    from cnnrs.base.devices import device as device
    from cnnrs.base.devices import devices as devices
    from cnnrs.base.naming import name_scope as name_scope
    from cnnrs.dtype_policies import DTypePolicy as DTypePolicy
    from cnnrs.dtype_policies import FloatDTypePolicy as FloatDTypePolicy
    from cnnrs.layers import Input as Input
    from cnnrs.layers import InputSpec as InputSpec
    from cnnrs.layers import Layer as Layer
    from cnnrs.models import Model as Model
    from cnnrs.models import Sequential as Sequential
    from cnnrs.recipes.training import train as train
    from cnnrs.symbolic import KerasTensor as KerasTensor
    from cnnrs.symbolic import Operation as Operation
    from cnnrs.tape import GradientTape as GradientTape
    from cnnrs.tape import grad as grad
    from cnnrs.tape import value_and_grad as value_and_grad
    from cnnrs.tracing import function as function

_SUBMODULES = frozenset(
    [
        "activations",
        "analysis",
        "applications",
        "backend",
        "callbacks",
        "compat",
        "config",
        "constraints",
        "data",
        "datasets",
        "detection",
        "distillation",
        "dtype_policies",
        "evaluation",
        "initializers",
        "keras",
        "layers",
        "losses",
        "metrics",
        "mixed_precision",
        "models",
        "ops",
        "optimizers",
        "preprocessing",
        "random",
        "recipes",
        "regularizers",
        "reporting",
        "runs",
        "sanity",
        "saving",
        "serving",
        "tree",
        "utils",
        "wrappers",
    ]
)

# `from cnnrs import _core` asks for the name before it imports the module: no hint has to be looked for.
_INTERNAL = frozenset(["_core", "base", "serialization", "symbolic", "tape", "tracing", "variables"])

# Public names and the modules that define them.
_NAMES = {
    "DTypePolicy": "dtype_policies",
    "FloatDTypePolicy": "dtype_policies",
    "GradientTape": "tape",
    "Initializer": "initializers",
    "Input": "layers.input_layer",
    "InputSpec": "layers.input_spec",
    "KerasTensor": "ops.methods",
    "Layer": "layers.base",
    "Loss": "losses",
    "Metric": "metrics",
    "Model": "models",
    "Operation": "symbolic",
    "Optimizer": "optimizers",
    "Regularizer": "regularizers",
    "Sequential": "models",
    "DeviceLostError": "_core",
    "Tensor": "ops.methods",
    "Variable": "variables",
    "device": "base.devices",
    "devices": "base.devices",
    "function": "tracing",
    "grad": "tape",
    "name_scope": "base.naming",
    "no_grad": "_core",
    "output_size": "analysis",
    "receptive_field": "analysis",
    "train": "recipes",
    "value_and_grad": "tape",
}

__all__ = ["__version__", "version", *sorted(_SUBMODULES), *sorted(_NAMES)]


# Threads that load modules at once, each another one, find half of what the other has begun.
_LOADING = threading.RLock()
renew(globals(), "_LOADING", threading.RLock)


def _load(module: str) -> Any:
    if _is_asked_by_a_module():
        return importlib.import_module(module)
    with _LOADING:
        return importlib.import_module(module)


def _is_asked_by_a_module() -> bool:
    """Whether a module of cnnrs asks, which may be half imported: its thread must not wait for another."""
    frame: FrameType | None = sys._getframe(3)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("importlib."):
        frame = frame.f_back
    return frame is not None and frame.f_globals.get("__name__", "").startswith("cnnrs.")


def __getattr__(name: str) -> Any:
    if name in _NAMES:
        value = getattr(_load(f"cnnrs.{_NAMES[name]}"), name)
    elif name in _SUBMODULES or name in _INTERNAL:
        return _load(f"cnnrs.{name}")
    elif name == "__version__":
        from cnnrs._core import __version__ as value
    else:
        from cnnrs.base.absent import OF_CNNRS
        from cnnrs.base.suggest import without

        return without("cnnrs", OF_CNNRS, __all__)(name)
    globals()[name] = value
    return value


def version() -> str:
    """The version of the package.

    >>> version() == __version__
    True
    """
    from cnnrs._core import __version__ as value

    return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__") and name not in __all__)])
