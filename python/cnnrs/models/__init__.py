"""Models: what joins layers, trains them and keeps them in files.

>>> import numpy as np
>>> from cnnrs import Input, Sequential, layers
>>> model = Sequential([Input((2,)), layers.Dense(1)])
>>> model.compile("sgd", "mse")
>>> x = np.array([[0.0, 1.0], [1.0, 0.0]])
>>> history = model.fit(x, x.sum(1), epochs=2, verbose=0)
>>> len(history.history["loss"])
2
"""

from __future__ import annotations

from typing import Any

from cnnrs.models.cloning import clone_model, model_from_json
from cnnrs.models.model import Functional, Model
from cnnrs.models.sequential import Sequential

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]


def load_model(
    filepath: Any, custom_objects: Any = None, compile: bool = True, safe_mode: bool = True
) -> Any:
    """The model that `model.save(filepath)` wrote, as `cnnrs.saving.load_model`."""
    from cnnrs import saving

    return saving.load_model(filepath, custom_objects=custom_objects, compile=compile, safe_mode=safe_mode)


def save_model(model: Any, filepath: Any, overwrite: bool = True, zipped: Any = None, **kwargs: Any) -> None:
    """Writes a model to a file, as `cnnrs.saving.save_model`."""
    from cnnrs import saving

    saving.save_model(model, filepath, overwrite=overwrite, zipped=zipped, **kwargs)
