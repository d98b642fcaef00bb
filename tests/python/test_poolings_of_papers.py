"""Poolings against slow forms in float64, written from their papers' formulas, and what they refuse."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from layer_checks import host

import cnnrs
from cnnrs import layers, ops

# One line asks for the values of many layers.
pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")


def images(shape=(2, 7, 6, 3), seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def windows(x, size, stride, sides=((0, 0), (0, 0)), ceil_mode=False):
    """For each place of the output its pixels inside the image, and how many the padded image has there."""
    extents = []
    for axis in (0, 1):
        before, after = sides[axis]
        room = x.shape[axis + 1] + before + after - size[axis]
        many = room // stride[axis] + 1
        begins_inside = many * stride[axis] < x.shape[axis + 1] + before
        extents.append(many + (ceil_mode and room % stride[axis] > 0 and begins_inside))
    for p, q in itertools.product(*map(range, extents)):
        spans, padded = [], 1
        for axis, place in ((0, p), (1, q)):
            start = place * stride[axis] - sides[axis][0]
            limit = x.shape[axis + 1]
            spans.append(slice(max(start, 0), min(start + size[axis], limit)))
            padded *= min(start + size[axis], limit + sides[axis][1]) - start
        yield p, q, x[:, spans[0], spans[1]].astype(np.float64), padded


def reduced(x, reduce, size=(2, 2), stride=(2, 2), **more):
    places = {(p, q): reduce(seen, padded) for p, q, seen, padded in windows(x, size, stride, **more)}
    rows, columns = (max(k[i] for k in places) + 1 for i in (0, 1))
    return np.stack(
        [np.stack([places[p, q] for q in range(columns)], 1) for p in range(rows)], 1
    )  # batch, rows, columns, channels


def flat(seen):
    return seen.reshape(seen.shape[0], -1, seen.shape[-1])


@pytest.mark.parametrize("extent", [7, 8])
@pytest.mark.parametrize("size", [2, 3])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("pad", [0, 1])
@pytest.mark.parametrize("ceil_mode", [False, True])
def test_ceil_mode_and_padding_that_counts(extent, size, stride, pad, ceil_mode):
    x, sides = images((1, extent, 6, 2)), ((pad, pad), (pad, 0))
    at = {"size": (size, size), "stride": (stride, stride), "sides": sides, "ceil_mode": ceil_mode}
    given = (x, size, stride, sides)
    largest = ops.max_pool(*given, ceil_mode=ceil_mode)
    np.testing.assert_array_equal(largest, reduced(x, lambda s, n: s.max((1, 2)), **at))
    for include in (False, True):
        means = ops.average_pool(*given, ceil_mode=ceil_mode, count_include_pad=include)
        expected = reduced(x, lambda s, n, i=include: s.sum((1, 2)) / (n if i else flat(s).shape[1]), **at)
        np.testing.assert_allclose(means, expected, atol=1e-6)


def test_ceil_mode_of_sequences_volumes_and_channels_first():
    x = images((2, 5, 5, 5, 3))
    assert ops.max_pool(x, 2, ceil_mode=True).shape == (2, 3, 3, 3, 3)
    np.testing.assert_array_equal(
        ops.max_pool(x[:, 0, 0], 2, ceil_mode=True), ops.max_pool(x[:, :1, 0], (1, 2), ceil_mode=True)[:, 0]
    )
    first = ops.average_pool(x[:, 0].transpose(0, 3, 1, 2), 2, data_format="channels_first", ceil_mode=True)
    last = ops.average_pool(x[:, 0], 2, ceil_mode=True)
    np.testing.assert_array_equal(host(first).transpose(0, 2, 3, 1), last)
    ones = ops.average_pool(np.ones((1, 5, 5, 5, 1)), 2, padding=((1, 1),) * 3, count_include_pad=True)
    assert float(ones[0, 0, 0, 0, 0]) == 0.125


def test_ceil_mode_refuses_what_has_no_meaning():
    with pytest.raises(ValueError, match="max_pool: ceil_mode: expected False with padding 'same'"):
        ops.max_pool(images(), 2, padding="same", ceil_mode=True)
    with pytest.raises(ValueError, match="average_pool: count_include_pad: expected True or False"):
        ops.average_pool(images(), 2, count_include_pad="yes")


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_mixed_pooling(alpha):
    x = images()
    expected = reduced(x, lambda s, n: alpha * s.max((1, 2)) + (1 - alpha) * s.mean((1, 2)))
    np.testing.assert_allclose(layers.MixedPooling2D(alpha=alpha)(x), expected, atol=1e-6)


def test_learnt_mixtures_of_channels_and_regions():
    x = images()
    for per, shape in (("channel", (3,)), ("region", (3, 3, 1)), ("channel_region", (3, 3, 3))):
        layer = layers.MixedPooling2D(per=per)
        layer(x)
        weights = np.random.default_rng(1).normal(size=shape)
        layer.set_weights([weights])
        alpha = 1 / (1 + np.exp(-weights))
        largest, means = (reduced(x, f) for f in (lambda s, n: s.max((1, 2)), lambda s, n: s.mean((1, 2))))
        np.testing.assert_allclose(layer(x), alpha * largest + (1 - alpha) * means, atol=1e-6)


def test_gated_pooling_weighs_by_the_region():
    x, kernel = images(), np.random.default_rng(1).normal(size=(2, 2, 3, 1))
    layer = layers.GatedPooling2D(per="channel")
    layer(x)
    layer.set_weights([kernel])

    def gated(seen, _):
        gate = 1 / (1 + np.exp(-(seen * kernel[..., 0]).sum((1, 2))))
        return gate * seen.max((1, 2)) + (1 - gate) * seen.mean((1, 2))

    np.testing.assert_allclose(layer(x), reduced(x, gated), atol=1e-5)


def test_stochastic_pooling_in_inference_is_the_expectation():
    x = images()

    def expectation(seen, _):
        a = np.maximum(flat(seen), 0)
        total = a.sum(1)
        return np.where(total > 0, (a**2).sum(1) / np.where(total > 0, total, 1), 0)

    np.testing.assert_allclose(layers.StochasticPooling2D()(x), reduced(x, expectation), atol=1e-6)
    np.testing.assert_array_equal(layers.StochasticPooling2D()(-np.abs(x)), np.zeros((2, 3, 3, 3)))


def test_stochastic_pooling_draws_in_proportion():
    x = np.tile(np.array([[1.0, 2.0], [-9.0, 5.0]], np.float32)[None, :, :, None], (1, 80, 80, 1))
    layer = layers.StochasticPooling2D(seed=3)
    drawn = host(layer(x, training=True)).ravel()
    shares = [float((drawn == v).mean()) for v in (1, 2, 5)]
    assert sum(shares) == 1.0
    np.testing.assert_allclose(shares, [1 / 8, 2 / 8, 5 / 8], atol=4 * 0.5 / math.sqrt(len(drawn)))
    assert abs(drawn.mean() - host(layer(x)).mean()) < 0.1
    assert (host(layer(x, training=True)).ravel() != drawn).any()


def test_the_gradient_of_stochastic_pooling_goes_to_what_was_drawn():
    x = ops.convert_to_tensor(np.abs(images((1, 4, 4, 2))) + 0.1)
    with cnnrs.GradientTape() as tape:
        tape.watch(x)
        drawn = layers.StochasticPooling2D(seed=1)(x, training=True)
    gradient = host(tape.gradient(drawn, x))
    assert set(np.unique(gradient)) == {0.0, 1.0} and gradient.sum() == 8
    np.testing.assert_allclose(np.sort(host(x)[gradient == 1]), np.sort(host(drawn).ravel()))


def fractional(x, axis, many, shift, overlapping, reduce):
    """Windows from `floor(a (i + u)) - floor(a u)` on, for a u = shift / many."""
    extent = x.shape[axis]
    alpha, u = extent / many, shift / extent
    bounds = [math.floor(alpha * (i + u) + 1e-9) - math.floor(alpha * u + 1e-9) for i in range(many + 1)]
    assert bounds[0] == 0 and bounds[-1] == extent
    assert set(np.diff(bounds)) <= {math.floor(alpha), math.ceil(alpha)}
    parts = [
        reduce(x.take(range(a, min(b + overlapping, extent)), axis), axis)
        for a, b in itertools.pairwise(bounds)
    ]
    return np.stack(parts, axis)


@pytest.mark.parametrize("kind", [layers.FractionalMaxPooling2D, layers.FractionalAveragePooling2D])
@pytest.mark.parametrize("overlapping", [True, False])
def test_fractional_pooling_in_inference(kind, overlapping):
    x = images((2, 11, 9, 3))
    reduce = np.max if kind is layers.FractionalMaxPooling2D else np.mean
    expected = fractional(x, 1, 7, 11 // 2, overlapping, reduce)
    expected = fractional(expected, 2, 6, 9 // 2, overlapping, reduce)
    layer = kind(overlapping=overlapping)
    np.testing.assert_allclose(layer(x), expected, atol=1e-6)
    np.testing.assert_array_equal(layer(x), layer(x))


@pytest.mark.parametrize("pseudo_random", [True, False])
def test_fractional_pooling_draws_regions_in_training(pseudo_random):
    rows = np.arange(25, dtype=np.float32).reshape(1, 25, 1, 1)
    layer = layers.FractionalMaxPooling2D((1.5, 1), False, pseudo_random, seed=4)
    seen = set()
    for _ in range(20):
        last = host(layer(rows, training=True)).ravel()
        steps = np.diff([-1, *last])
        assert last[-1] == 24 and set(steps) <= {1, 2} and list(steps).count(2) == 25 - 16
        seen.add(tuple(last))
    assert len(seen) > 3
    evenly = fractional(rows, 1, 16, 12, False, np.max)
    np.testing.assert_array_equal(layer(rows), evenly)


def test_fractional_pooling_gives_the_floor_of_extent_over_ratio():
    for extent, ratio, expected in (
        (94, 2 ** (1 / 3), 74),
        (36, 2**0.5, 25),
        (5, 5, 1),
        (7, 1, 7),
    ):
        shape = layers.FractionalMaxPooling2D(ratio).compute_output_shape((1, extent, extent, 1))
        assert shape == (1, expected, expected, 1)


@pytest.mark.parametrize("mean", [False, True])
@pytest.mark.parametrize("p", [1.0, 2.0, 2.5, 3.0, 12.0, math.inf])
def test_lp_pooling(p, mean):
    x = images()

    def norm(seen, _):
        size = np.abs(flat(seen))
        if p == math.inf:
            return size.max(1)
        return ((size**p).mean(1) if mean else (size**p).sum(1)) ** (1 / p)

    np.testing.assert_allclose(layers.LpPooling2D(p, mean=mean)(x), reduced(x, norm), rtol=2e-5)
    everywhere = norm(x.astype(np.float64), None)
    np.testing.assert_allclose(layers.GlobalLpPooling2D(p, mean)(x), everywhere, rtol=2e-5)


def test_the_gradient_of_lp_pooling_at_zero_is_zero():
    for p in (1.0, 2.0, 3.0, 2.5):
        x = ops.zeros((1, 4, 4, 1))
        with cnnrs.GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(layers.LpPooling2D(p)(x)) + ops.sum(layers.GlobalLpPooling2D(p)(x))
        np.testing.assert_array_equal(tape.gradient(y, x), np.zeros((1, 4, 4, 1)))


@pytest.mark.parametrize("p", [1.0, 3.0, 4.7, 40.0])
@pytest.mark.parametrize("learn_p", [False, True])
def test_generalized_mean_pooling(p, learn_p):
    x = images()

    def generalized(seen, _):
        return (np.maximum(flat(seen), 1e-6) ** p).mean(1) ** (1 / p)

    options = {"p": p, "learn_p": learn_p}
    bound = {"rtol": 3e-5, "atol": 1e-5}
    np.testing.assert_allclose(
        layers.GlobalGeMPooling2D(**options)(x), generalized(x.astype(float), 0), **bound
    )
    if p < 40:  # in float32 shares of 1e-3 to the power of 40 are 0: the least mean counts
        np.testing.assert_allclose(layers.GeMPooling2D(**options)(x), reduced(x, generalized), **bound)


@pytest.mark.parametrize("scale", [1e-12, 1e12])
@pytest.mark.parametrize("kind", [layers.GeMPooling2D, layers.GlobalGeMPooling2D])
def test_generalized_means_neither_overflow_nor_lose_gradients(kind, scale):
    layer = kind(p=20.0)
    x = ops.convert_to_tensor(np.abs(images()) * np.float32(scale))
    with cnnrs.GradientTape() as tape:
        tape.watch(x)
        y = layer(x)
        total = ops.sum(y)
    gradients = tape.gradient(total, [x, *layer.trainable_weights])
    assert all(np.isfinite(host(v)).all() for v in (y, *gradients)) and host(y).min() > 0


@pytest.mark.parametrize("per", ["layer", "channel"])
def test_attention_pooling(per):
    x, rng = images(), np.random.default_rng(1)
    kernel = rng.normal(size=(3, 3 if per == "channel" else 1))

    def attended(seen, _):
        a = flat(seen)
        weights = np.exp(a @ kernel)
        return (a * weights).sum(1) / weights.sum(1)

    for kind, expected in (
        (layers.AttentionPooling2D, reduced(x, attended)),
        (layers.GlobalAttentionPooling2D, attended(x.astype(np.float64), None)),
    ):
        layer = kind(per=per)
        layer(x)
        layer.set_weights([kernel[None, None]])
        np.testing.assert_allclose(layer(x), expected, atol=1e-5)
        layer.set_weights([1e6 * kernel[None, None]])
        assert np.isfinite(host(layer(x))).all()


def test_learnable_pooling_starts_as_the_mean():
    x = images()
    np.testing.assert_allclose(layers.LearnablePooling2D()(x), layers.AveragePooling2D(2)(x), atol=1e-6)


NEW = [case for name in layers.pooling.LATE.values() for case in name.split()]


@pytest.mark.parametrize("name", NEW)
def test_formats_agree_and_sizes_may_be_unknown(name):
    x = images((2, 8, 6, 4))
    last, first = (getattr(layers, name)(data_format=f"channels_{f}") for f in ("last", "first"))
    y, z = host(last(x)), host(first(x.transpose(0, 3, 1, 2)))
    np.testing.assert_allclose(z.transpose(0, 2, 3, 1) if z.ndim == 4 else z, y, atol=1e-6)
    inputs = cnnrs.Input((None, None, 4))
    model = cnnrs.Model(inputs, getattr(layers, name)()(inputs))
    assert model.output_shape in ((None, None, None, 4), (None, 4))
    np.testing.assert_allclose(model(x), y, atol=1e-6)
    assert getattr(layers.pooling, name) is getattr(layers, name)


def test_bad_arguments_name_layer_argument_received_and_expected():
    unknown = cnnrs.Input((None, None, 3))
    for make, message in (
        (
            lambda: layers.MixedPooling2D(alpha=1.5),
            "alpha: expected a finite number >= 0 and <= 1, received 1.5",
        ),
        (lambda: layers.MixedPooling2D(per="image"), "per: expected one of 'layer'.*, received 'image'"),
        (
            lambda: layers.MixedPooling2D(alpha=0.5, per="channel"),
            "alpha: expected None to learn one per channel",
        ),
        (lambda: layers.MixedPooling2D(per="region")(unknown), "expected images of known height and width"),
        (
            lambda: layers.GatedPooling2D(gate="max"),
            "gate: expected one of 'region', 'pointwise', received 'max'",
        ),
        (lambda: layers.LpPooling2D(0.5), "p: expected a number >= 1, or infinity, received 0.5"),
        (lambda: layers.GeMPooling2D(p=0), "p: expected a finite number > 0, received 0"),
        (
            lambda: layers.GeMPooling2D(per="channel", learn_p=False),
            "per: expected 'layer' where p is not learnt",
        ),
        (
            lambda: layers.FractionalMaxPooling2D(0.9),
            "pool_ratio: expected a finite number >= 1, received 0.9",
        ),
        (lambda: layers.FractionalMaxPooling2D((1, 2, 3)), "pool_ratio: expected a number or a pair"),
        (
            lambda: layers.FractionalMaxPooling2D(20.0, name="pool")(np.zeros((1, 8, 8, 3), "float32")),
            "pool: pool_ratio: expected at most the 8 pixels of axis 1, received 20",
        ),
        (
            lambda: layers.AttentionPooling2D(padding="full"),
            "padding: expected 'valid' or 'same', received 'full'",
        ),
        (
            lambda: layers.StochasticPooling2D(9)(images(), training=True),
            "expected windows within images|not fit",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            make()


def test_each_pooling_runs_in_few_steps():
    """What there is to compute for each pixel is fused into the convolution before, or into the pooling."""
    for layer, most in (
        (layers.LpPooling2D(3), 3),
        (layers.GlobalLpPooling2D(2), 3),
        (layers.MixedPooling2D(), 4),
        (layers.GatedPooling2D(), 4),
        (layers.StochasticPooling2D(), 4),
        (layers.LearnablePooling2D(), 2),
    ):
        conv = layers.Conv2D(8, 3, activation="relu", padding="same")
        model = cnnrs.Sequential([layers.Input((16, 16, 8)), conv, layer])
        assert cnnrs.utils.explain(model).num_steps <= most, layer.name
