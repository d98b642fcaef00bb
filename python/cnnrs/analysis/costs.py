"""What a model costs: operations, weights and memory, layer by layer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.analysis.recording import input_facts, paths_of, record
from cnnrs.analysis.tables import table
from cnnrs.base.arguments import integer, named
from cnnrs.base.suggest import did_you_mean
from cnnrs.utils import explain

__all__ = ["Costs", "LayerCosts", "costs"]

# Operations whose work is multiply-adds.
_MULTIPLY_ADDS = ("conv2d", "conv2d_input_grad", "matmul")


@dataclass
class LayerCosts:
    """What a layer costs, with all that lies inside of it.

    Attributes:
        name: Its name.
        type: Its class.
        path: Names of the layers that it lies in, and its own, with slashes between.
        parameters: Its weights.
        flops: Floating-point operations as they were recorded; a multiply-add counts 2.
        macs: Multiply-adds of convolutions and matrix products.
        activation_bytes: Bytes of its results.
    """

    name: str
    type: str
    path: str
    parameters: int = 0
    flops: int = 0
    macs: int = 0
    activation_bytes: int = 0


class Costs:
    """What a model costs. Printing it shows a table.

    Attributes:
        title: The model's name.
        batch_size: Samples of the batch that costs are of.
        sample_shapes: Shapes of a sample, for each input.
        layers: Costs of layers at any depth, in the order in which they are first called.
        parameters: Weights.
        flops: Floating-point operations as recorded; `explain` counts those that are left after folding.
        macs: Multiply-adds of convolutions and matrix products: what papers call FLOPs or multiply-adds.
        activation_bytes: Bytes of the results of the innermost layers: what would be kept, if all of them
            were.
        inference_bytes: Bytes that a prediction needs at most besides inputs and weights, with folded and
            packed filters.
    """

    def __init__(self, model: Any, recording: Any, batch_size: int, facts: Any):
        self._model, self._facts = model, facts
        self.title = model.name
        self.batch_size = batch_size
        self.sample_shapes = [fact.shape[1:] for fact in tree.flatten(facts)]
        self.parameters = model.count_params()
        self.inference_bytes: int = recording.function.peak_bytes
        self.flops = sum(node["flops"] for node in recording.nodes)
        self.macs = sum(_macs(node) for node in recording.nodes)
        self.layers = _by_layer(model, recording)
        outer = {layer.path.rpartition("/")[0] for layer in self.layers}
        self.activation_bytes = sum(c.activation_bytes for c in self.layers if c.path not in outer)

    @property
    def training_bytes(self) -> int:
        """Bytes that a forward pass and its gradients need at most besides inputs, outputs and weights.

        Raises:
            ValueError: An input is no array of numbers.
        """
        x = tree.map_structure(lambda fact: np.zeros(fact.shape, fact.dtype), self._facts)
        return int(explain(self._model, x, training=True).peak_bytes)

    def __getitem__(self, name: str) -> LayerCosts:
        """Costs of the layer of this name or path.

        Raises:
            KeyError: There is none.
        """
        for layer in self.layers:
            if name in (layer.path, layer.name):
                return layer
        raise KeyError(
            f"costs: no layer is called {name!r}{did_you_mean(name, [c.name for c in self.layers])}"
        )

    def __iter__(self) -> Iterator[LayerCosts]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        rows = [
            [c.path, c.type, f"{c.parameters:,}", f"{c.flops:,}", f"{c.macs:,}", f"{c.activation_bytes:,}"]
            for c in self.layers
        ]
        own = [
            "",
            "",
            f"{self.parameters:,}",
            f"{self.flops:,}",
            f"{self.macs:,}",
            f"{self.activation_bytes:,}",
        ]
        titles = ["Layer", "Type", "Parameters", "FLOPs", "Multiply-adds", "Bytes of results"]
        return f"Costs of {self.title} for {self.batch_size} sample(s)\n" + table(
            titles, [*rows, own], frozenset([2, 3, 4, 5])
        )


@named
def costs(model: Any, x: Any = None, *, batch_size: int = 1, input_shape: Any = None) -> Costs:
    """Operations, weights and memory of a model, layer by layer; images of unknown size are 256 × 256.

    Args:
        model: A model or a layer.
        x: Samples of one batch, whose shapes count. By default the shapes of the model's inputs.
        batch_size: Samples, where `x` is not given.
        input_shape: Or the shape of one sample.

    Returns:
        A table: `costs(model)["conv1"].flops`.

    Raises:
        ValueError: The inputs have no known shapes.

    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 3)), layers.Conv2D(4, 3, name="conv")])
    >>> found = cnnrs.analysis.costs(model)
    >>> found["conv"].macs == 6 * 6 * 4 * 3 * 3 * 3, found["conv"].flops == 2 * found.macs + 6 * 6 * 4
    (True, True)
    """
    batch_size = integer(batch_size, "costs", "batch_size", least=1)
    facts = input_facts(model, x, batch_size, "costs", input_shape)
    return Costs(model, record(model, facts), tree.flatten(facts)[0].shape[0], facts)


def _macs(node: dict[str, Any]) -> int:
    return int(node["flops"]) // 2 if node["op"] in _MULTIPLY_ADDS else 0


def _by_layer(model: Any, recording: Any) -> list[LayerCosts]:
    found: dict[str, LayerCosts] = {}
    for layer, path in paths_of(model).values():
        found[path] = LayerCosts(layer.name, type(layer).__name__, path)
        found[path].parameters = layer.count_params() if layer.built else 0
    for node in recording.nodes:
        if not node["flops"]:
            continue
        # The origin is the path from the model on; of equal work of several layers, the first one's.
        path = node["origin"].split(", ")[0].removeprefix(f"{model.name}/")
        while path:
            if path in found:
                found[path].flops += node["flops"]
                found[path].macs += _macs(node)
            path = path.rpartition("/")[0]
    order: dict[str, None] = {}
    for call in recording.calls:
        for i in call.outputs:
            node = recording.nodes[i]
            found[call.path].activation_bytes += math.prod(node["shape"]) * _itemsize(node["dtype"])
        order.setdefault(call.path)
    return [found[path] for path in order]


def _itemsize(dtype: str) -> int:
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
