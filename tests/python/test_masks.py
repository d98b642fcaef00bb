"""Masks: how layers make them, hand them on and lose them, and what means leave out."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
import test_layers

import cnnrs
from cnnrs import layers, losses, metrics, ops
from cnnrs.base.late import names_of

MASK = np.array([[1, 1, 1, 0, 0], [0, 1, 1, 1, 0], [1, 0, 0, 0, 1], [1, 1, 1, 1, 1]], bool)
STEPS = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")

# The layers of Keras whose `supports_masking` is False.
WITHOUT = {
    name
    for name in dir(layers)
    if name.startswith(("Conv", "DepthwiseConv", "SeparableConv", "MaxPool", "AveragePool", "Adaptive"))
    or name.startswith(("GlobalMax", "Cropping", "ZeroPadding", "UpSampling"))
} - {"Concatenate", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"}
WITHOUT |= {"GlobalAveragePooling2D", "GlobalAveragePooling3D", "Flatten", "Reshape", "Permute"}
WITHOUT |= {"RepeatVector", "Resizing", "EinsumDense", "RMSNormalization", "SpectralNormalization"}

ROWS = {
    kind: arguments
    for kind, arguments, *_ in test_layers.CASES
    # Keras has no say in layers that it does not have.
    if kind.__module__.split(".")[2] != "augmentation" and kind.__name__ not in names_of(layers._LATE)
}
# Layers that give each step of a sequence from that step alone.
STEPWISE = [
    (layers.Dense, {"units": 2}),
    (layers.Activation, {"activation": "relu"}),
    (layers.Identity, {}),
    (layers.ReLU, {}),
    (layers.LeakyReLU, {}),
    (layers.PReLU, {}),
    (layers.ELU, {}),
    (layers.LayerNormalization, {}),
    (layers.UnitNormalization, {}),
    (layers.Dropout, {"rate": 0.5}),
    (layers.AlphaDropout, {"rate": 0.5}),
    (layers.SpatialDropout1D, {"rate": 0.5}),
    (layers.GaussianNoise, {"stddev": 0.5}),
    (layers.ActivityRegularization, {"l2": 0.1}),
    (layers.LSTM, {"units": 2, "return_sequences": True}),
    (layers.Bidirectional, {"layer": layers.GRU(2, return_sequences=True)}),
    (layers.TimeDistributed, {"layer": layers.Dense(2)}),
    (layers.Rescaling, {"scale": 2.0}),
]


MARKED = STEPS * MASK[..., None]


class Marks(layers.Layer):
    """Marks the steps of zeros, as Masking does."""

    def call(self, inputs):
        return inputs * 1.0

    def compute_mask(self, inputs, mask=None):
        return ops.any(ops.not_equal(inputs, 0.0), axis=-1)


def marked(x: Any, mask: Any = MASK) -> Any:
    """A tensor with a mask."""
    x = ops.convert_to_tensor(x)
    x._keras_mask = ops.convert_to_tensor(mask)
    return x


def mask_of(x: Any) -> Any:
    mask = getattr(x, "_keras_mask", None)
    return None if mask is None else np.asarray(mask)


@pytest.mark.parametrize("kind", ROWS, ids=lambda kind: kind.__name__)
def test_layers_support_masks_as_in_keras(kind):
    assert kind(**ROWS[kind]).supports_masking == (kind.__name__ not in WITHOUT)


@pytest.mark.parametrize(("kind", "arguments"), STEPWISE, ids=lambda v: getattr(v, "__name__", ""))
@pytest.mark.parametrize("dtype", ["float32", "mixed_bfloat16"])
def test_a_mask_passes_on(kind, arguments, dtype):
    if "layer" in arguments:
        arguments = {"layer": type(arguments["layer"]).from_config(arguments["layer"].get_config())}
    layer = kind(**arguments, dtype=dtype)
    marks = Marks(dtype=dtype)
    for training in (False, True):
        np.testing.assert_array_equal(mask_of(layer(marks(MARKED), training=training)), MASK)
    x = cnnrs.Input((5, 3))
    inner = cnnrs.Sequential([cnnrs.Input((5, 3)), layer])
    for model in (
        cnnrs.Model(x, layer(marks(x))),
        cnnrs.Sequential([marks, layer]),
        cnnrs.Model(x, inner(marks(x))),
    ):
        np.testing.assert_array_equal(mask_of(model(MARKED)), MASK)
    recorded = cnnrs.function(lambda a: layer(marks(a))._keras_mask)
    np.testing.assert_array_equal(np.asarray(recorded(MARKED)), MASK)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (layers.Flatten, {}),
        (layers.Conv1D, {"filters": 2, "kernel_size": 2}),
        (layers.Reshape, {"target_shape": (15,)}),
    ],
)
def test_a_layer_without_masks_says_that_it_loses_one(kind, arguments):
    with pytest.warns(UserWarning, match="does not support masking"):
        assert mask_of(kind(**arguments)(marked(STEPS))) is None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        kind(**arguments)(STEPS)


def test_a_call_is_given_the_masks_of_its_arguments():
    class One(layers.Layer):
        _supports_masking = True

        def call(self, inputs, mask=None):
            self.seen = mask
            return inputs

    class Two(layers.Layer):
        _supports_masking = True

        def call(self, query, value, value_mask=None, query_mask=None):
            self.seen = query_mask, value_mask
            return query

    one, two, steps = One(), Two(), marked(STEPS)
    one(STEPS)
    assert one.seen is None
    one(steps)
    np.testing.assert_array_equal(np.asarray(one.seen), MASK)
    own = np.zeros((4, 5), bool)
    one(steps, mask=own)
    np.testing.assert_array_equal(np.asarray(one.seen), own)
    two(steps, STEPS)
    assert two.seen[1] is None
    np.testing.assert_array_equal(np.asarray(two.seen[0]), MASK)
    two(STEPS, steps)
    assert two.seen[0] is None
    np.testing.assert_array_equal(np.asarray(two.seen[1]), MASK)


def test_a_model_takes_masks_and_leaves_the_tensors_of_the_caller_alone():
    x = cnnrs.Input((5, 3))
    layer = layers.GlobalAveragePooling1D()
    for model in (cnnrs.Model(x, layer(x)), cnnrs.Sequential([layer])):
        tensor = ops.convert_to_tensor(STEPS)
        output = model(tensor, mask=MASK)
        expected = (STEPS * MASK[..., None]).sum(1) / MASK.sum(1, keepdims=True)
        np.testing.assert_allclose(output.numpy(), expected, rtol=1e-5)
        assert mask_of(tensor) is None


LOSSES = [
    losses.MeanSquaredError,
    losses.MeanAbsoluteError,
    losses.MeanAbsolutePercentageError,
    losses.MeanSquaredLogarithmicError,
    losses.LogCosh,
    losses.Huber,
    losses.Hinge,
    losses.SquaredHinge,
    losses.Poisson,
    losses.KLDivergence,
    losses.CosineSimilarity,
    losses.BinaryCrossentropy,
    losses.CategoricalCrossentropy,
]


@pytest.mark.parametrize("kind", LOSSES, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("weighted", [False, True])
def test_a_loss_is_that_of_the_steps_that_count(kind, weighted):
    draw = np.random.default_rng(1)
    target, output = (draw.dirichlet(np.ones(3), (4, 5)).astype("float32") for _ in range(2))
    weight = draw.uniform(0.5, 2.0, (4, 5)).astype("float32") if weighted else None
    steps = marked(output)
    values = kind(reduction="none")(target, output).numpy()[MASK] * (weight[MASK] if weighted else 1.0)
    np.testing.assert_allclose(float(kind()(target, steps, weight)), values.mean(), rtol=1e-5)
    np.testing.assert_allclose(float(kind(reduction="sum")(target, steps, weight)), values.sum(), rtol=1e-5)


@pytest.mark.parametrize(
    "kind", [metrics.MeanSquaredError, metrics.BinaryAccuracy, metrics.CategoricalAccuracy]
)
def test_a_metric_is_a_mean_over_the_steps_that_count(kind):
    draw = np.random.default_rng(2)
    target = draw.integers(0, 2, (4, 5, 3)).astype("float32")
    output = draw.uniform(size=(4, 5, 3)).astype("float32")
    metric, alone = kind(), kind()
    metric.update_state(target, marked(output))
    # As in Keras, a sample counts as much as the part of its steps that count.
    alone.update_state(target, output, sample_weight=MASK.astype("float32"))
    np.testing.assert_allclose(float(metric.result()), float(alone.result()), rtol=1e-6)


def test_a_batch_in_which_nothing_counts_has_a_loss_of_0():
    assert float(losses.MeanSquaredError()(STEPS, marked(STEPS + 1.0, np.zeros((4, 5), bool)))) == 0.0


@pytest.mark.parametrize(
    ("kind", "function", "masks"),
    [
        (layers.Add, np.add, np.logical_or),
        (layers.Subtract, np.subtract, np.logical_or),
        (layers.Average, lambda a, b: (a + b) / 2, np.logical_or),
    ],
)
def test_merging_keeps_steps_that_count_in_any_input(kind, function, masks):
    other = ~MASK
    a, b = marked(STEPS), marked(STEPS[::-1].copy(), other)
    merged = kind()([a, b])
    np.testing.assert_allclose(merged.numpy(), function(STEPS, STEPS[::-1]), rtol=1e-6)
    np.testing.assert_array_equal(mask_of(merged), masks(MASK, other))
    assert mask_of(kind()([a, STEPS])) is None


@pytest.mark.parametrize(
    ("kind", "neutral"), [(layers.Multiply, 1.0), (layers.Maximum, None), (layers.Minimum, None)]
)
def test_merging_leaves_out_what_does_not_count(kind, neutral):
    other = MASK[::-1].copy()
    a, b = marked(STEPS), marked(STEPS[::-1].copy(), other)
    merged = kind()([a, b]).numpy()
    left, right = MASK[..., None], other[..., None]
    both = kind()([STEPS, STEPS[::-1].copy()]).numpy()
    only = np.where(left, STEPS, STEPS[::-1])
    expected = np.where(left & right, both, only)
    counts = MASK | other
    np.testing.assert_allclose(merged[counts], expected[counts], rtol=1e-6)
    if kind is layers.Multiply:
        assert not merged[~counts].any()


def test_concatenate_joins_masks():
    a, b = marked(STEPS), marked(STEPS, ~MASK)
    np.testing.assert_array_equal(
        mask_of(layers.Concatenate(axis=1)([a, b])), np.concatenate([MASK, ~MASK], 1)
    )
    np.testing.assert_array_equal(mask_of(layers.Concatenate()([a, b])), MASK | ~MASK)
    assert mask_of(layers.Concatenate()([STEPS, STEPS])) is None


def test_an_embedding_marks_zeros_and_gives_rows():
    layer = layers.Embedding(7, 3, mask_zero=True)
    tokens = np.array([[1, 0, 6], [3, 3, 0]])
    output = layer(tokens)
    (table,) = layer.get_weights()
    np.testing.assert_array_equal(output.numpy(), table[tokens])
    np.testing.assert_array_equal(mask_of(output), tokens != 0)
    assert mask_of(layers.Embedding(7, 3)(tokens)) is None
    # Only rows that were looked up have a gradient.
    with cnnrs.GradientTape() as tape:
        loss = ops.sum(ops.square(layer(tokens)))
    gradient = tape.gradient(loss, layer.embeddings).numpy()
    counts = np.bincount(tokens.ravel(), minlength=7)[:, None]
    np.testing.assert_allclose(gradient, 2 * counts * table, rtol=1e-6)
    start = np.arange(21.0).reshape(7, 3)
    np.testing.assert_array_equal(layers.Embedding(7, 3, weights=start).get_weights()[0], start)
