"""What a model gives, as probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.evaluation.labels import as_array, probabilities

__all__ = ["gives_logits", "of_model"]


def of_model(model: Any, outputs: np.ndarray, owner: str, from_logits: bool | None = None) -> np.ndarray:
    """Outputs of a model as probabilities in float64, one column a class.

    Args:
        model: The model.
        outputs: What it gave for samples.
        owner: What asks, for errors.
        from_logits: Whether they are logits; None asks the model's loss, and looks at them.

    Raises:
        ValueError: They are no scores of classes.
    """
    outputs = as_array(outputs)
    return probabilities(outputs, owner, gives_logits(model, outputs) if from_logits is None else from_logits)


def gives_logits(model: Any, outputs: np.ndarray) -> bool:
    """Whether a model's outputs are logits: its loss says so, or they are no probabilities."""
    said = getattr(getattr(model, "loss", None), "from_logits", None)
    if isinstance(said, bool):
        return said
    if not outputs.size or outputs.dtype.kind != "f":
        return False
    values = outputs.astype(np.float64)
    if values.min() < -1e-6 or values.max() > 1 + 1e-3:
        return True
    return values.ndim == 2 and values.shape[1] > 1 and bool(np.max(np.abs(values.sum(axis=1) - 1)) > 0.02)
