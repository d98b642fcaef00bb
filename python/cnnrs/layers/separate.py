"""Which layers compute each sample of a batch by itself."""

from __future__ import annotations

from typing import Any

from cnnrs.layers import (
    convolutional,
    core,
    einsum,
    resampling,
    reshaping,
)
from cnnrs.layers.activation import functions
from cnnrs.layers.base import Layer
from cnnrs.layers.input_layer import InputLayer
from cnnrs.layers.normalization import samples
from cnnrs.layers.pooling import adaptive, everywhere, windows

__all__ = ["computes_samples_alone"]

# Their public classes, and no subclass of them: what a user's class computes is not known.
_MODULES = (
    adaptive,
    convolutional,
    einsum,
    everywhere,
    functions,
    resampling,
    reshaping,
    samples,
    windows,
)
_ALONE = {
    kind
    for module in _MODULES
    for name in module.__all__
    if isinstance(kind := getattr(module, name), type) and issubclass(kind, Layer)
} | {core.Dense, core.Activation, core.Identity, InputLayer}


def computes_samples_alone(layer: Any) -> bool:
    """Whether the outputs for a sample are those of a batch of that sample, in training, too.

    >>> from cnnrs import layers
    >>> computes_samples_alone(layers.Dense(3)), computes_samples_alone(layers.BatchNormalization())
    (True, False)
    """
    if layer.activity_regularizer is not None:
        # Its penalty is a mean over the batch.
        return False
    graph = getattr(layer, "_graph", None)
    if graph is not None:
        single = len(graph.inputs) == len(graph.outputs) == 1
        return single and all(isinstance(o, Layer) and computes_samples_alone(o) for o in graph.operations)
    return type(layer) in _ALONE
