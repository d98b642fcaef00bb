"""Tapes: nested, persistent, watching; second derivatives; gradients that a program gives."""

import numpy as np
import pytest

import cnnrs as keras
from cnnrs import layers, ops

RNG = np.random.default_rng(0)


def draws(*shape, low=-1.0, high=1.0):
    return RNG.uniform(low, high, shape).astype(np.float32)


def apart(*shape):
    """Numbers no two of which lie close together."""
    size = int(np.prod(shape))
    return (RNG.permutation(size).reshape(shape) / size - 0.5).astype(np.float32) * 8


# ---- tapes


def test_a_tape_serves_once_unless_it_is_persistent():
    x = keras.Variable(3.0)
    with keras.GradientTape() as tape:
        y = x**3
    assert float(tape.gradient(y, x)) == 27.0
    for again in (tape.gradient, tape.jacobian):
        with pytest.raises(RuntimeError, match="persistent=True"):
            again(y, x)
    with keras.GradientTape(persistent=True) as tape:
        y = x * x
        z = y * y
    assert [float(tape.gradient(t, s)) for t, s in ((z, x), (y, x), (z, y))] == [108.0, 6.0, 18.0]
    with tape:
        w = x * 2
    assert float(tape.gradient(w, x)) == 2.0


def test_constants_are_watched():
    x = ops.convert_to_tensor([1.0, 2.0])
    with keras.GradientTape() as tape:
        tape.watch(x)
        y = ops.sum(ops.square(x))
    assert tape.gradient(y, x).tolist() == [2.0, 4.0]
    with pytest.raises(TypeError, match="watch: expected a tensor, received float"):
        tape.watch([1.0])
    with pytest.raises(TypeError, match=r"watch: expected a tensor of floats, received int32\(2,\)"):
        tape.watch(ops.array([1, 2]))


def test_nested_tapes_give_second_derivatives():
    x = keras.Variable([1.0, 2.0, -3.0])
    with keras.GradientTape() as outer:
        with keras.GradientTape() as inner:
            y = ops.sum(x**3 + ops.exp(x))
        first = inner.gradient(y, x)
    np.testing.assert_allclose(first, 3 * x.numpy() ** 2 + np.exp(x.numpy()), rtol=1e-6)
    np.testing.assert_allclose(outer.gradient(first, x), 6 * x.numpy() + np.exp(x.numpy()), rtol=1e-6)


def test_third_derivatives_and_values_read_on_the_way():
    x = keras.Variable(0.5)
    with keras.GradientTape() as third, keras.GradientTape() as second, keras.GradientTape() as first:
        y = ops.sin(x)
    a = first.gradient(y, x)
    assert "0.877" in repr(a)  # which computes it
    b = second.gradient(a, x)
    assert "-0.479" in repr(b)
    np.testing.assert_allclose(
        [a, b, third.gradient(b, x)], [np.cos(0.5), -np.sin(0.5), -np.cos(0.5)], rtol=1e-5
    )


def test_sources_and_targets_are_structures():
    a, b, c = (keras.Variable(v) for v in (1.0, 2.0, 3.0))
    with keras.GradientTape(persistent=True) as tape:
        targets = {"first": a * b, "second": [b * b]}
    gradients = tape.gradient(targets, {"a": a, "rest": (b, c)})
    assert (float(gradients["a"]), float(gradients["rest"][0]), gradients["rest"][1]) == (2.0, 5.0, None)
    zero = tape.gradient(targets, [c], unconnected_gradients="zero")
    assert float(zero[0]) == 0.0
    weighted = tape.gradient(targets["first"], a, output_gradients=ops.array(10.0))
    assert float(weighted) == 20.0


def test_nothing_is_recorded_where_recording_stops():
    x = keras.Variable(2.0)
    with keras.GradientTape() as tape:
        with tape.stop_recording():
            constant = x * x
        y = constant * x
    assert float(tape.gradient(y, x)) == 4.0


@pytest.mark.parametrize("traced", [False, True])
@pytest.mark.parametrize("read", [False, True])
def test_without_tracking_no_gradient_flows_whether_values_are_computed_or_not(read, traced):
    def gradients(x):
        with keras.GradientTape(persistent=True) as tape:
            tape.watch(x)
            with keras.no_grad():
                constant = ops.exp(x * x)
                watched = x * 3
            if read and not traced:
                constant.numpy(), watched.numpy()
            tape.watch(watched)
            y = ops.sum(constant * x + watched * watched * x)
        return tape.gradient(y, x), tape.gradient(y, watched)

    x = ops.array([0.5, 2.0])
    values = x.numpy()
    to_x, to_watched = (keras.function(gradients) if traced else gradients)(x)
    np.testing.assert_allclose(to_x, np.exp(values**2) + 9 * values**2, rtol=1e-6)
    np.testing.assert_allclose(to_watched, 6 * values**2, rtol=1e-6)


def test_jacobians():
    x = keras.Variable(draws(3))
    weights = draws(3, 2)
    with keras.GradientTape(persistent=True) as tape:
        y = ops.tanh(ops.matmul(x, weights))
    expected = (1 - np.tanh(x.numpy() @ weights) ** 2)[:, None] * weights.T
    np.testing.assert_allclose(tape.jacobian(y, x), expected, rtol=1e-5)
    assert tape.jacobian(y, keras.Variable(1.0)) is None
    assert tape.jacobian(y, [keras.Variable(1.0)], unconnected_gradients="zero")[0].shape == (2,)
    batch = keras.Variable(draws(4, 3))
    with keras.GradientTape() as tape:
        y = ops.reshape(ops.tanh(ops.matmul(batch, weights)), (4, 1, 2))
    result = tape.batch_jacobian(y, batch)
    assert result.shape == (4, 1, 2, 3)
    slopes = 1 - np.tanh(batch.numpy() @ weights) ** 2
    np.testing.assert_allclose(result[:, 0], slopes[:, :, None] * weights.T, rtol=1e-5)
    with pytest.raises(ValueError, match="same number of samples"):
        keras.GradientTape().batch_jacobian(x, batch)


def test_a_hessian_is_a_jacobian_of_a_gradient():
    x = keras.Variable([1.0, 2.0])
    with keras.GradientTape() as outer:
        with keras.GradientTape() as inner:
            y = x[0] * x[0] * x[1]
        first = inner.gradient(y, x)
    assert outer.jacobian(first, x).tolist() == [[4.0, 2.0], [2.0, 0.0]]


# ---- second derivatives

POSITIVE = {"low": 0.5, "high": 2.0}
# What is smooth near the arguments drawn: a function of each, and how the arguments are drawn.
SMOOTH = {
    "add": (ops.add, [draws(3, 4), draws(4)]),
    "subtract": (ops.subtract, [draws(3, 4), draws(3, 1)]),
    "multiply": (ops.multiply, [draws(3, 4), draws(4)]),
    "divide": (ops.divide, [draws(3, 4), draws(4, **POSITIVE)]),
    "power": (ops.power, [draws(3, 4, **POSITIVE), draws(4)]),
    "logaddexp": (ops.logaddexp, [draws(3, 4), draws(4)]),
    "arctan2": (ops.arctan2, [draws(3, 4, **POSITIVE), draws(4, **POSITIVE)]),
    "einsum": (lambda a, b: ops.einsum("ij,jk->k", a, b), [draws(3, 4), draws(4, 2)]),
    "sort": (lambda x: ops.exp(ops.sort(x, axis=-1)) * x, [apart(3, 4) / 4]),
    "matmul": (ops.matmul, [draws(2, 3, 4), draws(4, 2)]),
    "tensordot": (lambda a, b: ops.tensordot(a, b, 1), [draws(3, 4), draws(4, 2)]),
    **{
        name: (getattr(ops, name), [draws(3, 4)])
        for name in (
            "exp sin cos tan tanh sinh cosh square sigmoid softplus softsign silu gelu elu selu log_sigmoid "
            "erf expm1 softmax log_softmax logsumexp mean sum var std cumsum arctan arcsinh tanh_shrink"
        ).split()
    },
    **{
        name: (getattr(ops, name), [draws(3, 4, **POSITIVE)])
        for name in "log log10 log1p log2 sqrt rsqrt reciprocal prod max min relu abs norm cumprod".split()
    },
    "clip": (lambda x: ops.clip(x, -0.6, 0.6) * x, [apart(3, 4) / 4]),
    "where": (lambda x: ops.where(x > 0, ops.exp(x), x * x), [apart(3, 4) / 4 + 0.04]),
    "maximum": (lambda a, b: ops.maximum(a, b) * a, [draws(3, 4), draws(3, 4)]),
    "take": (lambda x: ops.square(ops.take(x, np.array([0, 2, 2]), axis=0)), [draws(3, 4)]),
    "getitem": (lambda x: ops.exp(x[1:, ::2]), [draws(3, 4)]),
    "pad": (lambda x: ops.exp(ops.pad(x, ((1, 0), (0, 2)))), [draws(3, 4)]),
    "concatenate": (lambda a, b: ops.exp(ops.concatenate([a, b], -1)), [draws(3, 4), draws(3, 1)]),
    "flip and roll": (lambda x: ops.exp(ops.roll(ops.flip(x, 0), 1, 1)) * x, [draws(3, 4)]),
    "conv": (
        lambda x, w: ops.tanh(ops.conv(x, w, strides=2, padding="same")),
        [draws(2, 5, 5, 2), draws(3, 3, 2, 3)],
    ),
    "conv dilated": (
        lambda x, w: ops.tanh(ops.conv(x, w, dilation_rate=2, padding="valid")),
        [draws(1, 6, 6, 2), draws(3, 3, 2, 2)],
    ),
    "depthwise_conv": (
        lambda x, w: ops.tanh(ops.depthwise_conv(x, w, strides=2, padding="same")),
        [draws(2, 5, 5, 2), draws(3, 3, 2, 1)],
    ),
    "separable_conv": (
        lambda x, d, p: ops.tanh(ops.separable_conv(x, d, p, padding="same")),
        [draws(1, 4, 4, 2), draws(3, 3, 2, 1), draws(1, 1, 2, 3)],
    ),
    "conv_transpose": (
        lambda x, w: ops.tanh(ops.conv_transpose(x, w, strides=2, padding="same")),
        [draws(1, 3, 3, 2), draws(3, 3, 3, 2)],
    ),
    "average_pool": (lambda x: ops.exp(ops.average_pool(x, 2, 2, "same")), [draws(2, 5, 5, 2)]),
    "max_pool": (lambda x: ops.exp(ops.max_pool(x, 3, 2, "same")), [apart(2, 5, 5, 2)]),
    "batch statistics": (
        lambda x, g, b: ops.tanh(layers_norm(x, g, b)),
        [draws(4, 3, 3, 2), draws(2, **POSITIVE), draws(2)],
    ),
    "layer_normalization": (
        lambda x, g, b: ops.layer_normalization(x, g, b),
        [draws(3, 6), draws(6, **POSITIVE), draws(6)],
    ),
    "cross entropy": (lambda x: ops.categorical_crossentropy(one_hot(), x, from_logits=True), [draws(3, 4)]),
    "sparse cross entropy": (
        lambda x: ops.sparse_categorical_crossentropy(np.array([0, 3, 1]), x, from_logits=True),
        [draws(3, 4)],
    ),
    "binary cross entropy": (
        lambda x: ops.binary_crossentropy(one_hot(), x, from_logits=True),
        [draws(3, 4)],
    ),
    "resize": (lambda x: ops.exp(ops.image.resize(x, (7, 5), "bilinear")), [draws(1, 4, 4, 2)]),
    "attention": (
        lambda q, k, v: ops.dot_product_attention(q, k, v),
        [draws(1, 3, 2, 4), draws(1, 5, 2, 4), draws(1, 5, 2, 4)],
    ),
}  # fmt: skip


def one_hot():
    return np.eye(4, dtype=np.float32)[[0, 3, 1]]


def layers_norm(x, gamma, beta):
    from cnnrs.ops import raw

    return raw.batch_norm(x, gamma, beta, epsilon=1e-3)


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_are_those_of_the_first(name):
    """The product of the Hessian and a direction, against differences of first gradients along it."""
    function, arguments = SMOOTH[name]
    shape = function(*map(ops.convert_to_tensor, arguments)).shape
    weights = np.random.default_rng(1).uniform(0.5, 1.5, shape).astype(np.float32)
    directions = [
        np.random.default_rng(2 + i).standard_normal(a.shape).astype(np.float32)
        for i, a in enumerate(arguments)
    ]

    @keras.function
    def first(arguments):
        return keras.grad(lambda a: ops.sum(function(*a) * weights))(arguments)

    @keras.function
    def second(arguments, directions):
        def along(a):
            gradients = keras.grad(lambda b: ops.sum(function(*b) * weights))(a)
            return sum(ops.sum(g * d) for g, d in zip(gradients, directions, strict=True))

        return keras.grad(along)(arguments)

    step = 5e-3
    ahead, behind = (
        first([a + np.float32(sign * step) * d for a, d in zip(arguments, directions, strict=True)])
        for sign in (1, -1)
    )
    results = second(arguments, directions)
    for result, plus, minus in zip(results, ahead, behind, strict=True):
        difference = (plus.numpy() - minus.numpy()) / (2 * step)
        value = np.zeros_like(difference) if result is None else result.numpy()
        scale = max(1.0, np.abs(difference).max())
        np.testing.assert_allclose(value / scale, difference / scale, atol=5e-3)


def gradient_penalty(critic, images):
    with keras.GradientTape() as tape:
        tape.watch(images)
        scores = critic(images, training=True)
    gradients = tape.gradient(scores, images)
    norms = ops.sqrt(ops.sum(ops.square(gradients), axis=(1, 2, 3)) + 1e-12)
    return ops.mean(ops.square(norms - 1.0))


def test_a_gradient_penalty_through_normalisation_and_strided_convolutions():
    """The derivative of the penalty with respect to every weight, against differences."""
    keras.utils.set_random_seed(3)
    critic = keras.Sequential(
        [
            keras.Input((8, 8, 2)),
            layers.Conv2D(4, 3, strides=2, padding="same"),
            layers.BatchNormalization(),
            layers.Activation("tanh"),
            layers.Conv2D(3, 3, strides=2, padding="same", activation="softplus"),
            layers.Flatten(),
            layers.Dense(1),
        ]
    )
    images = draws(5, 8, 8, 2)
    with keras.GradientTape() as tape:
        penalty = gradient_penalty(critic, ops.convert_to_tensor(images))
    weights = critic.trainable_weights
    gradients = tape.gradient(penalty, weights, unconnected_gradients="zero")
    assert all(np.isfinite(g.numpy()).all() for g in gradients)
    rng = np.random.default_rng(4)
    for weight, gradient in zip(weights, gradients, strict=True):
        start = weight.numpy()
        direction = rng.standard_normal(start.shape).astype(np.float32)
        direction /= np.linalg.norm(direction)
        values = []
        for step in (2e-2, -2e-2):
            weight.assign(start + step * direction)
            values.append(float(gradient_penalty(critic, ops.convert_to_tensor(images))))
        weight.assign(start)
        np.testing.assert_allclose(
            np.sum(gradient.numpy() * direction), (values[0] - values[1]) / 4e-2, atol=2e-3, rtol=2e-2
        )


# ---- gradients that a program gives


def test_a_custom_gradient_replaces_that_of_the_value():
    @ops.custom_gradient
    def log1pexp(x):
        e = ops.exp(x)

        def grad(*args, upstream=None):
            if upstream is None:
                (upstream,) = args
            return ops.multiply(upstream, 1.0 - 1.0 / ops.add(1, e))

        return ops.log(1 + e), grad

    x = ops.convert_to_tensor([0.0, 3.0, 100.0])
    np.testing.assert_allclose(log1pexp(x)[:2], np.log1p(np.exp([0.0, 3.0])), rtol=1e-6)
    gradient = keras.grad(lambda x: ops.sum(3.0 * log1pexp(x)[1:]))(x)
    np.testing.assert_allclose(gradient, [0.0, 3 / (1 + np.exp(-3.0)), 3.0], rtol=1e-6)
    second = keras.grad(lambda x: ops.sum(keras.grad(lambda y: ops.sum(log1pexp(y)))(x)))(x[:2])
    s = 1 / (1 + np.exp(-np.array([0.0, 3.0])))
    np.testing.assert_allclose(second, s * (1 - s), rtol=1e-5)


@pytest.mark.parametrize("read_first", [False, True])
@pytest.mark.parametrize("traced", [False, True])
def test_a_gradient_that_is_no_multiple_of_the_upstream(traced, read_first):
    """Clipped gradients, reversed ones, rounding that passes them on."""

    @ops.custom_gradient
    def clipped(x):
        return x, lambda upstream: ops.clip(upstream, -1.0, 1.0)

    @ops.custom_gradient
    def reverse(x):
        return x * 1.0, lambda upstream: -2.0 * upstream

    @ops.custom_gradient
    def rounded(x):
        return ops.round(x), lambda upstream: upstream

    def gradient(x):
        y = clipped(rounded(reverse(x) * 3.0))
        if read_first and not traced:
            assert y.numpy().tolist() == [1.0, 4.0]
        return keras.grad(lambda x: ops.sum(clipped(rounded(reverse(x) * 3.0)) * [0.5, 9.0]))(x)

    x = np.array([0.4, 1.4], np.float32)
    gradient = keras.function(gradient) if traced else gradient
    np.testing.assert_allclose(gradient(x), [-3.0, -6.0])
    weight = keras.Variable(x)
    with keras.GradientTape() as tape:
        loss = ops.sum(clipped(weight) * [0.5, 9.0])
    if read_first:
        assert float(loss) > 0
    assert tape.gradient(loss, weight).tolist() == [0.5, 1.0]


def test_several_arguments_and_outputs():
    @ops.custom_gradient
    def pair(a, structure, factor=2.0):
        b = structure["b"]

        def grad(of_sum, of_product):
            return of_sum * 10.0, of_product * factor

        return (ops.sum(a) + ops.sum(b), a * b), grad

    a, b = draws(3), draws(3)

    def loss(arguments):
        total, product = pair(arguments[0], {"b": arguments[1]}, factor=5.0)
        return total * 2.0 + ops.sum(product * ops.array([1.0, 2.0, 3.0]))

    with pytest.raises(ValueError, match=r"expected a gradient of shape \(3,\), received \(\)"):
        loss([a, b])

    @ops.custom_gradient
    def pair(a, structure, factor=2.0):  # noqa: F811
        b = structure["b"]

        def grad(of_sum, of_product):
            return of_sum * ops.ones_like(a) * 10.0, of_product * factor

        return (ops.sum(a) + ops.sum(b), a * b), grad

    first, second = keras.grad(loss)([a, b])
    assert first.tolist() == [20.0] * 3 and second.tolist() == [5.0, 10.0, 15.0]
    total, product = pair(a, {"b": b})
    np.testing.assert_allclose(float(total), a.sum() + b.sum(), rtol=1e-6)
    np.testing.assert_array_equal(product, a * b)


def test_the_form_that_takes_arguments_and_none_for_no_gradient():
    @ops.custom_gradient
    def scaled(x, y):
        def grad(*args, upstream):
            x, y = args
            return upstream * y, None

        return x * y, grad

    x, y = keras.Variable(2.0), keras.Variable(5.0)
    with keras.GradientTape() as tape:
        z = scaled(x, y)
    assert [float(g) for g in tape.gradient(z, [x, y])] == [5.0, 0.0]
    with pytest.raises(TypeError, match=r"expected \(outputs, grad\)"):
        ops.custom_gradient(lambda x: x)(1.0)
    with pytest.raises(ValueError, match="expected 2 gradients.*received 1"):
        ops.custom_gradient(lambda x, y: (x * y, lambda u: u))(x, y)
    with pytest.raises(TypeError, match="expected a function"):
        ops.custom_gradient(3)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_custom_gradients_of_16_bits(dtype):
    @ops.custom_gradient
    def doubled(x):
        return x * 2, lambda upstream: upstream * 3

    x = ops.cast([1.0, 2.0], dtype)
    assert doubled(x).dtype == dtype
    gradient = keras.grad(lambda x: ops.sum(doubled(x)))(x)
    assert gradient.dtype == dtype and gradient.tolist() == [3.0, 3.0]


@pytest.mark.parametrize("eagerly", [True, False])
def test_custom_gradients_in_layers_that_train(eagerly):
    """A domain classifier behind reversed gradients: features move away from what it finds."""

    @ops.custom_gradient
    def reverse(x):
        return x, lambda upstream: -upstream

    inputs = keras.Input((2,))
    features = layers.Dense(2, use_bias=False, kernel_initializer="ones", name="features")(inputs)
    outputs = layers.Dense(1, use_bias=False, kernel_initializer="ones")(reverse(features))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=eagerly)
    x, y = np.ones((4, 2), np.float32), np.full((4, 1), 10.0, np.float32)
    assert model.predict(x, verbose=0).tolist() == [[4.0]] * 4
    model.train_on_batch(x, y)
    assert (model.get_layer("features").get_weights()[0] < 1).all()
    assert (model.layers[-1].get_weights()[0] > 1).all()
