"""Arrays that a recorded function reads where they lie: nothing that it leaves behind is theirs."""

from __future__ import annotations

import sys

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, ops

# More bytes than are copied at once.
SHAPE = (4, 20, 24, 3)


def array(dtype="float32", at=1):
    """Random numbers, `at` elements behind where numpy's memory begins: no vector of them is aligned then."""
    count = int(np.prod(SHAPE))
    values = np.random.default_rng(0).integers(0, 200, count + at).astype(dtype)
    return values[at:].reshape(SHAPE)


def copies(x):
    """The same call with a tensor, which has memory of its own."""
    return ops.convert_to_tensor(x)


@pytest.mark.parametrize("at", [0, 1, 3])
@pytest.mark.parametrize(
    "layer",
    [
        lambda: layers.Conv2D(5, 3, padding="same", activation="relu"),
        lambda: layers.Conv2D(20, 5, strides=2),
        lambda: layers.DepthwiseConv2D(3),
        lambda: layers.MaxPooling2D(),
        lambda: layers.Rescaling(1 / 255, -0.5),
        lambda: layers.Permute((3, 1, 2)),
        lambda: layers.GlobalAveragePooling2D(),
        lambda: layers.BatchNormalization(),
        lambda: layers.LayerNormalization(),
        lambda: cnnrs.Sequential([layers.Flatten(), layers.Dense(7)]),
    ],
)
def test_results_have_the_same_bits_wherever_an_array_begins(layer, at):
    cnnrs.utils.set_random_seed(0)
    x = array(at=at)
    model = cnnrs.Sequential([cnnrs.Input(SHAPE[1:]), layer()])
    expected = cnnrs.function(lambda x: model(x))(copies(x)).numpy()
    np.testing.assert_array_equal(model.predict_on_batch(x), expected)
    np.testing.assert_array_equal(model.predict_on_batch(x), expected)


@pytest.mark.parametrize("dtype", ["float32", "int32", "uint8"])
def test_what_a_function_gives_is_no_part_of_the_array(dtype):
    f = cnnrs.function(lambda x: (x, ops.reshape(x, (-1,)), ops.stop_gradient(x), x[1:3]))
    x = array(dtype)
    outputs = f(x)
    expected = x.copy()
    x[:] = 0
    for output, value in zip(outputs, [expected, expected.ravel(), expected, expected[1:3]], strict=True):
        np.testing.assert_array_equal(output.numpy(), value)


def test_what_a_function_assigns_is_no_part_of_the_array():
    v = cnnrs.Variable(np.zeros(SHAPE, "float32"))
    f = cnnrs.function(lambda x: v.assign(x))
    x = array()
    f(x)
    f(x)
    expected = x.copy()
    x[:] = 0
    np.testing.assert_array_equal(v.numpy(), expected)


def test_arrays_are_given_back():
    model = cnnrs.Sequential([cnnrs.Input(SHAPE[1:]), layers.Conv2D(2, 3)])
    x = array()
    model.predict_on_batch(x)
    before = sys.getrefcount(x)
    for _ in range(5):
        model.predict_on_batch(x)
    assert sys.getrefcount(x) == before
    x.resize(SHAPE, refcheck=False)


def test_arrays_that_must_be_converted_are_copied():
    model = cnnrs.Sequential([cnnrs.Input(SHAPE[1:]), layers.Conv2D(2, 3)])
    x = array()
    expected = model.predict_on_batch(x)
    readonly = x.copy()
    readonly.flags.writeable = False
    for same in [
        x.astype("float64"),
        np.asfortranarray(x),
        x[::-1][::-1],
        x.astype(">f4"),
        readonly,
        x.tolist(),
    ]:
        np.testing.assert_array_equal(model.predict_on_batch(same), expected)


def test_a_step_that_trains_reads_arrays_too():
    def trained(wrap):
        cnnrs.utils.set_random_seed(3)
        model = cnnrs.Sequential(
            [cnnrs.Input(SHAPE[1:]), layers.Conv2D(2, 3), layers.Flatten(), layers.Dense(3)]
        )
        model.compile("adam", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True))
        x, y = array() / np.float32(100), np.arange(4) % 3
        losses = [model.train_on_batch(wrap(x), y) for _ in range(3)]
        return losses, model.get_weights()

    (first, weights), (second, others) = trained(lambda x: x), trained(copies)
    assert first == second
    for a, b in zip(weights, others, strict=True):
        np.testing.assert_array_equal(a, b)
