"""Recurrent layers: what a cell, a mask, a direction and kept states mean."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, ops

STEPS = np.random.default_rng(0).normal(size=(3, 6, 4)).astype("float32")
CELLS = [
    lambda **k: layers.SimpleRNNCell(5, **k),
    lambda **k: layers.LSTMCell(5, **k),
    lambda **k: layers.GRUCell(5, **k),
    lambda **k: layers.GRUCell(5, reset_after=False, **k),
]
each_cell = pytest.mark.parametrize("make", CELLS, ids=["SimpleRNN", "LSTM", "GRU", "GRU before"])


class Own(layers.Layer):
    """A cell of a user."""

    def __init__(self, units=5, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], self.units), name="kernel")
        self.recurrent = self.add_weight(shape=(self.units, self.units), name="recurrent")

    def call(self, inputs, states):
        output = ops.tanh(ops.matmul(inputs, self.kernel) + ops.matmul(states[0], self.recurrent))
        return output, [output]


@each_cell
def test_the_steps_are_calls_of_the_cell(make):
    cell = make()
    layer = layers.RNN(cell, return_sequences=True, return_state=True)
    outputs, *states = layer(STEPS)
    own = cell.get_initial_state(3)
    for step in range(6):
        output, own = cell(STEPS[:, step], own)
        np.testing.assert_allclose(outputs[:, step].numpy(), output.numpy(), atol=1e-6)
    for a, b in zip(states, own, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-6)


@pytest.mark.parametrize("make", [*CELLS, lambda **k: Own(**k), lambda **k: [layers.LSTMCell(3), Own(5)]])
def test_what_a_mask_leaves_out_might_not_be_there(make):
    layer = layers.RNN(make(), return_sequences=True, return_state=True)
    counts = np.arange(6) < np.array([6, 4, 1])[:, None]
    outputs, *states = layer(STEPS, mask=counts)
    for sample, length in enumerate((6, 4, 1)):
        alone, *own = layer(STEPS[sample : sample + 1, :length])
        np.testing.assert_allclose(outputs[sample, :length].numpy(), alone[0].numpy(), atol=1e-6)
        # The output of the last step that counts stays.
        np.testing.assert_array_equal(outputs[sample, length - 1].numpy(), outputs[sample, -1].numpy())
        for a, b in zip(cnnrs.tree.flatten(states), cnnrs.tree.flatten(own), strict=True):
            np.testing.assert_allclose(a[sample].numpy(), b[0].numpy(), atol=1e-6)


@each_cell
def test_backwards_is_forwards_on_the_reversed_sequence(make):
    cell = make()
    forwards = layers.RNN(cell, return_sequences=True)
    backwards = layers.RNN(cell, return_sequences=True, go_backwards=True)
    np.testing.assert_array_equal(backwards(STEPS).numpy(), forwards(STEPS[:, ::-1].copy()).numpy())


@each_cell
def test_states_are_kept_between_batches(make):
    cell = make()
    whole = layers.RNN(cell)(STEPS).numpy()
    layer = layers.RNN(cell, stateful=True)
    layer(STEPS[:, :2])
    np.testing.assert_allclose(layer(STEPS[:, 2:]).numpy(), whole, atol=1e-6)
    layer.reset_state()
    np.testing.assert_allclose(layer(STEPS).numpy(), whole, atol=1e-6)
    with pytest.raises(ValueError, match="batch 3"):
        layer(STEPS[:2])
    # In a model, recorded, too; and they are no weights.
    layer.reset_state()
    x = cnnrs.Input(batch_shape=(3, 3, 4))
    model = cnnrs.Model(x, layer(x))
    model.predict(STEPS[:, :3], verbose=0, batch_size=3)
    np.testing.assert_allclose(model.predict(STEPS[:, 3:], verbose=0, batch_size=3), whole, atol=1e-6)
    assert len(model.weights) == len(cell.weights)


@each_cell
def test_dropout_is_the_same_for_all_steps_and_absent_in_inference(make):
    layer = layers.RNN(make(dropout=0.5, seed=1), return_sequences=True)
    plain = layers.RNN(make(), return_sequences=True)
    ones = np.ones((3, 6, 4), "float32")
    layer(ones), plain(ones)
    plain.set_weights(layer.get_weights())
    np.testing.assert_array_equal(layer(STEPS).numpy(), plain(STEPS).numpy())
    # With a state that changes nothing, equal steps have equal outputs if they are dropped equally.
    weights = layer.get_weights()
    weights[1] = np.zeros_like(weights[1])
    layer.set_weights(weights)
    if layer.cell.state_size == 5 and not isinstance(layer.cell, layers.GRUCell):
        outputs = layer(ones, training=True).numpy()
        np.testing.assert_array_equal(outputs[:, 1:], np.repeat(outputs[:, :1], 5, 1))
    first, second = (layer(STEPS, training=True).numpy() for _ in range(2))
    assert (first != second).any()
    recurrent = layers.RNN(make(recurrent_dropout=0.5, seed=2), return_sequences=True)
    recurrent(STEPS)
    first, second = (recurrent(STEPS, training=True).numpy() for _ in range(2))
    np.testing.assert_array_equal(first[:, 0], second[:, 0])  # the first state is 0
    assert (first != second).any()


@pytest.mark.parametrize("kind", [layers.SimpleRNN, layers.LSTM, layers.GRU])
@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_16_bits_stay_close(kind, dtype):
    layer, narrow = kind(8, return_sequences=True), kind(8, return_sequences=True, dtype=dtype)
    layer(STEPS), narrow(STEPS)
    narrow.set_weights(layer.get_weights())
    output = narrow(STEPS)
    assert output.dtype == dtype.removeprefix("mixed_")
    np.testing.assert_allclose(output.numpy().astype("float32"), layer(STEPS).numpy(), atol=0.03)


def test_a_model_takes_sequences_of_any_length_and_learns():
    model = cnnrs.Sequential([cnnrs.Input((None, 4)), layers.Bidirectional(layers.GRU(3)), layers.Dense(1)])
    assert model.output_shape == (None, 1)
    model.compile("adam", "mse")
    for length in (1, 3, 6):
        assert model.predict(STEPS[:, :length], verbose=0).shape == (3, 1)
    losses = model.fit(STEPS, STEPS[:, 0, :1], epochs=20, verbose=0).history["loss"]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: layers.RNN(layers.Dense(3)), "state_size"),
        (lambda: layers.LSTM(0), "units"),
        (lambda: layers.LSTM(3, use_cudnn=True)(STEPS), "cuDNN"),
        (lambda: layers.GRU(3, unroll=True)(cnnrs.Input((None, 4))), "unroll"),
        (lambda: layers.LSTM(3, stateful=True)(cnnrs.Input((6, 4))), "stateful"),
        (lambda: layers.LSTM(3)(STEPS[:, :0]), "at least one step"),
        (lambda: layers.Bidirectional(3), "layer"),
        (lambda: layers.Bidirectional(layers.LSTM(3), merge_mode="max"), "merge_mode"),
        (
            lambda: layers.Bidirectional(layers.LSTM(3), backward_layer=layers.LSTM(3)),
            "go_backwards",
        ),
        (lambda: layers.ConvLSTM2D(2, 3, strides=2, dilation_rate=2), "dilation_rate"),
        (lambda: layers.TimeDistributed(layers.Dense(2))(STEPS[0]), "at least 3 axes"),
    ],
)
def test_wrong_arguments_are_named(make, words):
    with pytest.raises(ValueError, match=words):
        make()


@pytest.mark.parametrize(
    "inner",
    [
        lambda: layers.Dense(2),
        lambda: layers.BatchNormalization(),
        lambda: layers.LSTM(2),
        lambda: cnnrs.Sequential([cnnrs.Input((5, 4)), layers.Conv1D(3, 2), layers.Flatten()]),
        lambda: cnnrs.Sequential([cnnrs.Input((5, 4)), layers.Lambda(lambda x: x - ops.mean(x))]),
    ],
)
def test_time_distributed_computes_each_step_by_itself(inner):
    x = np.random.default_rng(1).normal(size=(3, 6, 5, 4)).astype("float32")
    layer = layers.TimeDistributed(inner())
    output = layer(x).numpy()
    for step in range(6):
        np.testing.assert_allclose(output[:, step], layer.layer(x[:, step]).numpy(), atol=1e-6)
    symbol = cnnrs.Input((6, 5, 4))
    assert cnnrs.Model(symbol, layer(symbol))(x).shape == output.shape
