"""What scripts of Keras 2 call: functions of `keras.backend`, `compiled_loss`, former names of arguments."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import cnnrs
from cnnrs import backend as K
from cnnrs import layers, ops
from cnnrs.backend import functions

X = np.arange(24, dtype=np.float32).reshape(2, 3, 4) / 7 - 1

# A call, and what numpy says of it.
CALLS = [
    (lambda: K.abs(X), np.abs(X)),
    (lambda: K.argmax(X), X.argmax(-1)),
    (lambda: K.argmin(X), X.argmin(-1)),
    (lambda: K.arange(1, 7, 2), np.arange(1, 7, 2)),
    (lambda: K.batch_flatten(X), X.reshape(2, 12)),
    (lambda: K.bias_add(X, np.ones(4)), X + 1),
    (lambda: K.bias_add(X, np.arange(3), "channels_first"), X + np.arange(3)[:, None]),
    (lambda: K.cast_to_floatx([1, 2]), np.array([1.0, 2.0])),
    (lambda: K.clip(X, -0.5, 0.5), X.clip(-0.5, 0.5)),
    (lambda: K.concatenate([X, X]), np.concatenate([X, X], -1)),
    (lambda: K.constant(3.0, shape=(2, 2)), np.full((2, 2), 3.0)),
    (lambda: K.cumsum(X), X.cumsum(0)),
    (lambda: K.cumprod(X), X.cumprod(0)),
    (lambda: K.dot(X, X[0].T), X @ X[0].T),
    (lambda: K.expand_dims(X), X[..., None]),
    (lambda: K.eye(3), np.eye(3)),
    (lambda: K.flatten(X), X.reshape(-1)),
    (lambda: K.gather(X, [1, 0]), X[[1, 0]]),
    (lambda: K.l2_normalize(X, -1), X / np.linalg.norm(X, axis=-1, keepdims=True)),
    (lambda: K.map_fn(lambda x: x * 2, X), X * 2),
    (lambda: K.mean(X, axis=1, keepdims=True), X.mean(1, keepdims=True)),
    (lambda: K.one_hot([0, 2], 3), np.eye(3)[[0, 2]]),
    (lambda: K.ones((2, 3)), np.ones((2, 3))),
    (lambda: K.permute_dimensions(X, (2, 0, 1)), X.transpose(2, 0, 1)),
    (lambda: K.pow(X, 2), X**2),
    (lambda: K.relu(X, 0.1, 1.0), np.where(X >= 0, X.clip(None, 1), 0.1 * X)),
    (lambda: K.relu(X, 0.1, threshold=0.5), np.where(X >= 0.5, X, 0.1 * (X - 0.5))),
    (lambda: K.repeat(X[0], 2), np.repeat(X[0][:, None], 2, 1)),
    (lambda: K.repeat_elements(X, 2, 1), np.repeat(X, 2, 1)),
    (lambda: K.reshape(X, (4, 6)), X.reshape(4, 6)),
    (lambda: K.reverse(X, 1), X[:, ::-1]),
    (lambda: K.std(X), X.std()),
    (lambda: K.switch(X[0, 0, 0] > 0, lambda: X, lambda: -X), -X),
    (lambda: K.switch(X[:, 0, 0] > 0, X, lambda: -X), np.where(X[:, :1, :1] > 0, X, -X)),
    (lambda: K.in_top_k(X[0], np.array([3, 0, 3]), 1), np.array([True, False, True])),
    (lambda: K.batch_normalization(X, *np.full((4, 4), [[1], [4], [0.5], [2]]), epsilon=0.0), X - 0.5),
    (lambda: K.sparse_categorical_crossentropy([1], [[0.5, 0.5]], ignore_class=1), np.zeros(1)),
    (lambda: K.update_add(K.variable([1.0]), [2.0]), np.array([3.0])),
    (lambda: K.update_sub(K.variable([1.0]), [2.0]), np.array([-1.0])),
    (lambda: K.update(K.zeros((2,)), [1.0, 2.0]), np.array([1.0, 2.0])),
    (lambda: K.moving_average_update(K.ones((1,)), 3.0, 0.5), np.array([2.0])),
]


@pytest.mark.parametrize("case", range(len(CALLS)))
def test_functions_compute_what_they_say(case):
    call, expected = CALLS[case]
    found = K.get_value(call())
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "axes"),
    [
        ((2, 3), (2, 3), None),
        ((2, 3), (2, 3, 4), 1),
        ((2, 3, 4), (2, 4), None),
        ((2, 3, 4), (2, 4, 5), None),
        ((2, 3, 4), (2, 5, 4), 2),
        ((2, 3, 4, 5), (2, 5, 6, 7), (3, 1)),
        ((2, 3, 4, 5), (2, 6, 4), (-2, -1)),
    ],
)
def test_batch_dot_sums_over_one_axis_of_each(first, second, axes):
    rng = np.random.default_rng(0)
    x, y = rng.random(first), rng.random(second)
    if axes is None:
        axes = (x.ndim - 1, y.ndim - 1 if y.ndim == 2 else y.ndim - 2)
    a, b = (axes, axes) if isinstance(axes, int) else axes
    each = [np.tensordot(x[i], y[i], (a % x.ndim - 1, b % y.ndim - 1)) for i in range(2)]
    expected = np.stack(each).reshape((2, 1) if x.ndim == y.ndim == 2 else np.stack(each).shape)
    np.testing.assert_allclose(K.batch_dot(x, y, axes), expected, rtol=1e-5)


def test_ctc_takes_the_last_class_for_blank():
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(5), (2, 6)).astype(np.float32)
    cost = K.ctc_batch_cost(
        np.array([[0, 1], [2, 0]]), probabilities, np.full((2, 1), 6), np.array([[2], [1]])
    )
    # The same with the blank first.
    moved = np.log(np.roll(probabilities, 1, -1) + 1e-7)
    expected = ops.ctc_loss(np.array([[1, 2], [3, 0]]), moved, np.array([2, 1]), np.array([6, 6]))
    np.testing.assert_allclose(cost, ops.expand_dims(expected, 1), rtol=1e-5)
    sure = np.eye(5, dtype=np.float32)[[[0, 0, 4, 1, 4, 4]]]
    [labels], scores = K.ctc_decode(sure, [6])
    assert labels.numpy()[0, :2].tolist() == [0, 1] and (labels.numpy()[0, 2:] == -1).all()
    assert scores.shape == (1, 1)


def test_each_name_is_there_or_says_what_to_use():
    for name in (*functions.SAME, *functions.__all__):
        assert callable(getattr(K, name)), name
    for names, reason in functions.ABSENT.items():
        for name in names.split():
            with pytest.raises(AttributeError, match="which Keras has: ") as caught:
                getattr(K, name)
            assert reason in str(caught.value)
    with pytest.raises(AttributeError, match="did you mean 'flatten'"):
        K.flaten  # noqa: B018


def test_same_functions_take_the_arguments_of_keras_in_their_order():
    for name in functions.SAME - {"stop_gradient"}:
        assert next(iter(inspect.signature(getattr(ops, name)).parameters)).startswith("x"), name


def test_names_begin_the_messages():
    with pytest.raises(ValueError, match="^mine: "):
        K.constant([1.0, 2.0], shape=(3, 3), name="mine")
    assert K.variable(1.0, name="v").name == "v" and K.dtype(K.zeros((1,), "float16")) == "float16"


def test_leaky_relu_takes_alpha():
    with pytest.warns(UserWarning, match="negative_slope"):
        assert layers.LeakyReLU(alpha=0.5).negative_slope == 0.5


def test_input_dim_is_the_shape_of_the_first_input():
    model = cnnrs.Sequential([layers.Dense(3, input_dim=4), layers.Dense(1)])
    assert model.input_shape == (None, 4)
    with pytest.raises(ValueError, match="input_dim"):
        layers.Dense(3, input_dim="four")


@pytest.mark.parametrize("padding", ["valid", "same", "causal"])
def test_a_subclass_changes_the_convolution(padding):
    class Doubled(layers.Conv1D):
        def convolution_op(self, inputs, kernel):
            return super().convolution_op(inputs, kernel * 2.0)

    class Called(layers.Conv1D):
        def call(self, inputs):
            return self.convolution_op(inputs, self.kernel * 2.0) + self.bias

    x = np.random.default_rng(0).random((2, 8, 3), np.float32)
    options = {"padding": padding, "bias_initializer": "ones", "kernel_initializer": "ones"}
    plain = layers.Conv1D(4, 3, **options)(x).numpy()
    for cls in (Doubled, Called):
        np.testing.assert_allclose(cls(4, 3, **options)(x), 2 * (plain - 1) + 1, rtol=1e-5)


class Former(cnnrs.Model):
    """A model whose step is written as for Keras 2."""

    def __init__(self):
        super().__init__()
        self.dense = layers.Dense(1, kernel_regularizer="l2", kernel_initializer="ones")

    def call(self, x):
        return self.dense(x)

    def train_step(self, data):
        x, y = data
        with cnnrs.GradientTape() as tape:
            y_pred = self(x, training=True)
            loss = self.compiled_loss(y, y_pred, regularization_losses=self.losses)
        gradients = tape.gradient(loss, self.trainable_variables)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_variables, strict=True))
        self.compiled_metrics.update_state(y, y_pred)
        return {metric.name: metric.result() for metric in self.metrics}


@pytest.mark.filterwarnings("ignore:.*since Keras 3")
def test_compiled_loss_and_metrics_are_those_of_compile():
    x, y = np.ones((8, 3), np.float32), np.zeros((8, 1), np.float32)
    model = Former()
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(x, y, verbose=0).history
    assert history["loss"] == [pytest.approx(9 + 0.03)] and float(history["mae"][0]) == pytest.approx(3)
    for compiled, text in ((False, r"expected compile\(\)"), (True, "received none")):
        other = Former()
        if compiled:
            other.compile("sgd")
        with pytest.raises(ValueError, match=text):
            other.compiled_loss(y, y)
    assert other.compiled_metrics.update_state(y, y) is None


def test_many_unread_gradients_are_computed_on_the_way():
    x = cnnrs.Variable(np.ones((4,), np.float32))
    found = []
    for number in range(30):
        with cnnrs.GradientTape() as tape:
            y = ops.sum(x * x * float(number))
        found.append(tape.gradient(y, x))
    assert not found[-1].is_realised
    assert sum(not gradient.is_realised for gradient in found) <= 5
    for number, gradient in enumerate(found):
        assert gradient.tolist() == [2.0 * number] * 4


def test_what_is_made_of_unread_gradients_waits_for_few_of_them():
    found, kept = [], []
    for number in range(12):
        x = ops.ones((1, 4)) * float(number)
        with cnnrs.GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(x * x)
        gradient = tape.gradient(y, x)
        found.append(gradient[0])  # the gradient itself is gone with the next step
        kept.append(gradient if number == 0 else None)
    assert kept[0].is_realised
    assert [row.tolist() for row in found] == [[2.0 * number] * 4 for number in range(12)]


def test_gradients_of_recordings_that_were_given_up_hinder_nobody():
    def gradient(x, fails):
        with cnnrs.GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(x * x)
        found = tape.gradient(y, x)
        if fails:
            float(ops.sum(found))
        return found

    x = ops.ones((3,))
    for _ in range(6):
        with pytest.raises(RuntimeError, match="while its function is being traced"):
            cnnrs.function(lambda x: gradient(x, True))(x)
        with cnnrs.GradientTape() as tape:
            tape.watch(x)
            y = ops.sum(x * x)
        kept = tape.gradient(y, x)
    assert kept.tolist() == [2.0] * 3


@cnnrs.saving.register_keras_serializable("former")
def small_loss(y_true, y_pred):
    return ops.mean(ops.square(y_pred - y_true)) / 10.0


@cnnrs.saving.register_keras_serializable("former")
class OwnCompile(cnnrs.Model):
    """A model whose compile has arguments of its own, which its config holds as they are."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense = layers.Dense(1)

    def call(self, x):
        return self.dense(x)

    def compile(self, optimizer, loss_fn):
        super().compile(optimizer=optimizer, loss=loss_fn)
        self.loss_fn = loss_fn

    def get_compile_config(self):
        return {"own_optimizer": self.optimizer, "loss_fn": self.loss_fn}

    def compile_from_config(self, config):
        read = cnnrs.saving.deserialize_keras_object
        self.compile(read(config["own_optimizer"]), read(config["loss_fn"]))


def test_objects_in_a_compile_config_are_saved(tmp_path):
    model = OwnCompile()
    model.compile(cnnrs.optimizers.SGD(0.25), small_loss)
    model.fit(np.ones((4, 3)), np.ones((4, 1)), verbose=0)
    path = tmp_path / "m.keras"
    model.save(path)
    loaded = cnnrs.models.load_model(path)
    assert loaded.loss_fn is small_loss and float(loaded.optimizer.learning_rate) == 0.25
