"""What a model's layers and its loss say."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import layers, ops, random, serialization
from cnnrs.sanity.findings import Findings
from cnnrs.sanity.sampling import Sampled
from cnnrs.serialization.registry import references

__all__ = ["check_ends", "check_outputs", "check_scaling", "is_classifier", "output_units", "with_shapes"]

# Losses of classes, by the names of their functions and classes in small letters without underscores.
_CATEGORICAL = ("categoricalcrossentropy", "sparsecategoricalcrossentropy", "categoricalfocalcrossentropy")
_BINARY = ("binarycrossentropy", "binaryfocalcrossentropy")
_SCALING = (
    "Rescaling", "Normalization", "BatchNormalization", "LayerNormalization", "GroupNormalization",
    "UnitNormalization", "InstanceNormalization", "Lambda", "Discretization",
)  # fmt: skip


# What takes integers as names of things, not as brightness.
_NAMING = ("Embedding", "CategoryEncoding", "IntegerLookup", "Hashing", "TokenAndPositionEmbedding")
# A row of so many whole numbers from 0 to 255 is a picture.
_PIXELS = 64


def with_shapes(model: Any, data: Sampled) -> Any:
    """The model; of a `Sequential` without `Input` a copy that was built for the data.

    Args:
        model: The model, which is not changed.
        data: Samples.
    """
    if model.built or data.x is None or not hasattr(model, "add") or not model.layers:
        return model
    before = random.state()
    try:
        with references() as table:
            config = model.get_config()
        with serialization.CustomObjectScope(table):
            copy = type(model).from_config(config)
        copy.build((None, *data.x.shape[1:]))
    except (TypeError, ValueError, NotImplementedError):
        # `fit` says what is wrong with it.
        return model
    finally:
        random.set_state(before)
    copy._compiled = model._compiled
    return copy


def _loss(model: Any) -> tuple[str, bool]:
    """The plain name of a model's loss, and whether it takes logits; "" where there is none, or several."""
    compiled = getattr(model, "_compiled", None)
    loss = None if compiled is None else compiled.config.get("loss")
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        loss = loss[0]
    if loss is None or isinstance(loss, (dict, list, tuple)):
        return "", False
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    config = loss.get_config() if hasattr(loss, "get_config") else {}
    return str(name).replace("_", "").lower(), bool(config.get("from_logits", False))


def is_classifier(model: Any, y: np.ndarray | None) -> bool:
    """Whether targets are classes: by the loss, or, where there is none, because they are integers."""
    name, _ = _loss(model) if model is not None else ("", False)
    if name:
        return name in (*_CATEGORICAL, *_BINARY)
    return y is not None and (y.dtype.kind in "iu" or (y.ndim == 2 and y.shape[1] > 1))


def output_units(model: Any) -> int | None:
    """Outputs of a sample; None where nobody knows, or where they are no row."""
    if model is None or not getattr(model, "built", False):
        return None
    try:
        shape = model.output_shape
    except (AttributeError, ValueError, RuntimeError):
        return None
    is_row = isinstance(shape, tuple) and len(shape) == 2 and isinstance(shape[1], int)
    return shape[1] if is_row else None


def _operations(model: Any) -> list[Any] | None:
    """What a model of a graph runs, in order, without its inputs; None where Python decides."""
    graph = getattr(model, "_graph", None)
    if graph is None:
        return None
    return [node.operation for node in graph.nodes if type(node.operation).__name__ != "InputLayer"]


def _last(model: Any) -> Any:
    """The last operation of a model with one output; None where that is not known."""
    last = model
    while hasattr(last, "layers"):
        operations = _operations(last)
        if not operations or len(last.outputs) != 1:
            return None
        last = operations[-1]
    return last


def _activation(layer: Any) -> str | None:
    """The name of what a layer ends with; None where it is no layer of weights or of an activation."""
    if isinstance(layer, layers.Softmax):
        return "softmax"
    if isinstance(layer, (layers.Dense, layers.Conv2D, layers.Activation)):
        return str(getattr(layer.activation, "__name__", "linear"))
    return None


def check_ends(model: Any, data: Sampled, findings: Findings) -> None:
    """Whether the last layer and the loss go together, and whether there is something to train.

    Args:
        model: The model.
        data: Samples.
        findings: Where findings go.
    """
    name, from_logits = _loss(model)
    if model.built and not model.trainable_weights:
        findings.add(
            "nothing-to-train", "the model has no trainable weights",
            "set layer.trainable = True before compile", True,
        )  # fmt: skip
    activation = _activation(_last(model))
    if name not in (*_CATEGORICAL, *_BINARY) or activation is None:
        return
    called = {"categoricalcrossentropy": "CategoricalCrossentropy",
              "sparsecategoricalcrossentropy": "SparseCategoricalCrossentropy",
              "binarycrossentropy": "BinaryCrossentropy"}.get(name, "the loss")  # fmt: skip
    wanted = "softmax" if name in _CATEGORICAL else "sigmoid"
    if activation in ("softmax", "sigmoid") and from_logits:
        findings.add(
            "probabilities-as-logits", f"the last layer gives probabilities ({activation}), and the loss "
            "expects logits",
            f"compile with {called}(from_logits=False), or take the activation off the last layer",
        )  # fmt: skip
    elif activation == "linear" and not from_logits:
        findings.add(
            "logits-as-probabilities", "the last layer gives logits, and the loss expects probabilities",
            f'compile with {called}(from_logits=True), or end with activation="{wanted}"',
        )  # fmt: skip
    elif activation in ("relu", "tanh", "relu6", "leaky_relu", "elu", "selu"):
        findings.add(
            "last-activation", f"the last layer ends with {activation}, and the loss is a cross-entropy",
            f'end with activation="{wanted}", or with none and from_logits=True',
        )  # fmt: skip
    units = output_units(model)
    if activation == "sigmoid" and name in _CATEGORICAL and not from_logits and units != 1:
        findings.add(
            "last-activation", "the last layer ends with sigmoid, and the loss expects probabilities of "
            "classes that add up to 1",
            'end with activation="softmax"; or, where a sample may be of several classes, compile with '
            "BinaryCrossentropy",
        )  # fmt: skip
    if units == 1 and (activation == "softmax" or name in _CATEGORICAL):
        findings.add(
            "one-output", "one output with softmax or categorical cross-entropy is 1 for each sample",
            'end with Dense(1, activation="sigmoid") and BinaryCrossentropy, or an output for each class',
            True,
        )  # fmt: skip
    is_rows = data.y is not None and data.y.ndim == 2 and data.y.shape[1] > 1
    if data.y is not None and name == "sparsecategoricalcrossentropy" and is_rows:
        findings.add(
            "label-rows", f"labels are rows of {data.y.shape[1]}, and the loss expects integers",
            "compile with CategoricalCrossentropy, or train with y.argmax(-1)", True,
        )  # fmt: skip
    if data.y is not None and name == "categoricalcrossentropy" and not is_rows and units != 1:
        findings.add(
            "label-rows", "labels are integers, and the loss expects rows of ones and zeros",
            "compile with SparseCategoricalCrossentropy, or train with utils.to_categorical(y)", True,
        )  # fmt: skip


def _before_weights(model: Any) -> tuple[list[Any], bool]:
    """The operations before the first one with weights, and it; and whether their order is known."""
    found: list[Any] = []
    operations = _operations(model)
    if operations is None:
        return found, False
    for operation in operations:
        if hasattr(operation, "layers"):
            inner, known = _before_weights(operation)
            found += inner
            if not known or operation.weights:
                return found, known
            continue
        found.append(operation)
        if getattr(operation, "weights", None):
            break
    return found, True


def check_scaling(model: Any, data: Sampled, findings: Findings) -> None:
    """Inputs that nobody scales, or that are scaled twice.

    Args:
        model: The model.
        data: Samples.
        findings: Where findings go.
    """
    if data.x is None or data.x.ndim < 2 or not data.x.size or not model.built:
        return
    values = data.x.astype(np.float32)
    if not np.all(np.isfinite(values)):
        return
    # Rows and matrices are pictures where they are large and whole; columns of a table are not.
    is_picture = data.x.ndim >= 4 or (
        data.x[0].size >= _PIXELS and np.array_equal(values, np.floor(values))
    )  # fmt: skip
    first, known = _before_weights(model)
    if not known:
        return
    low, high = float(data.x.min()), float(data.x.max())
    kinds = [type(layer).__name__ for layer in first]
    scales = any(kind in (*_SCALING, *_NAMING) or not isinstance(layer, layers.Layer)
                 for kind, layer in zip(kinds, first, strict=True))  # fmt: skip
    if is_picture and low >= 0 and 64 < high <= 255.5 and not scales:
        findings.add(
            "unscaled", "inputs lie in 0 to 255, and no layer scales them before the first weights",
            "begin with layers.Rescaling(1 / 255), or scale the inputs",
        )  # fmt: skip
    for layer in first:
        if isinstance(layer, layers.Rescaling) and np.ndim(layer.scale) == 0:
            if 0 < float(layer.scale) <= 1 / 100 and 0 < high <= 1.5 and data.x.dtype.kind == "f":
                findings.add(
                    "scaled-twice", f"inputs reach {high:g}, and Rescaling({float(layer.scale):.4g}) makes "
                    "them smaller once more",
                    "leave out one of both",
                )  # fmt: skip


def check_outputs(model: Any, data: Sampled, findings: Findings) -> None:
    """Whether the outputs of some samples are numbers.

    Args:
        model: The model, whose weights are not changed.
        data: Samples.
        findings: Where findings go.
    """
    assert data.x is not None
    if not model.built or len(data.x) < 2:
        return
    outputs = model(data.x[:8], training=False)
    for output in outputs if isinstance(outputs, (list, tuple)) else [outputs]:
        if not hasattr(output, "shape") or "float" not in str(getattr(output, "dtype", "")):
            continue
        if not bool(np.all(np.isfinite(np.asarray(ops.cast(output, "float32"))))):
            findings.add(
                "outputs-not-finite", "the model gives NaN or infinity before it is trained",
                "look at scaling of inputs, at initial weights, and at divisions and logarithms of layers",
                True,
            )  # fmt: skip
