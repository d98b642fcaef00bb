"""Normalisations against slow forms in float64, written from their papers' formulas, and what is folded."""

from __future__ import annotations

import numpy as np
import pytest
from layer_checks import host

import cnnrs
from cnnrs import layers

# One line asks for the values of many layers.
pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")


def images(shape=(4, 6, 5, 3), seed=0):
    return np.random.default_rng(seed).normal(2.0, 3.0, size=shape).astype(np.float32)


def with_drawn_weights(layer, x, seed=1):
    layer(x)
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.uniform(0.5, 1.5, size=w.shape) for w in layer.weights])
    return {w.name: host(w).astype(np.float64) for w in layer.weights}


def test_instance_normalization():
    x = images()
    layer = layers.InstanceNormalization(epsilon=1e-5)
    w, d = with_drawn_weights(layer, x), x.astype(np.float64)
    expected = (d - d.mean((1, 2), keepdims=True)) / np.sqrt(d.var((1, 2), keepdims=True) + 1e-5)
    np.testing.assert_allclose(layer(x), expected * w["gamma"] + w["beta"], atol=1e-5)
    np.testing.assert_array_equal(layer(x, training=True), layer(x))
    # Which is group normalisation with a group for each channel.
    groups = layers.GroupNormalization(-1, epsilon=1e-5)
    groups(x)
    groups.set_weights(layer.get_weights())
    np.testing.assert_allclose(layer(x), groups(x), atol=1e-5)


def test_filter_response_normalization_and_its_threshold():
    x = images()
    layer = layers.FilterResponseNormalization(learned_epsilon=True)
    w, d = with_drawn_weights(layer, x), x.astype(np.float64)
    assert host(layers.FilterResponseNormalization(learned_epsilon=True, epsilon=1e-4)(x)).shape == x.shape
    square = (d**2).mean((1, 2), keepdims=True)
    expected = w["gamma"] * d / np.sqrt(square + np.abs(w["epsilon"])) + w["beta"]
    np.testing.assert_allclose(layer(x), expected, atol=1e-5)
    for affine in (False, True):
        threshold = layers.TLU(affine=affine)
        w = with_drawn_weights(threshold, x)
        np.testing.assert_allclose(threshold(x), np.maximum(d, w.get("alpha", 0) * d + w["tau"]), atol=1e-5)


def softmax(v):
    return np.exp(v) / np.exp(v).sum()


@pytest.mark.parametrize("training", [False, True])
def test_switchable_normalization(training):
    x = images()
    layer = layers.SwitchableNormalization(momentum=0.75)
    w, d = with_drawn_weights(layer, x), x.astype(np.float64)
    batch = [d.mean((0, 1, 2)), d.var((0, 1, 2))] if training else [w["moving_mean"], w["moving_variance"]]
    means = [d.mean((1, 2), keepdims=True), d.mean((1, 2, 3), keepdims=True), batch[0]]
    variances = [d.var((1, 2), keepdims=True), d.var((1, 2, 3), keepdims=True), batch[1]]
    mean = sum(s * v for s, v in zip(softmax(w["mean_weight"]), means, strict=True))
    variance = sum(s * v for s, v in zip(softmax(w["variance_weight"]), variances, strict=True))
    expected = w["gamma"] * (d - mean) / np.sqrt(variance + 1e-5) + w["beta"]
    np.testing.assert_allclose(layer(x, training=training), expected, atol=1e-5)
    if training:
        np.testing.assert_allclose(layer.moving_mean, 0.75 * w["moving_mean"] + 0.25 * batch[0], rtol=1e-5)
        np.testing.assert_allclose(
            layer.moving_variance, 0.75 * w["moving_variance"] + 0.25 * batch[1], rtol=1e-5
        )


def test_switchable_normalization_is_each_of_what_it_mixes():
    x = images()
    alone = {
        "instance": layers.InstanceNormalization(epsilon=1e-5),
        "layer": layers.LayerNormalization(axis=[1, 2, 3], epsilon=1e-5),
        "batch": layers.BatchNormalization(epsilon=1e-5),
    }
    for kind, other in alone.items():
        layer = layers.SwitchableNormalization(using=kind)
        np.testing.assert_allclose(layer(x, training=True), other(x, training=True), atol=1e-5)
        assert layer.importance() == {"mean": {kind: 1.0}, "variance": {kind: 1.0}}
    mixture = layers.SwitchableNormalization()
    mixture.build(x.shape)
    mixture.set_weights([*mixture.get_weights()[:2], [30.0, 0, 0], [0, 30.0, 0], *mixture.get_weights()[4:]])
    assert mixture.importance()["mean"]["instance"] > 0.999 < mixture.importance()["variance"]["layer"]


def test_statistics_of_large_means_are_exact():
    x = images() + np.float32(3000)
    for layer in (layers.InstanceNormalization(), layers.SwitchableNormalization()):
        y = host(layer(x, training=True))
        assert abs(y.mean()) < 0.01 and abs(y.std() - 1) < 0.05


KERNELS = [
    (layers.Conv2D(5, 3), (0, 1, 2)),
    (layers.Conv2D(6, 3, groups=3), (0, 1, 2)),
    (layers.DepthwiseConv2D(3, depth_multiplier=2), (0, 1)),
    (layers.Conv2DTranspose(4, 3), (0, 1, 3)),
    (layers.Dense(7), (0,)),
]


@pytest.mark.parametrize("layer, axes", KERNELS, ids=lambda v: type(v).__name__)
def test_weight_standardization(layer, axes):
    x = images()
    wrapper = layers.WeightStandardization(layer)
    wrapper(x)
    kernel = host(layer.kernel).astype(np.float64)
    standard = (kernel - kernel.mean(axes, keepdims=True)) / np.sqrt(kernel.var(axes, keepdims=True) + 1e-5)
    np.testing.assert_allclose(wrapper.standardized_kernel(), standard, atol=1e-4)
    plain = type(layer).from_config(layer.get_config())
    plain.build(x.shape)
    plain.set_weights([standard, *layer.get_weights()[1:]])
    np.testing.assert_allclose(wrapper(x), plain(x), atol=1e-4, rtol=1e-4)
    # The layer's own kernel is what is trained and kept.
    np.testing.assert_array_equal(layer.kernel, kernel.astype(np.float32))


def test_weight_standardization_keeps_penalties():
    wrapper = layers.WeightStandardization(layers.Dense(2, activity_regularizer=cnnrs.regularizers.L2(0.5)))
    model = cnnrs.Sequential([layers.Input((3,)), wrapper])
    y = host(model(images((4, 3))))
    (loss,) = model.losses
    assert float(loss) == pytest.approx(0.5 * float((y.astype(np.float64) ** 2).sum()) / 4, rel=1e-5)
    model(images((4, 3)))
    assert len(model.losses) == 1


def folded_and_not(model, x):
    """Predictions by the plan, and layer by layer."""
    y = x
    for layer in model.layers:
        y = host(layer(y))
    return model.predict(x, verbose=0), y


def test_a_standardized_kernel_and_frozen_statistics_are_folded_into_constants():
    conv = layers.Conv2D(8, 3, padding="same", use_bias=False, name="conv")
    model = cnnrs.Sequential(
        [
            layers.Input((9, 9, 3)),
            layers.WeightStandardization(conv, name="standardized"),
            layers.BatchNormalization(name="bn"),
            layers.ReLU(name="relu"),
        ]
    )
    with_drawn_weights(model, images((2, 9, 9, 3)))
    explanation = cnnrs.utils.explain(model)
    assert explanation.num_steps == 1 and explanation["bn"].is_folded
    lines = [text for _, text in explanation["standardized"].lines]
    assert "computed from weights alone" in lines
    folded, plain = folded_and_not(model, images((2, 9, 9, 3), 2))
    np.testing.assert_allclose(folded, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_frozen_batch_normalization_is_folded_in_both_modes(training):
    model = cnnrs.Sequential(
        [
            layers.Input((9, 9, 3)),
            layers.Conv2D(8, 3, name="conv", trainable=False),
            layers.BatchNormalization(name="bn", trainable=False),
        ]
    )
    x = images((2, 9, 9, 3))
    with_drawn_weights(model, x)
    before = model.get_weights()
    explanation = cnnrs.utils.explain(model, x, training=training)
    assert explanation["bn"].is_folded and explanation.num_steps == 1
    folded, plain = folded_and_not(model, x)
    np.testing.assert_allclose(folded, plain, atol=1e-4, rtol=1e-4)
    np.testing.assert_array_equal(model(x, training=True), model(x))
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(new, old)


@pytest.mark.parametrize(
    "kind",
    [layers.InstanceNormalization, layers.FilterResponseNormalization, layers.SwitchableNormalization],
    ids=lambda kind: kind.__name__,
)
def test_what_depends_on_the_image_is_not_folded(kind):
    conv = layers.Conv2D(8, 3, name="conv")
    model = cnnrs.Sequential([layers.Input((9, 9, 3)), conv, kind(name="norm"), layers.TLU(name="tlu")])
    explanation = cnnrs.utils.explain(model)
    assert not explanation["norm"].is_folded
    # The last pass over the image applies factor, offset and threshold at once.
    assert explanation["tlu"].steps == [explanation["norm"].steps[-1]]
    folded, plain = folded_and_not(model, images((2, 9, 9, 3)))
    np.testing.assert_allclose(folded, plain, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    "kind",
    [layers.InstanceNormalization, layers.FilterResponseNormalization, layers.SwitchableNormalization],
    ids=lambda kind: kind.__name__,
)
def test_sizes_may_be_unknown_and_batches_of_one_train(kind):
    inputs = cnnrs.Input((None, None, 3))
    model = cnnrs.Model(inputs, kind()(inputs))
    assert model.output_shape == (None, None, None, 3)
    for shape in ((2, 4, 6, 3), (1, 7, 3, 3)):
        y = host(model(images(shape), training=True))
        assert y.shape == shape and np.isfinite(y).all()


def test_bad_arguments_name_layer_argument_received_and_expected():
    for make, message in (
        (lambda: layers.InstanceNormalization()(images((2, 3))), "at least 3 axes, received shape"),
        (
            lambda: layers.InstanceNormalization(axis=0)(images()),
            "axis: expected an axis of channels, received 0",
        ),
        (lambda: layers.InstanceNormalization(axis=7)(images()), "axis"),
        (lambda: layers.InstanceNormalization(axis=[1, 2]), "axis: expected an integer"),
        (
            lambda: layers.InstanceNormalization(epsilon=0),
            "epsilon: expected a finite number > 0, received 0",
        ),
        (
            lambda: layers.SwitchableNormalization(using=["group"]),
            "using: expected some of instance, layer, batch",
        ),
        (lambda: layers.SwitchableNormalization(using=[]), "using: expected some of"),
        (
            lambda: layers.SwitchableNormalization(momentum=2),
            "momentum: expected a finite number >= 0 and <= 1",
        ),
        (
            lambda: layers.FilterResponseNormalization(learned_epsilon="x"),
            "learned_epsilon: expected True or False",
        ),
        (
            lambda: layers.WeightStandardization(layers.ReLU()),
            "layer: expected a convolution, .*received ReLU",
        ),
        (lambda: layers.WeightStandardization(layers.SeparableConv2D(3, 3)), "received SeparableConv2D"),
        (lambda: layers.WeightStandardization(3), "layer: expected a layer, received 3"),
        (
            lambda: layers.WeightStandardization(layers.DepthwiseConv2D(1))(images()),
            "expected several weights",
        ),
        (
            lambda: layers.SwitchableNormalization().importance(),
            "importance: expected a layer that was called",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()
