"""What is known about a tensor beside its values: logits and masks, and which ops pass them on."""

from __future__ import annotations

import copy
import inspect
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, losses, metrics, ops
from cnnrs.ops.annotated import AnnotatedTensor, annotate, info_of

LOGITS = np.random.default_rng(0).normal(0, 2, (4, 3, 5)).astype(np.float32)
# Their probabilities are 0 and 1 to the last bit: only the logits tell how wrong they are.
EXTREME = (LOGITS * 100).astype(np.float32)
HOT = np.eye(5, dtype=np.float32)[np.random.default_rng(1).integers(0, 5, (4, 3))]


def softmax(x: np.ndarray, axis: int) -> np.ndarray:
    e = np.exp(x.astype(np.float64) - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


ACTIVATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "softmax": (ops.softmax, lambda x: softmax(x, -1)),
    "softmax over axis 1": (lambda x: ops.softmax(x, 1), lambda x: softmax(x, 1)),
    "softmax over two axes": (
        lambda x: ops.softmax(x, (1, 2)),
        lambda x: softmax(x.reshape(len(x), -1), -1).reshape(x.shape),
    ),
    "sigmoid": (ops.sigmoid, sigmoid),
}


def categorical(p: np.ndarray, axis: int) -> np.ndarray:
    return -(HOT * np.log(p / p.sum(axis, keepdims=True))).sum(axis)


CROSS_ENTROPIES: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "categorical": (lambda p: ops.categorical_crossentropy(HOT, p), lambda p: categorical(p, -1)),
    "categorical over axis 1": (
        lambda p: ops.categorical_crossentropy(HOT, p, axis=1),
        lambda p: categorical(p, 1),
    ),
    "binary": (
        lambda p: ops.binary_crossentropy(HOT, p),
        lambda p: -HOT * np.log(p) - (1 - HOT) * np.log1p(-p),
    ),
}


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("loss", CROSS_ENTROPIES)
def test_every_cross_entropy_of_every_activation_is_that_of_its_probabilities(activation, loss):
    function, expected = ACTIVATIONS[activation]
    entropy, formula = CROSS_ENTROPIES[loss]
    actual = entropy(function(LOGITS)).numpy()
    np.testing.assert_allclose(actual, formula(expected(LOGITS)), rtol=2e-4, atol=1e-5)


def test_sparse_cross_entropy_reads_logits_of_softmax_over_the_last_axis_only():
    labels = HOT.argmax(-1)

    def of(probabilities: np.ndarray) -> np.ndarray:
        return -np.log(np.take_along_axis(probabilities, labels[..., None], -1)[..., 0])

    # As in Keras, probabilities are taken as they are; their log_softmax would be that of a distribution.
    actual = ops.sparse_categorical_crossentropy(labels, ops.softmax(LOGITS))
    np.testing.assert_allclose(actual.numpy(), of(softmax(LOGITS, -1)), rtol=1e-4)
    for function in ("softmax over axis 1", "sigmoid"):
        probabilities = ACTIVATIONS[function][0](LOGITS)
        plain = ops.sparse_categorical_crossentropy(labels, probabilities.numpy())
        np.testing.assert_array_equal(
            ops.sparse_categorical_crossentropy(labels, probabilities).numpy(), plain.numpy()
        )


def test_the_loss_over_the_axis_of_softmax_is_computed_from_logits():
    for axis in (-1, 1, 2, 0):
        actual = ops.categorical_crossentropy(HOT, ops.softmax(EXTREME, axis), axis=axis)
        expected = ops.categorical_crossentropy(HOT, EXTREME, from_logits=True, axis=axis)
        np.testing.assert_array_equal(actual.numpy(), expected.numpy())
        assert actual.numpy().max() > 100


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_logits_beside_from_logits_are_warned_of(activation):
    probabilities = ops.reshape(ACTIVATIONS[activation][0](LOGITS), (12, 5))
    with pytest.warns(UserWarning, match=rf"come out of a {activation}.*applied twice"):
        ops.categorical_crossentropy(HOT.reshape(12, 5), probabilities, from_logits=True)


class Passing:
    """A function through which logits pass.

    Attributes:
        function: It.
        axis: Where the axis of classes, the last, is after it.
    """

    def __init__(self, function: Callable[[Any], Any], axis: int = -1):
        self.function = function
        self.axis = axis


PASSING: dict[str, Passing] = {
    "nothing": Passing(lambda x: x),
    "linear": Passing(cnnrs.activations.linear),
    "copy": Passing(ops.copy),
    "convert_to_tensor": Passing(ops.convert_to_tensor),
    "cast": Passing(lambda x: ops.cast(x, "float32")),
    "astype": Passing(lambda x: x.astype("float32")),
    "plus": Passing(lambda x: +x),
    "reshape": Passing(lambda x: ops.reshape(x, (2, 6, 5))),
    "reshape method": Passing(lambda x: x.reshape(12, 5)),
    "expand_dims": Passing(lambda x: ops.expand_dims(x, -1), -2),
    "expand_dims in front": Passing(lambda x: ops.expand_dims(x, (0, 2))),
    "squeeze": Passing(lambda x: ops.squeeze(ops.expand_dims(x, (1, 3, 5)))),
    "transpose": Passing(lambda x: ops.transpose(x), 0),
    "transpose property": Passing(lambda x: x.T, 0),
    "moveaxis": Passing(lambda x: ops.moveaxis(x, -1, 1), 1),
    "swapaxes": Passing(lambda x: ops.swapaxes(x, 0, 2), 0),
    "flip": Passing(lambda x: ops.flip(x, (0, 1))),
    "item": Passing(lambda x: x[1:3, 0]),
    "items with all else": Passing(lambda x: x[..., None, ::2, :]),
    "slice": Passing(lambda x: ops.slice(x, (1, 0), (2, 2))),
    "split": Passing(lambda x: ops.split(x, 2)[1]),
    "unstack": Passing(lambda x: ops.unstack(x, axis=1)[2]),
    "Flatten": Passing(lambda x: layers.Flatten()(x.reshape(12, 5))),
    "Reshape": Passing(lambda x: layers.Reshape((1, 3, 5))(x)),
    "Permute": Passing(lambda x: layers.Permute((2, 1))(x), 1),
    "Identity": Passing(layers.Identity()),
    "Activation": Passing(layers.Activation("linear")),
    "Dropout": Passing(lambda x: layers.Dropout(0.5)(x, training=False)),
    "Sequential": Passing(cnnrs.Sequential([layers.Identity(), layers.Reshape((1, 3, 5))])),
    "several": Passing(lambda x: ops.moveaxis(ops.reshape(x, (2, 2, 3, 5))[0], 2, 0), 0),
}


@pytest.mark.parametrize("name", PASSING)
def test_logits_pass_and_the_gradient_is_that_of_from_logits(name):
    function, axis = PASSING[name].function, PASSING[name].axis
    x = cnnrs.Variable(EXTREME)
    target = function(ops.array(HOT))
    values, gradients = [], []
    for from_logits in (False, True):
        with cnnrs.GradientTape() as tape:
            moved = function(x.value if from_logits else ops.softmax(x))
            loss = ops.categorical_crossentropy(target, moved, from_logits=from_logits, axis=axis)
            total = ops.sum(loss)
        values.append(loss.numpy())
        gradients.append(tape.gradient(total, x).numpy())
    np.testing.assert_array_equal(*values)
    np.testing.assert_array_equal(*gradients)
    assert values[0].max() > 20  # more than -log(1e-7)
    assert np.abs(gradients[0]).max() > 0.1


@pytest.mark.parametrize("name", PASSING)
def test_logits_of_sigmoid_pass(name):
    function = PASSING[name].function
    target = function(ops.array(HOT))
    actual = ops.binary_crossentropy(target, function(ops.sigmoid(EXTREME)))
    expected = ops.binary_crossentropy(target, function(ops.array(EXTREME)), from_logits=True)
    np.testing.assert_array_equal(actual.numpy(), expected.numpy())
    assert actual.numpy().max() > 100


def test_no_gradient_flows_through_logits_that_stop_gradient_passes_on():
    x = cnnrs.Variable(EXTREME)
    with cnnrs.GradientTape() as tape:
        loss = ops.sum(
            ops.categorical_crossentropy(HOT, ops.stop_gradient(ops.softmax(x))) + ops.sum(x * 0.0)
        )
    assert float(loss) > 1000
    np.testing.assert_array_equal(tape.gradient(loss, x).numpy(), 0.0 * EXTREME)
    assert info_of(ops.softmax(x).detach()).logits is None


BREAKING: dict[str, Callable[[Any], Any]] = {
    "add": lambda x: x + 0.1,
    "radd": lambda x: 0.1 + x,
    "ops.add": lambda x: ops.add(x, 0.1),
    "where": lambda x: ops.where(x > 0.5, x, 0.25),
    "clip": lambda x: ops.clip(x, 0.1, 0.9),
    "negative": lambda x: 0.0 - x,
    "relu": ops.relu,
    "int": lambda x: ops.cast(ops.cast(x * 100, "int32"), "float32"),
    "classes apart": lambda x: ops.reshape(x, (4, 5, 3)),
    "classes joined": lambda x: ops.reshape(x, (4, 15)),
    "classes cut": lambda x: x[..., :3],
    "classes picked": lambda x: x[..., 1],
    "classes picked by a tensor": lambda x: x[..., ops.array([1, 0])],
    "classes in another order": lambda x: ops.flip(x, -1),
    "classes sliced": lambda x: ops.slice(x, (0, 0, 1), (4, 3, 2)),
    "rows picked": lambda x: ops.take(x, [0, 1], axis=0),
    "dropout in training": lambda x: layers.Dropout(0.5, seed=1)(x, training=True),
    "joined": lambda x: ops.concatenate([x, x]),
    "softmax again": lambda x: ops.softmax(x, 0) * 1.0,
}


@pytest.mark.parametrize("name", BREAKING)
def test_what_is_no_result_of_the_activation_any_more_has_no_logits(name):
    result = BREAKING[name](ops.softmax(LOGITS))
    assert info_of(result).logits is None
    # And so the loss is that of the values.
    plain = ops.array(result.numpy())
    target = np.ones(result.shape, np.float32)
    axis = result.ndim - 1
    np.testing.assert_array_equal(
        ops.categorical_crossentropy(target, result, axis=axis).numpy(),
        ops.categorical_crossentropy(target, plain, axis=axis).numpy(),
    )


@pytest.mark.parametrize("name", sorted({*PASSING, *BREAKING}))
@pytest.mark.parametrize("activation", ["softmax", "softmax over axis 1", "sigmoid"])
def test_logits_are_always_those_of_the_values(name, activation):
    function = PASSING[name].function if name in PASSING else BREAKING[name]
    _check(function(ACTIVATIONS[activation][0](LOGITS)))


def _check(x: Any) -> None:
    """Asserts that what is known of `x` holds."""
    known = info_of(x)
    if known.logits is not None:
        again = ops.sigmoid if known.logits.function == "sigmoid" else ops.softmax
        arguments = () if known.logits.axis is None else (known.logits.axis,)
        np.testing.assert_allclose(again(known.logits.tensor, *arguments).numpy(), x.numpy(), rtol=1e-5)
    if known.mask is not None:
        assert known.mask.shape == x.shape
        assert known.mask.dtype == "bool"


def _functions_of_a_tensor() -> list[str]:
    """Names of the functions of `cnnrs.ops` that can be called with one tensor and nothing else."""
    found = []
    for name in sorted(vars(ops)):
        function = getattr(ops, name)
        if getattr(function, "is_cnnrs_op", False):
            parameters = list(inspect.signature(function).parameters.values())
            if all(p.default is not p.empty or p.kind is p.VAR_KEYWORD for p in parameters[1:]):
                found.append(name)
    return found


@pytest.mark.parametrize("name", _functions_of_a_tensor())
def test_what_any_function_passes_on_holds(name):
    masked = annotate(ops.array(np.abs(LOGITS[..., :4])), mask=ops.array(LOGITS[..., :4] > 0))
    for x in (ops.softmax(LOGITS[..., :4]), ops.sigmoid(LOGITS[..., :4]), masked):
        try:
            results = getattr(ops, name)(x)
        except (TypeError, ValueError):
            continue
        for result in cnnrs.tree.flatten(results):
            _check(result)


def test_there_are_functions_of_a_tensor():
    assert len(_functions_of_a_tensor()) > 80


def test_numpy_copies_and_pickles_hold_values_only():
    x = ops.softmax(LOGITS)
    assert isinstance(x, AnnotatedTensor)
    for other in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x))):
        np.testing.assert_array_equal(other.numpy(), x.numpy())
        assert info_of(other).logits is None
    assert isinstance(x, cnnrs.Tensor)


# ---- masks


LABELS = np.array([[0, 1, 9], [2, 9, 9], [3, 4, 0], [9, 9, 1]])
KEPT = LABELS != 9
EACH = -np.log(np.take_along_axis(softmax(LOGITS, -1), np.where(KEPT, LABELS, 0)[..., None], -1)[..., 0])
FACTOR = np.random.default_rng(2).uniform(0.5, 2, LABELS.shape).astype(np.float32)


def _each(y_true: Any, y_pred: Any) -> Any:
    return losses.sparse_categorical_crossentropy(y_true, y_pred, from_logits=True, ignore_class=9)


KEEPING: dict[str, tuple[Callable[[Any], Any], Callable[[np.ndarray], np.ndarray]]] = {
    "nothing": (lambda x: x, lambda x: x),
    "times 2": (lambda x: x * 2.0, lambda x: x * 2),
    "2 times": (lambda x: 2.0 * x, lambda x: x * 2),
    "times a tensor": (lambda x: x * FACTOR, lambda x: x * FACTOR),
    "a tensor times": (lambda x: ops.array(FACTOR) * x, lambda x: x * FACTOR),
    "multiply": (lambda x: ops.multiply(FACTOR, x), lambda x: x * FACTOR),
    "weights of columns": (lambda x: x * FACTOR[0], lambda x: x * FACTOR[0]),
    "minus": (lambda x: 1.0 - x, lambda x: 1 - x),
    "divided": (lambda x: 1.0 / (x + 1.0), lambda x: 1 / (x + 1)),
    "negative": (lambda x: -abs(-x), lambda x: -x),
    "power": (lambda x: x**2.0, lambda x: x**2),
    "focal": (lambda x: (1.0 - ops.exp(-x)) ** 2.0 * x, lambda x: (1 - np.exp(-x)) ** 2 * x),
    "where": (lambda x: ops.where(x > 1.0, x, 0.5), lambda x: np.where(x > 1, x, 0.5)),
    "clip": (lambda x: ops.clip(x, 0.5, 2.0), lambda x: np.clip(x, 0.5, 2)),
    "sqrt": (lambda x: ops.sqrt(x + 1.0), lambda x: np.sqrt(x + 1)),
    "cast": (lambda x: ops.cast(ops.cast(x, "int32"), "float32"), lambda x: np.trunc(x)),
    "reshape": (lambda x: ops.reshape(x, (12, 1)), lambda x: x),
    "transpose": (lambda x: x.T, lambda x: x),
    "there and back": (lambda x: x[:, ::-1][None], lambda x: x),
    "stop_gradient": (ops.stop_gradient, lambda x: x),
}


@pytest.mark.parametrize("name", KEEPING)
@pytest.mark.parametrize("kind", ["class", "function", "metric", "weighted metric"])
def test_masks_reach_the_reduction(name, kind):
    function, formula = KEEPING[name]
    expected = formula(EACH)[KEPT].mean()

    class Own(losses.Loss):
        def call(self, y_true: Any, y_pred: Any) -> Any:
            return function(_each(y_true, y_pred))

    def own(y_true: Any, y_pred: Any) -> Any:
        return function(_each(y_true, y_pred))

    if kind == "class":
        actual = Own()(LABELS, LOGITS)
    elif kind == "function":
        actual = losses.LossFunctionWrapper(own)(LABELS, LOGITS)
    else:
        weight = ops.ones(own(LABELS, LOGITS).shape) if kind == "weighted metric" else None
        metric = metrics.MeanMetricWrapper(own)
        metric.update_state(LABELS, LOGITS, sample_weight=weight)
        actual = metric.result()
    assert float(actual) == pytest.approx(expected, rel=1e-4)


def test_of_two_masks_both_must_hold():
    other = np.array([[True, False, True]] * 4)
    second = annotate(ops.ones((4, 3)), mask=ops.array(other))
    for total in (_each(LABELS, LOGITS) + second, second + _each(LABELS, LOGITS)):
        np.testing.assert_array_equal(info_of(total).mask.numpy(), KEPT & other)
    # A mask of another shape than the result is no mask of it.
    assert info_of(ops.ones((2, 4, 3)) * second).mask is None
    assert info_of(ops.sum(second, axis=0)).mask is None


@pytest.mark.parametrize("weight_shape", [(), (4,), (4, 1), (4, 3)])
def test_metrics_of_weights_and_a_mask(weight_shape):
    weight = np.random.default_rng(3).uniform(0.5, 2, weight_shape).astype(np.float32)
    full = np.broadcast_to(weight.reshape(weight_shape + (1,) * (2 - len(weight_shape))), (4, 3))
    metric = metrics.SparseCategoricalCrossentropy(from_logits=True, ignore_class=9)
    for _ in range(2):
        metric.update_state(LABELS, LOGITS, sample_weight=weight)
    expected = (EACH * full)[KEPT].sum() / full[KEPT].sum()
    assert float(metric.result()) == pytest.approx(expected, rel=1e-5)


def test_the_metric_without_ignored_labels_agrees_with_the_loss():
    arguments: dict[str, Any] = {"from_logits": True, "ignore_class": 9}
    loss = losses.SparseCategoricalCrossentropy(**arguments)(LABELS, LOGITS)
    metric = metrics.SparseCategoricalCrossentropy(**arguments)(LABELS, LOGITS)
    assert float(loss) == pytest.approx(float(metric), rel=1e-5)
    nothing = metrics.SparseCategoricalCrossentropy(**arguments)
    assert float(nothing(np.full((4, 3), 9), LOGITS)) == 0.0


# ---- models


def _functional(make: Callable[[], list[Any]]) -> Any:
    inputs = cnnrs.Input((3,))
    x = inputs
    for layer in make():
        x = layer(x)
    return cnnrs.Model(inputs, x)


class Subclassed(cnnrs.Model):
    def __init__(self, make: Callable[[], list[Any]]):
        super().__init__()
        self.parts = make()

    def call(self, x: Any, training: Any = False) -> Any:
        for part in self.parts:
            x = part(x)
        return x


MODELS = {"functional": _functional, "sequential": lambda make: cnnrs.Sequential(make()), "own": Subclassed}


def _train(model: Any, loss: Any, eagerly: bool) -> tuple[list[float], list[np.ndarray]]:
    x = np.random.default_rng(4).normal(size=(8, 3)).astype(np.float32) * 30
    labels = np.random.default_rng(5).integers(0, 4, (8, 1))
    # Loss and weights after three steps; the first predictions are certain and wrong.
    model.compile(cnnrs.optimizers.SGD(0.01), loss, run_eagerly=eagerly)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = [float(model.train_on_batch(x, labels)) for _ in range(3)]
    return values, [w.numpy() for w in model.weights]


@pytest.mark.parametrize("eagerly", [False, True])
@pytest.mark.parametrize("kind", MODELS)
def test_models_of_all_kinds_train_as_from_logits(kind, eagerly):
    def make(activation: bool) -> list[Any]:
        parts = [
            layers.Dense(4, kernel_initializer=cnnrs.initializers.RandomNormal(stddev=5.0, seed=1)),
            layers.Reshape((1, 4)),
            *([layers.Softmax()] if activation else []),
            layers.Dropout(0.0),
            layers.Activation("linear"),
            layers.Flatten(),
            layers.Identity(),
        ]
        return parts

    expected = _train(MODELS[kind](lambda: make(False)), losses.SparseCategoricalCrossentropy(True), eagerly)
    actual = _train(MODELS[kind](lambda: make(True)), losses.SparseCategoricalCrossentropy(), eagerly)
    assert actual[0] == expected[0]
    assert expected[0][0] > 20
    for a, b in zip(actual[1], expected[1], strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_functional_model_that_ends_in_the_loss():
    x, y = cnnrs.Input((3, 5)), cnnrs.Input((3, 5))
    loss = ops.categorical_crossentropy(y, ops.reshape(ops.softmax(x), (-1, 3, 5)))
    model = cnnrs.Model([x, y], loss)
    expected = ops.categorical_crossentropy(HOT, EXTREME, from_logits=True)
    np.testing.assert_array_equal(model([EXTREME, HOT]).numpy(), expected.numpy())
    recorded = cnnrs.function(lambda a, b: ops.categorical_crossentropy(b, ops.softmax(a)[:]))
    np.testing.assert_array_equal(recorded(EXTREME, HOT).numpy(), expected.numpy())
