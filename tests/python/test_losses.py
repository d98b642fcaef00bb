"""Losses against numpy re-statements of Keras's formulas, in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import losses, metrics, ops

RANDOM = np.random.default_rng(5)
LABELS = np.array([2, 0, 1, 2, 1], np.int32)
HOT = np.eye(3, dtype=np.float32)[LABELS]
LOGITS = RANDOM.normal(size=(5, 3)).astype(np.float32) * 3
A = RANDOM.normal(size=(5, 4)).astype(np.float32)
B = RANDOM.normal(size=(5, 4)).astype(np.float32)
BITS = (RANDOM.random((5, 4)) < 0.5).astype(np.float32)
POSITIVE, POSITIVE_2 = np.abs(A) + 0.1, np.abs(B) + 0.1


def softmax(x: Any) -> np.ndarray:
    e = np.exp(x.astype(np.float64) - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


def sigmoid(x: Any) -> np.ndarray:
    return 1.0 / (1.0 + np.exp(-x.astype(np.float64)))


def unit(x: Any) -> np.ndarray:
    return x / np.linalg.norm(x.astype(np.float64), axis=-1, keepdims=True)


PROBABILITIES = softmax(LOGITS).astype(np.float32)


def binary(y: Any, p: Any) -> np.ndarray:
    return -(y * np.log(p) + (1 - y) * np.log(1 - p)).mean(-1)


CASES = {
    "mean_squared_error": ((A, B), lambda: ((A - B) ** 2).mean(-1)),
    "mean_absolute_error": ((A, B), lambda: np.abs(A - B).mean(-1)),
    "mean_absolute_percentage_error": ((A, B), lambda: 100 * np.abs((A - B) / np.abs(A)).mean(-1)),
    "mean_squared_logarithmic_error": (
        (POSITIVE, POSITIVE_2),
        lambda: ((np.log1p(POSITIVE) - np.log1p(POSITIVE_2)) ** 2).mean(-1),
    ),
    "huber": (
        (A, B),
        lambda: np.where(np.abs(A - B) <= 1, (A - B) ** 2 / 2, np.abs(A - B) - 0.5).mean(-1),
    ),
    "log_cosh": ((A, B), lambda: np.log(np.cosh((B - A).astype(np.float64))).mean(-1)),
    "kl_divergence": (
        (PROBABILITIES, PROBABILITIES[::-1]),
        lambda: (PROBABILITIES * np.log(PROBABILITIES / PROBABILITIES[::-1])).sum(-1),
    ),
    "poisson": ((POSITIVE, POSITIVE_2), lambda: (POSITIVE_2 - POSITIVE * np.log(POSITIVE_2 + 1e-7)).mean(-1)),
    "hinge": ((BITS, B), lambda: np.maximum(1 - (2 * BITS - 1) * B, 0).mean(-1)),
    "squared_hinge": ((BITS, B), lambda: (np.maximum(1 - (2 * BITS - 1) * B, 0) ** 2).mean(-1)),
    "categorical_hinge": (
        (HOT, LOGITS),
        lambda: np.maximum(((1 - HOT) * LOGITS).max(-1) - (HOT * LOGITS).sum(-1) + 1, 0),
    ),
    "cosine_similarity": ((A, B), lambda: -(unit(A) * unit(B)).sum(-1)),
    "categorical_crossentropy": (
        (HOT, PROBABILITIES),
        lambda: -np.log(softmax(LOGITS)[np.arange(5), LABELS]),
    ),
    "sparse_categorical_crossentropy": (
        (LABELS, PROBABILITIES),
        lambda: -np.log(softmax(LOGITS)[np.arange(5), LABELS]),
    ),
    "binary_crossentropy": ((BITS, sigmoid(B).astype(np.float32)), lambda: binary(BITS, sigmoid(B))),
}


@pytest.mark.parametrize("name", CASES)
def test_function_and_class_compute_the_formula(name):
    (y_true, y_pred), expected = CASES[name]
    function = getattr(losses, name)
    np.testing.assert_allclose(function(y_true, y_pred).numpy(), expected(), rtol=2e-5, atol=2e-6)
    loss = losses.get("".join(part.title() for part in name.split("_")).replace("Kl", "KL"))
    np.testing.assert_allclose(float(loss(y_true, y_pred)), expected().mean(), rtol=2e-5, atol=2e-6)
    again = type(loss).from_config(loss.get_config())
    assert float(again(y_true, y_pred)) == float(loss(y_true, y_pred))
    assert losses.deserialize(losses.serialize(loss)).get_config() == loss.get_config()


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_label_smoothing_and_logits(smoothing):
    target = HOT * (1 - smoothing) + smoothing / 3
    expected = -(target * np.log(softmax(LOGITS))).sum(-1).mean()
    for from_logits, y_pred in ((True, LOGITS), (False, PROBABILITIES)):
        loss = losses.CategoricalCrossentropy(from_logits=from_logits, label_smoothing=smoothing)
        assert float(loss(HOT, y_pred)) == pytest.approx(expected, rel=1e-5)
    target = BITS * (1 - smoothing) + smoothing / 2
    loss = losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)
    assert float(loss(BITS, B)) == pytest.approx(binary(target, sigmoid(B)).mean(), rel=1e-5)


def test_probabilities_are_clipped_and_logits_are_not():
    certain = np.array([[0.0, 1.0]], np.float32)
    assert float(losses.SparseCategoricalCrossentropy()([0], certain)) == pytest.approx(
        -np.log(1e-7), rel=1e-5
    )
    logits = np.array([[-200.0, 0.0]], np.float32)
    assert float(losses.SparseCategoricalCrossentropy(from_logits=True)([0], logits)) == pytest.approx(200.0)
    # A softmax's output remembers its logits.
    assert float(losses.SparseCategoricalCrossentropy()([0], ops.softmax(logits))) == pytest.approx(200.0)


def test_ignored_class_leaves_sum_and_mean():
    expected = -np.log(softmax(LOGITS)[np.arange(5), LABELS])
    kept = LABELS != 2
    arguments: dict[str, Any] = {"from_logits": True, "ignore_class": 2}
    mean = losses.SparseCategoricalCrossentropy(**arguments)
    assert float(mean(LABELS, LOGITS)) == pytest.approx(expected[kept].mean(), rel=1e-5)
    total = losses.SparseCategoricalCrossentropy(**arguments, reduction="sum")
    assert float(total(LABELS, LOGITS)) == pytest.approx(expected[kept].sum(), rel=1e-5)
    every = losses.SparseCategoricalCrossentropy(**arguments, reduction="none")
    np.testing.assert_allclose(every(LABELS, LOGITS).numpy(), np.where(kept, expected, 0), rtol=1e-5)
    # -1 is no class; it must not be looked up.
    outside = losses.SparseCategoricalCrossentropy(from_logits=True, ignore_class=-1)
    labels = np.where(kept, LABELS, -1)
    assert float(outside(labels, LOGITS)) == pytest.approx(expected[kept].mean(), rel=1e-5)


@pytest.mark.parametrize("weight_shape", [(5,), (5, 1)])
def test_weights_and_reductions(weight_shape):
    values = ((A - B) ** 2).mean(-1)
    weight = np.array([0.5, 0, 2, 1, 3], np.float32)
    given = weight.reshape(weight_shape)
    expected = {
        "sum": (values * weight).sum(),
        "sum_over_batch_size": (values * weight).sum() / 5,
        "mean": (values * weight).sum() / 5,
        "mean_with_sample_weight": (values * weight).sum() / weight.sum(),
    }
    for reduction, value in expected.items():
        loss = losses.MeanSquaredError(reduction=reduction)
        assert float(loss(A, B, given)) == pytest.approx(value, rel=1e-5)
    assert losses.MeanSquaredError(reduction="none")(A, B, given).shape == (5,)
    nothing = losses.MeanSquaredError(reduction="mean_with_sample_weight")
    assert float(nothing(A, B, np.zeros(5))) == 0.0


def test_gradient_is_that_of_the_formula():
    logits = cnnrs.Variable(LOGITS)
    with cnnrs.GradientTape() as tape:
        loss = losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, logits)
    expected = (softmax(LOGITS) - HOT) / 5
    np.testing.assert_allclose(tape.gradient(loss, logits).numpy(), expected, rtol=1e-4, atol=1e-6)


def test_a_loss_of_the_users_own():
    class Half(losses.Loss):
        def call(self, y_true, y_pred):
            return ops.abs(y_true - y_pred) * 0.5

    assert float(Half()(A, B)) == pytest.approx(np.abs(A - B).mean() / 2, rel=1e-5)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: losses.get("mean_square_error"), ValueError, "did you mean 'mean_squared_error'"),
        (lambda: losses.MeanSquaredError(reduction="avg"), ValueError, "reduction.*received 'avg'"),
        (
            lambda: losses.CategoricalCrossentropy(label_smoothing=1.5)(HOT, LOGITS),
            ValueError,
            "label_smoothing",
        ),
        (lambda: losses.MeanSquaredError()(A, B, np.ones(4)), ValueError, r"sample_weight.*\(5,\).*\(4,\)"),
        (lambda: losses.SparseCategoricalCrossentropy()(HOT, LOGITS), ValueError, r"\(5, 3\)"),
        (lambda: losses.CategoricalCrossentropy()(LABELS, LOGITS), ValueError, r"\(5,\).*\(5, 3\)"),
        (lambda: losses.MeanSquaredError(dtype="float64x")(A, B), ValueError, "float64x"),
    ],
)
def test_errors_say_what_was_expected(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_a_label_outside_of_the_classes_is_an_error():
    with pytest.raises((ValueError, IndexError, RuntimeError), match="3"):
        float(losses.SparseCategoricalCrossentropy(from_logits=True)([3], [[0.0, 0.0, 0.0]]))


@pytest.mark.parametrize("loss", ["SparseCategoricalCrossentropy", "CategoricalCrossentropy"])
def test_a_softmax_applied_twice_is_warned_of(loss):
    model = cnnrs.Sequential([cnnrs.Input((4,)), cnnrs.layers.Dense(3, activation="softmax")])
    model.compile("sgd", getattr(cnnrs.losses, loss)(from_logits=True))
    y = np.array([0, 1], "int32") if loss.startswith("Sparse") else np.eye(3, dtype="float32")[:2]
    with pytest.warns(UserWarning, match="applied twice"):
        model.train_on_batch(np.ones((2, 4), "float32"), y)


def test_labels_of_nan_are_outside_all_classes():
    with pytest.raises(ValueError, match="label"):
        ops.sparse_categorical_crossentropy([np.nan], np.ones((1, 3), np.float32), from_logits=True).numpy()
    assert ops.cast(np.array([np.nan, 3e9, -7.9], np.float32), "int32").tolist() == [-(2**31), 2**31 - 1, -7]


@pytest.mark.parametrize("short", ["mse", "mae", "mape", "msle", "kld", "MSE", "MAE", "MAPE", "MSLE", "KLD"])
def test_short_names_are_the_functions_that_they_stand_for(short):
    assert getattr(losses, short) is getattr(metrics, short) is losses.get(short)


def test_names_of_older_versions_are_there():
    assert losses.kullback_leibler_divergence is metrics.kullback_leibler_divergence is losses.kl_divergence
    assert losses.logcosh is metrics.logcosh is losses.log_cosh
    for word in ("AUTO", "NONE", "SUM", "SUM_OVER_BATCH_SIZE"):
        loss = losses.MeanSquaredError(reduction=getattr(losses.Reduction, word))
        assert np.shape(loss([[1.0], [3.0]], [[0.0], [0.0]])) == ((2,) if word == "NONE" else ())


@pytest.mark.parametrize("axis", [(1, 2, 3), [1, 2], None, 1, -1])
def test_losses_of_images_are_means_over_several_axes(axis):
    """The loss of an autoencoder: one number for each image."""
    rng = np.random.default_rng(0)
    y, p = (
        rng.integers(0, 2, (2, 3, 4, 1)).astype(np.float32),
        rng.uniform(0.1, 0.9, (2, 3, 4, 1)).astype(np.float32),
    )
    axes = tuple(axis) if isinstance(axis, list) else axis
    entropy = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    right = y * p + (1 - y) * (1 - p)
    lengths = [np.sqrt((z * z).sum(axes, keepdims=True)) for z in (y, p)]
    with np.errstate(invalid="ignore"):
        cosines = np.nan_to_num(-(y / lengths[0] * p / lengths[1])).sum(axes)
    for function, expected in (
        (losses.binary_crossentropy, entropy.mean(axes)),
        (losses.binary_focal_crossentropy, ((1 - right) ** 2 * entropy).mean(axes)),
        (losses.cosine_similarity, cosines),
    ):
        np.testing.assert_allclose(function(y, p, axis=axis), expected, rtol=1e-5, atol=1e-6)
    whole = losses.BinaryCrossentropy(axis=axis, reduction="sum")(y, p)
    np.testing.assert_allclose(whole, entropy.mean(axes).sum(), rtol=1e-5)
