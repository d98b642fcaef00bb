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

from cnnrs.models.cloning import clone_model, model_from_json
from cnnrs.models.model import Functional, Model
from cnnrs.models.sequential import Sequential
from cnnrs.saving import load_model, save_model

__all__ = ["Functional", "Model", "Sequential", "clone_model", "load_model", "model_from_json", "save_model"]
