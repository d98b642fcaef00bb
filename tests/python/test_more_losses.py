"""Focal, generalized, overlap and circle losses against numpy in float64; the dtype of a loss."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import losses

RANDOM = np.random.default_rng(4)
LABELS = RANDOM.integers(0, 3, 6)
HOT = np.eye(3)[LABELS]
LOGITS = RANDOM.normal(size=(6, 3)) * 2
P = np.exp(LOGITS) / np.exp(LOGITS).sum(1, keepdims=True)
MASKS = RANDOM.integers(0, 2, (4, 5, 5, 1))
GUESS = RANDOM.uniform(size=MASKS.shape)


def circle(labels, x, gamma, margin, remove_diagonal):
    d = np.maximum(1 - x @ x.T, 0)
    same = labels[:, None] == labels[None]
    other = ~same
    if remove_diagonal:
        same = same & ~np.eye(len(labels), dtype=bool)
    near = -gamma * np.maximum(margin + d, 0) * (margin - d)
    far = gamma * np.maximum(1 + margin - d, 0) * (1 - margin - d)
    with np.errstate(divide="ignore"):
        total = np.log((np.exp(near) * same).sum(1)) + np.log((np.exp(far) * other).sum(1))
    return np.logaddexp(0, total)


def embeddings(n=8, width=4):
    x = RANDOM.normal(size=(n, width))
    return x / np.linalg.norm(x, axis=1, keepdims=True)


@pytest.mark.parametrize("from_logits", [False, True])
@pytest.mark.parametrize("axis", [-1, 1, 0])
@pytest.mark.parametrize(
    "alpha, gamma, smoothing", [(0.25, 2.0, 0.0), (1.0, 0.0, 0.1), ([0.1, 0.5, 1.0], 3.0, 0.0)]
)
def test_categorical_focal_crossentropy(alpha, gamma, smoothing, axis, from_logits):
    y = HOT * (1 - smoothing) + smoothing / 3
    expected = (np.asarray(alpha) * (1 - P) ** gamma * -y * np.log(P)).sum(1)
    given = (HOT, LOGITS if from_logits else P)
    if axis == 0:
        if isinstance(alpha, list):
            alpha = np.reshape(alpha, (3, 1))
        given = tuple(x.T for x in given)
    found = losses.categorical_focal_crossentropy(*given, alpha, gamma, from_logits, smoothing, axis)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("q", [0.1, 0.5, 0.9])
def test_generalized_cross_entropy(q):
    expected = (1 - P[np.arange(6), LABELS] ** q) / q
    found = losses.categorical_generalized_cross_entropy(LABELS, P, q)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)
    assert float(losses.CategoricalGeneralizedCrossEntropy(q)(LABELS, P)) == pytest.approx(
        expected.mean(), rel=1e-5
    )


@pytest.mark.parametrize("axis", [None, (1, 2, 3), 1])
def test_overlap(axis):
    both, true, guess = ((x).sum(axis) for x in (MASKS * GUESS, MASKS * 1.0, GUESS))
    np.testing.assert_allclose(
        losses.dice(MASKS, GUESS, axis).numpy(), 1 - 2 * both / (true + guess), rtol=1e-4
    )
    expected = 1 - both / (both + 0.3 * (guess - both) + 0.7 * (true - both))
    np.testing.assert_allclose(
        losses.tversky(MASKS, GUESS, 0.3, 0.7, axis).numpy(), expected, rtol=1e-4, atol=1e-6
    )
    assert float(losses.Dice(axis=axis)(MASKS, GUESS)) == pytest.approx(
        float(losses.Tversky(axis=axis)(MASKS, GUESS))
    )


@pytest.mark.parametrize("remove_diagonal", [True, False])
def test_circle(remove_diagonal):
    x, labels = embeddings(), np.array([0, 0, 1, 1, 2, 2, 2, 3])
    expected = circle(labels, x, 8.0, 0.25, remove_diagonal)
    found = losses.circle(labels, x, gamma=8.0, margin=0.25, remove_diagonal=remove_diagonal)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-5)
    loss = losses.Circle(gamma=8.0, margin=0.25, remove_diagonal=remove_diagonal)
    assert float(loss(labels[:, None], x)) == pytest.approx(expected[expected > 0].mean(), rel=1e-4)
    # References of their own.
    own = losses.circle(labels[:3], x[:3], labels, x, False, 8.0, 0.25)
    every = losses.circle(labels, x, None, None, False, 8.0, 0.25)
    np.testing.assert_allclose(own.numpy(), every.numpy()[:3], rtol=1e-5)


CASES = [
    (losses.CategoricalFocalCrossentropy(), HOT, P),
    (losses.CategoricalGeneralizedCrossEntropy(), LABELS, P),
    (losses.Dice(), HOT, P),
    (losses.Tversky(), HOT, P),
    (losses.Circle(gamma=4.0), LABELS, embeddings(6, 3)),
]


@pytest.mark.parametrize("loss, y, p", CASES, ids=lambda c: getattr(c, "name", ""))
def test_gradients(loss, y, p):
    v = cnnrs.Variable(np.asarray(p, np.float32))
    with cnnrs.GradientTape() as tape:
        value = loss(y, v)
    gradient = tape.gradient(value, v).numpy()
    assert np.isfinite(gradient).all() and gradient.any()
    direction = RANDOM.normal(size=v.shape)
    step = 1e-3
    ends = [float(loss(y, np.asarray(p + s * direction, np.float32))) for s in (step, -step)]
    assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=2e-2, abs=2e-3)


@pytest.mark.parametrize("loss, y, p", CASES, ids=lambda c: getattr(c, "name", ""))
def test_in_fit_and_as_nodes_of_a_model(loss, y, p):
    again = losses.deserialize(losses.serialize(loss))
    assert again.get_config() == loss.get_config()
    model = cnnrs.Sequential([cnnrs.Input((3,)), cnnrs.layers.Activation("linear")])
    model.compile("sgd", loss)
    value = model.evaluate(np.asarray(p, np.float32), y, verbose=0)
    assert value == pytest.approx(float(loss(y, p)), rel=1e-5)


# Targets that are no one-hot masks. Losses with a margin take cosines, and those of pairs one batch.
LABELLED = {
    "CategoricalGeneralizedCrossEntropy",
    "Circle",
    "TripletHard",
    "TripletSemiHard",
    "ArcFace",
    "CosFace",
    "categorical_generalized_cross_entropy",
    "arcface",
    "cosface",
}
TAUGHT = np.stack([HOT, LOGITS[::-1]], 1)


def targets(name):
    if name.lower() == "distillation":
        return TAUGHT
    if name.lower().startswith("sparse") or name in LABELLED:
        return LABELS
    return HOT[:, 0] if name == "Contrastive" else HOT


_FUNCTIONS = [name for name in vars(losses) if callable(vars(losses)[name]) and name.islower()]
_FUNCTIONS = [
    n
    for n in _FUNCTIONS
    if hasattr(getattr(losses, n), "is_cnnrs_op")
    and n not in ("center", "circle", "contrastive", "ctc", "triplet_hard", "triplet_semi_hard")
    and not n.endswith("iou_loss")
]


_FUNCTIONS += ["binary_accuracy", "categorical_accuracy", "pearson_correlation"]


@pytest.mark.parametrize("name", _FUNCTIONS)
def test_functions_take_symbolic_tensors(name):
    function = getattr(losses, name, None) or getattr(cnnrs.metrics, name)
    arguments = {"q": 0.5} if name == "categorical_generalized_cross_entropy" else {}
    y, p = targets(name).astype("float32"), P.astype("float32")
    a, b = cnnrs.Input(y.shape[1:]), cnnrs.Input(p.shape[1:])
    model = cnnrs.Model([a, b], function(a, b, **arguments))
    model = cnnrs.Model.from_config(model.get_config())
    found, expected = model([y, p]).numpy(), function(y, p, **arguments).numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize(
    "name",
    [n for n in losses.__all__ if n[0].isupper() and n not in ("Loss", "CTC") and not n.endswith("IoULoss")],
)
def test_a_dtype_is_that_of_the_loss(name, dtype):
    y = targets(name) + 0.5 if "Percentage" in name else targets(name)
    p = P[:, 0] if name == "Contrastive" else P
    loss = getattr(losses, name)(dtype=dtype)
    value = loss(y, p)
    assert value.dtype == loss.dtype == dtype
    plain = float(getattr(losses, name)()(y, p))
    assert float(value) == pytest.approx(
        plain, rel={"float32": 0, "float64": 1e-5, "float16": 5e-3, "bfloat16": 4e-2}[dtype], abs=2e-2
    )
    assert losses.deserialize(losses.serialize(loss)).dtype == dtype


def test_one_class_is_warned_of():
    for name in ("CategoricalCrossentropy", "CategoricalFocalCrossentropy"):
        with pytest.warns(SyntaxWarning, match="binary_crossentropy"):
            getattr(losses, name)()(np.ones((2, 1)), np.ones((2, 1)))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: losses.CategoricalGeneralizedCrossEntropy(q=1.0), "q: expected.*< 1"),
        (lambda: losses.Dice(dtype="int32"), "dtype.*floats.*int32"),
        (lambda: losses.categorical_crossentropy(HOT, P, axis=True), "axis.*integer"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("name", ["crossentropy", "ce"])
@pytest.mark.parametrize(
    "kind, y, p",
    [
        ("binary_crossentropy", HOT[:, :1], P[:, :1]),
        ("categorical_crossentropy", HOT, P),
        ("sparse_categorical_crossentropy", LABELS, P),
        ("sparse_categorical_crossentropy", LABELS[:, None], P),
    ],
)
def test_compile_finds_the_crossentropy_that_fits(name, kind, y, p):
    def logs_of(kind):
        model = cnnrs.Sequential([cnnrs.Input((p.shape[1],)), cnnrs.layers.Activation("linear")])
        model.compile("sgd", kind, metrics=[kind])
        return model.evaluate(p.astype("float32"), y, verbose=0, return_dict=True)

    found, expected = logs_of(name), logs_of(kind)
    assert found == {"loss": expected["loss"], name: expected[kind]}


def test_generalized_cross_entropy_of_labels_in_a_column():
    """Labels such as those of CIFAR-10, (n, 1), mean the same as (n,)."""
    loss = losses.CategoricalGeneralizedCrossEntropy(reduction="none")
    found = loss(LABELS[:, None], P)
    assert tuple(found.shape) == LABELS.shape
    np.testing.assert_array_equal(found, loss(LABELS, P))


def test_cosine_similarity_of_zeros_and_of_large_numbers_in_16_bits():
    x = np.array([[0.0, 0.0], [300.0, 400.0]], "float16")
    np.testing.assert_allclose(losses.cosine_similarity(x, x), [0.0, -1.0], atol=2e-3)


@pytest.mark.parametrize("name", ["circle", "categorical_generalized_cross_entropy", "mean_squared_error"])
def test_arrays_of_float64_are_float32_as_for_every_loss(name):
    more = {"q": 0.5} if "generalized" in name else {}
    y = P if name == "mean_squared_error" else LABELS
    assert getattr(losses, name)(y, P.astype("float64"), **more).dtype == "float32"


def test_generalized_cross_entropy_of_a_softmax_that_rounds_to_0_has_finite_gradients():
    logits = cnnrs.Variable(np.array([[300.0, 0.0, -300.0]], "float32"))
    with cnnrs.GradientTape() as tape:
        loss = losses.CategoricalGeneralizedCrossEntropy()([2], cnnrs.ops.softmax(logits))
    assert float(loss) == 2.0
    assert np.isfinite(tape.gradient(loss, logits)).all()
