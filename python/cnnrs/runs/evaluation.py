"""A model on a run's validation: its figures, and its scores for each image."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cnnrs.runs.data import ImageBatches
from cnnrs.runs.folder import RunFolder, write_json

__all__ = ["evaluated", "save_predictions"]


def evaluated(model: Any, batches: ImageBatches) -> tuple[dict[str, Any], np.ndarray]:
    """Figures of a model, and its scores.

    Args:
        model: Gives probabilities of classes.
        batches: What it is asked about, in their order.

    Returns:
        Loss, accuracy, number of images and accuracy by class; and scores, shape (n, classes), float32.
    """
    scores = np.concatenate([np.asarray(model.predict_on_batch(x), np.float32) for x, _ in batches])
    labels = batches.labels
    chosen = scores.argmax(1)
    likely = scores[np.arange(len(labels)), labels].astype(np.float64)
    names = batches.images.class_names
    by_class = {
        name: float(np.mean(chosen[labels == label] == label)) if (labels == label).any() else None
        for label, name in enumerate(names)
    }
    figures = {
        "images": len(labels),
        "loss": float(-np.log(np.clip(likely, 1e-7, 1.0)).mean()),
        "accuracy": float(np.mean(chosen == labels)),
        "accuracy_by_class": by_class,
    }
    return figures, scores


def save_predictions(
    folder: RunFolder, figures: dict[str, Any], batches: ImageBatches, scores: np.ndarray
) -> None:
    """Writes `evaluation.json` and `predictions.npz` of a run: `paths`, `labels`, `scores`, `class_names`."""
    write_json(folder.path / "evaluation.json", figures)
    paths = batches.images.paths or [f"#{index}" for index in range(len(batches.images))]
    content = io.BytesIO()
    np.savez_compressed(
        content,
        paths=np.array([paths[index] for index in batches.indices]),
        labels=batches.labels,
        scores=scores,
        class_names=np.array(batches.images.class_names),
    )
    (folder.path / "predictions.npz").write_bytes(content.getvalue())
