"""Moving statistics of batch normalisation, computed anew over data."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.layers import BatchNormalization
from cnnrs.layers.normalization.switchable import SwitchableNormalization
from cnnrs.training.batches import Batches
from cnnrs.training.data_adapter import ArrayData, BatchData
from cnnrs.training.samples import leaves
from cnnrs.training.snapshot import unchanged
from cnnrs.training.step import RecordedStep, Signature

__all__ = ["followers", "reestimate"]


def followers(model: Any) -> list[Any]:
    """The layers whose moving statistics follow batches."""
    return [layer for layer in model._flatten_layers() if layer.trainable and _follows(layer)]


def _follows(layer: Any) -> bool:
    if isinstance(layer, SwitchableNormalization):
        return "batch" in layer.using
    return isinstance(layer, BatchNormalization)


def reestimate(model: Any, data: ArrayData | BatchData, steps: int | None = None) -> None:
    """Sets the moving statistics of all `followers` to those of the data.

    Args:
        model: A model that is built.
        data: The data.
        steps: Batches to look at, if not all.
    """
    if not model.built:
        raise ValueError(f"reestimate_batch_norm: model: expected a model that is built, received {model!r}")
    layers = followers(model)
    if not layers:
        return
    momentums = [layer.momentum for layer in layers]
    count = 0.0
    sums = [[0.0, 0.0, 0.0] for _ in layers]
    recorded: dict[Any, RecordedStep] = {}
    with unchanged(model):
        try:
            # With a momentum of 0 the moving statistics are those of the last batch.
            for layer in layers:
                layer.momentum = 0.0
            for samples in islice(Batches(data, None, False, None).start(), steps):
                inputs = (samples[0], None, None)
                rows = float(len(leaves(inputs)[0]))
                signature = Signature.of("train", inputs)
                if signature not in recorded:
                    recorded[signature] = RecordedStep.record(
                        lambda x: _run(model, x), inputs, signature, "reestimate_batch_norm"
                    )
                recorded[signature](leaves(inputs))
                count += rows
                for layer, total in zip(layers, sums, strict=True):
                    mean = layer.moving_mean.numpy().astype(np.float64)
                    total[0] = total[0] + rows * mean
                    total[1] = total[1] + rows * mean**2
                    total[2] = total[2] + rows * layer.moving_variance.numpy().astype(np.float64)
        finally:
            for layer, momentum in zip(layers, momentums, strict=True):
                layer.momentum = momentum
    if not count:
        raise ValueError("reestimate_batch_norm: data: expected at least one batch, received none")
    for layer, (means, squares, variances) in zip(layers, sums, strict=True):
        mean = means / count
        layer.moving_mean.assign(np.asarray(mean, np.float32))
        spread = np.maximum(variances / count + squares / count - mean**2, 0.0)
        layer.moving_variance.assign(np.asarray(spread, np.float32))


def _run(model: Any, x: Any) -> Any:
    with _core.no_grad():
        outputs = model(x, training=True)
    return tree.flatten(outputs)[0]
