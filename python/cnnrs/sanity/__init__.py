"""Mistakes in data and models that training does not report, looked for before it begins.

>>> import numpy as np
>>> import cnnrs
>>> from cnnrs import layers, sanity
>>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), layers.Flatten(), layers.Dense(2)])
>>> model.compile("adam", "sparse_categorical_crossentropy")
>>> x = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 1)).astype("uint8")
>>> print(sanity.check(model, x, np.arange(20) % 2))
warning: logits-as-probabilities: the last layer gives logits, and the loss expects probabilities
  do: compile with SparseCategoricalCrossentropy(from_logits=True), or end with activation="softmax"
warning: unscaled: inputs lie in 0 to 255, and no layer scales them before the first weights
  do: begin with layers.Rescaling(1 / 255), or scale the inputs
"""

from cnnrs.sanity.checking import check
from cnnrs.sanity.findings import Finding, Findings
from cnnrs.sanity.overfitting import Overfitting, overfit_one_batch

__all__ = ["Finding", "Findings", "Overfitting", "check", "overfit_one_batch"]
