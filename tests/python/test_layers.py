"""Every layer through the same checks, and what is particular to one."""

from __future__ import annotations

from typing import Any

import activation_cases
import block_cases
import dropping_cases
import filter_cases
import metric_learning_cases
import network_layer_cases
import normalization_cases
import numpy as np
import pooling_cases
import pytest
import sequence_cases
import spatial_cases
from layer_checks import host, run_layer_test, sample

import cnnrs
from cnnrs import layers, ops

IMAGE = (4, 8, 6, 4)
NO_BIAS = {"use_bias": False}

CASES: list[tuple[type, dict[str, Any], Any, tuple[int, ...], list[tuple[int, ...]], dict[str, Any]]] = [
    (layers.Conv2D, {"filters": 5, "kernel_size": 3}, IMAGE, (4, 6, 4, 5), [(3, 3, 4, 5), (5,)], {}),
    (
        layers.Conv2D,
        {
            "filters": 6,
            "kernel_size": (3, 2),
            "strides": (2, 1),
            "padding": "same",
            "groups": 2,
            "use_bias": False,
        },
        IMAGE,
        (4, 4, 6, 6),
        [(3, 2, 2, 6)],
        {},
    ),
    (
        layers.Conv2D,
        {"filters": 3, "kernel_size": 3, "dilation_rate": 2, "activation": "relu"},
        IMAGE,
        (4, 4, 2, 3),
        [(3, 3, 4, 3), (3,)],
        {},
    ),
    (
        layers.Conv2D,
        {"filters": 3, "kernel_size": 3, "data_format": "channels_first"},
        IMAGE,
        (4, 3, 4, 2),
        [(3, 3, 8, 3), (3,)],
        {},
    ),
    (layers.DepthwiseConv2D, {"kernel_size": 3}, IMAGE, (4, 6, 4, 4), [(3, 3, 4, 1), (4,)], {}),
    (
        layers.DepthwiseConv2D,
        {"kernel_size": 3, "strides": 2, "padding": "same", "depth_multiplier": 2},
        IMAGE,
        (4, 4, 3, 8),
        [(3, 3, 4, 2), (8,)],
        {},
    ),
    (
        layers.SeparableConv2D,
        {"filters": 5, "kernel_size": 3},
        IMAGE,
        (4, 6, 4, 5),
        [(3, 3, 4, 1), (1, 1, 4, 5), (5,)],
        {},
    ),
    (
        layers.Conv2DTranspose,
        {"filters": 3, "kernel_size": 3, "strides": 2, "padding": "same"},
        IMAGE,
        (4, 16, 12, 3),
        [(3, 3, 3, 4), (3,)],
        {},
    ),
    (layers.MaxPooling2D, {}, IMAGE, (4, 4, 3, 4), [], {}),
    (layers.MaxPooling2D, {"pool_size": 3, "strides": 2, "padding": "same"}, IMAGE, (4, 4, 3, 4), [], {}),
    (layers.AveragePooling2D, {"pool_size": 2}, IMAGE, (4, 4, 3, 4), [], {}),
    (layers.AveragePooling2D, {"pool_size": 3, "padding": "same"}, IMAGE, (4, 3, 2, 4), [], {}),
    (layers.GlobalMaxPooling2D, {}, IMAGE, (4, 4), [], {}),
    (layers.GlobalAveragePooling2D, {"keepdims": True}, IMAGE, (4, 1, 1, 4), [], {}),
    (layers.GlobalAveragePooling2D, {"data_format": "channels_first"}, IMAGE, (4, 8), [], {}),
    (layers.Dense, {"units": 7}, (4, 5), (4, 7), [(5, 7), (7,)], {}),
    (layers.Dense, {"units": 7, "activation": "tanh"}, (4, 3, 5), (4, 3, 7), [(5, 7), (7,)], {}),
    (layers.Activation, {"activation": "elu"}, IMAGE, IMAGE, [], {}),
    (layers.Identity, {}, IMAGE, IMAGE, [], {}),
    (layers.ReLU, {"max_value": 1.0, "negative_slope": 0.25, "threshold": 0.5}, IMAGE, IMAGE, [], {}),
    (layers.LeakyReLU, {"negative_slope": 0.1}, IMAGE, IMAGE, [], {}),
    (layers.ELU, {}, IMAGE, IMAGE, [], {}),
    (layers.PReLU, {"shared_axes": [1, 2]}, IMAGE, IMAGE, [(1, 1, 4)], {}),
    (layers.Softmax, {}, (4, 5), (4, 5), [], {}),
    (layers.Softmax, {"axis": 1}, IMAGE, IMAGE, [], {}),
    (layers.Add, {}, [IMAGE, IMAGE, IMAGE], IMAGE, [], {}),
    (layers.Subtract, {}, [IMAGE, IMAGE], IMAGE, [], {}),
    (layers.Multiply, {}, [IMAGE, IMAGE], IMAGE, [], {}),
    (layers.Average, {}, [IMAGE, IMAGE], IMAGE, [], {}),
    (layers.Maximum, {}, [IMAGE, IMAGE], IMAGE, [], {}),
    (layers.Minimum, {}, [IMAGE, IMAGE], IMAGE, [], {}),
    (layers.Concatenate, {}, [IMAGE, (4, 8, 6, 3)], (4, 8, 6, 7), [], {}),
    (layers.Concatenate, {"axis": 1}, [IMAGE, (4, 2, 6, 4)], (4, 10, 6, 4), [], {}),
    (layers.Dot, {"axes": 2, "normalize": True}, [(4, 3, 5), (4, 2, 5)], (4, 3, 2), [], {}),
    (layers.BatchNormalization, {}, IMAGE, IMAGE, [(4,)] * 4, {"frozen": 2}),
    (layers.BatchNormalization, {"axis": 1, "scale": False}, IMAGE, IMAGE, [(8,)] * 3, {"frozen": 2}),
    (layers.BatchNormalization, {}, (6, 3), (6, 3), [(3,)] * 4, {"frozen": 2}),
    (layers.LayerNormalization, {}, IMAGE, IMAGE, [(4,), (4,)], {}),
    (layers.LayerNormalization, {"axis": [1, 2, 3], "center": False}, IMAGE, IMAGE, [(8, 6, 4)], {}),
    (layers.GroupNormalization, {"groups": 2}, IMAGE, IMAGE, [(4,), (4,)], {}),
    (layers.UnitNormalization, {}, (4, 5), (4, 5), [], {}),
    (layers.Dropout, {"rate": 0.4, "seed": 1}, IMAGE, IMAGE, [], {"random": True}),
    (layers.SpatialDropout2D, {"rate": 0.4, "seed": 1}, IMAGE, IMAGE, [], {"random": True}),
    (layers.GaussianNoise, {"stddev": 0.4, "seed": 1}, IMAGE, IMAGE, [], {"random": True}),
    (layers.GaussianDropout, {"rate": 0.4, "seed": 1}, IMAGE, IMAGE, [], {"random": True}),
    (layers.ActivityRegularization, {"l1": 0.1, "l2": 0.2}, IMAGE, IMAGE, [], {}),
    (layers.Flatten, {}, IMAGE, (4, 192), [], {}),
    (layers.Reshape, {"target_shape": (3, -1)}, IMAGE, (4, 3, 64), [], {}),
    (layers.Permute, {"dims": (3, 1, 2)}, IMAGE, (4, 4, 8, 6), [], {}),
    (layers.RepeatVector, {"n": 3}, (4, 5), (4, 3, 5), [], {}),
    (layers.ZeroPadding2D, {"padding": ((1, 0), (2, 3))}, IMAGE, (4, 9, 11, 4), [], {}),
    (layers.Cropping2D, {"cropping": ((1, 0), (2, 3))}, IMAGE, (4, 7, 1, 4), [], {}),
    (layers.UpSampling2D, {"size": (2, 3)}, IMAGE, (4, 16, 18, 4), [], {}),
    (layers.UpSampling2D, {"interpolation": "bilinear"}, IMAGE, (4, 16, 12, 4), [], {}),
    (layers.Rescaling, {"scale": 0.5, "offset": -1.0}, IMAGE, IMAGE, [], {}),
    (layers.Resizing, {"height": 5, "width": 9}, IMAGE, (4, 5, 9, 4), [], {}),
    *network_layer_cases.CASES,
    *sequence_cases.CASES,
    *spatial_cases.CASES,
    *block_cases.CASES,
    *dropping_cases.CASES,
    *filter_cases.CASES,
    *metric_learning_cases.CASES,
    *activation_cases.CASES,
    *normalization_cases.CASES,
    *pooling_cases.CASES,
    (layers.Normalization, {"mean": 1.0, "variance": 4.0}, IMAGE, IMAGE, [], {}),
    (layers.Normalization, {"mean": [1.0] * 4, "variance": [4.0] * 4, "invert": True}, IMAGE, IMAGE, [], {}),
]


# Gradients of many weights, asked for one by one, take a plan each.
@pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda c: "-".join([c[0].__name__, *map(str, c[1].values())]))
def test_layer(case):
    kind, arguments, input_shapes, output_shape, weights, more = case
    run_layer_test(kind, arguments, input_shapes, output_shape, weights, **more)


def test_every_layer_is_tested():
    tested = {case[0] for case in CASES} | {layers.Layer, layers.InputLayer, layers.Lambda}
    tested |= sequence_cases.ELSEWHERE
    # test_preprocessing.py, test_lookup.py and test_augmentation.py have checks of their own.
    tested |= {layers.CategoryEncoding, layers.Pipeline}
    # Its output is a list: test_blocks.py has checks of it.
    tested |= {layers.FPN}
    tested |= {layers.Discretization, layers.IntegerLookup, layers.StringLookup, layers.TextVectorization}
    tested |= {layers.HashedCrossing, layers.Hashing}
    tested |= {getattr(layers, name) for name in layers.augmentation.__all__ if hasattr(layers, name)}
    public = {getattr(layers, name) for name in layers.__all__}
    assert {kind for kind in public if isinstance(kind, type) and issubclass(kind, layers.Layer)} == tested


def test_same_padding_puts_the_odd_row_at_the_end():
    kernel = np.ones((3, 3, 1, 1), np.float32)
    layer = layers.Conv2D(1, 3, strides=2, padding="same", use_bias=False)
    layer.build((None, 4, 4, 1))
    layer.set_weights([kernel])
    np.testing.assert_array_equal(host(layer(np.ones((1, 4, 4, 1))))[0, :, :, 0], [[9, 6], [6, 4]])


def test_average_pooling_leaves_padding_out():
    output = layers.AveragePooling2D(2, 2, "same")(np.ones((1, 3, 3, 1)))
    np.testing.assert_array_equal(host(output), np.ones((1, 2, 2, 1)))


def test_batch_norm_follows_the_biased_statistics():
    x = sample((8, 3, 3, 2)) * 3 + 1
    layer = layers.BatchNormalization(momentum=0.9, epsilon=1e-5)
    y = host(layer(x, training=True))
    mean, variance = x.mean((0, 1, 2)), x.var((0, 1, 2))
    np.testing.assert_allclose(y, (x - mean) / np.sqrt(variance + 1e-5), atol=1e-5)
    np.testing.assert_allclose(host(layer.moving_mean), 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(host(layer.moving_variance), 0.9 + 0.1 * variance, rtol=1e-5)


def test_frozen_batch_norm_runs_in_inference_mode():
    layer = layers.BatchNormalization()
    x = sample((4, 3)) + 5
    before = host(layer(x))
    layer.trainable = False
    np.testing.assert_array_equal(host(layer(x, training=True)), before)
    assert layer.trainable_weights == [] and len(layer.non_trainable_weights) == 4
    layer.trainable = True
    assert len(layer.trainable_weights) == 2


def test_batch_norm_used_twice_in_a_step_follows_both():
    layer = layers.BatchNormalization(momentum=0.5)
    layer(np.zeros((2, 1)))
    layer(np.full((2, 1), 4.0), training=True)
    layer(np.full((2, 1), 8.0), training=True)
    np.testing.assert_allclose(host(layer.moving_mean), [0.5 * (0.5 * 4) + 0.5 * 8])


def test_dropout_keeps_the_mean_and_draws_anew():
    layer = layers.Dropout(0.25, seed=3)
    x = np.ones((200, 200), np.float32)
    first, second = host(layer(x, training=True)), host(layer(x, training=True))
    assert abs(first.mean() - 1) < 0.02
    assert abs((first == 0).mean() - 0.25) < 0.02
    assert (first != second).any()
    np.testing.assert_array_equal(host(layer(x)), x)


def test_equal_seeds_give_equal_masks_and_others_do_not():
    x = np.ones((50, 50), np.float32)
    masks = [host(layers.Dropout(0.5, seed=seed)(x, training=True)) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(masks[0], masks[1])
    assert (masks[0] != masks[2]).any()


def test_spatial_dropout_drops_channels():
    y = host(layers.SpatialDropout2D(0.5, seed=2)(np.ones((8, 4, 4, 16)), training=True))
    assert ((y == y[:, :1, :1, :]).all()) and (y == 0).any() and (y == 2).any()


def test_activity_regularization_adds_a_loss():
    layer = layers.ActivityRegularization(l2=0.5)
    layer(np.full((2, 3), 2.0))
    (loss,) = layer.losses
    assert float(loss) == pytest.approx(0.5 * 24 / 2)


def test_regularized_weights_add_losses_while_they_are_trainable():
    layer = layers.Dense(2, kernel_regularizer=cnnrs.regularizers.L2(0.1), kernel_initializer="ones")
    layer(np.zeros((1, 3)))
    assert [float(loss) for loss in layer.losses] == pytest.approx([0.6])
    layer.trainable = False
    assert layer.losses == []


def test_lambda():
    layer = layers.Lambda(lambda x, factor: x * factor, arguments={"factor": 3.0})
    np.testing.assert_array_equal(host(layer(np.ones((2, 2)))), np.full((2, 2), 3.0))


def test_automatic_names_count():
    cnnrs.utils.clear_session()
    assert [layers.Conv2D(1, 1).name for _ in range(3)] == ["conv2d", "conv2d_1", "conv2d_2"]
    assert layers.ReLU().name == "re_lu" and layers.MaxPooling2D().name == "max_pooling2d"


def test_weights_have_paths():
    block = layers.Dense(2, name="head")
    block.build((None, 3))
    assert [w.path for w in block.weights] == ["head/kernel", "head/bias"]


class Block(layers.Layer):
    """A layer of layers, one of them in a list."""

    def __init__(self, units=3, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.stack = [layers.Dense(units), layers.Dense(units)]
        self.norm = layers.LayerNormalization()

    def build(self, input_shape):
        self.scale = self.add_weight(shape=(self.units,), initializer="ones", name="scale")

    def call(self, inputs, training=None):
        for layer in self.stack:
            inputs = layer(inputs)
        self.add_loss(ops.mean(inputs))
        return self.norm(inputs) * self.scale


def test_a_layer_owns_what_its_attributes_hold():
    block = Block()
    block(np.zeros((2, 4)))
    assert len(block.weights) == 7 and len(block.losses) == 1
    block(np.zeros((2, 4)))
    assert len(block.losses) == 1
    block.stack.append(layers.Dense(1))
    assert block.stack[-1] in block._sublayers()
    block.trainable = False
    assert block.trainable_weights == []


def test_added_losses_with_axes_count_with_their_sum():
    class OfSamples(layers.Layer):
        def call(self, inputs):
            self.add_loss(inputs)
            return inputs

    inputs = cnnrs.Input((3,))
    model = cnnrs.Model(inputs, OfSamples()(inputs))
    model.compile("sgd", "mse")
    # As Keras: 12 ones, and a mean squared error of 1.
    loss = model.fit(np.ones((4, 3)), np.zeros((4, 3)), verbose=0).history["loss"]
    assert loss == [13.0]


def test_a_layer_without_get_config_keeps_its_arguments():
    assert Block.from_config(Block(units=5, name="b").get_config()).units == 5


def test_training_reaches_the_layers_inside():
    class Outer(layers.Layer):
        def __init__(self):
            super().__init__()
            self.dropout = layers.Dropout(0.5, seed=1)

        def call(self, inputs):
            return self.dropout(inputs)

    outer = Outer()
    assert (host(outer(np.ones((4, 8)), training=True)) == 0).any()
    np.testing.assert_array_equal(host(outer(np.ones((4, 8)))), np.ones((4, 8)))


def test_nested_lists_of_numbers_are_an_input():
    layer = layers.Dense(1, kernel_initializer="ones")
    assert layer([[1.0, 2.0], [3.0, 4.0]]).tolist() == [[3.0], [7.0]]


def test_automatic_names_of_weights_start_afresh_with_a_session():
    class Scale(layers.Layer):
        def build(self, input_shape):
            self.scale = self.add_weight(shape=(input_shape[-1],))

    names = []
    for _ in range(2):
        cnnrs.utils.clear_session()
        for layer in (Scale(), Scale()):
            layer.build((None, 2))
            names.append(layer.scale.name)
    assert names == ["variable", "variable_1"] * 2


@pytest.mark.parametrize("axis", [-1, [-1], [1, -1], 2])
def test_layer_normalization_keeps_its_axis(axis):
    layer = layers.LayerNormalization(axis)
    assert layer.get_config()["axis"] == axis
    layer.build((None, 3, 4))
    assert layer.get_config()["axis"] == (axis if isinstance(axis, list) else [axis])
    again = layers.LayerNormalization.from_config(layer.get_config())
    x = np.random.default_rng(0).normal(size=(2, 3, 4))
    np.testing.assert_array_equal(layer(x), again(x))


def test_windows_may_be_wider_than_what_an_unknown_extent_is_first_taken_for():
    sequences = cnnrs.Input((None, 3))
    assert layers.MaxPool1D(1024)(sequences).shape == (None, None, 3)
    assert layers.Conv1D(4, 700)(sequences).shape == (None, None, 4)
    assert layers.AveragePooling2D((1500, 2))(cnnrs.Input((None, None, 3))).shape == (None, None, None, 3)
    with pytest.raises(ValueError, match=r"does not fit input \(1, None, 3\)"):
        layers.MaxPool1D(1 << 20)(sequences)
