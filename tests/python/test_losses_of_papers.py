"""Losses that Keras has not, against forms in float64: focal, overlap, smoothing, distillation."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, losses, ops

RANDOM = np.random.default_rng(11)
LABELS = RANDOM.integers(0, 4, 7)
LOGITS = RANDOM.normal(size=(7, 4)) * 3
MASKS = RANDOM.integers(0, 2, (3, 5, 6, 2)).astype("float64")
GUESS = RANDOM.uniform(0.02, 0.98, MASKS.shape)


def log_softmax(z, axis=-1):
    z = z - z.max(axis, keepdims=True)
    return z - np.log(np.exp(z).sum(axis, keepdims=True))


P = np.exp(log_softmax(LOGITS))


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
@pytest.mark.parametrize("alpha", [0.25, [0.1, 0.5, 1.0, 0.2]])
def test_sparse_focal(alpha, gamma, from_logits):
    log = log_softmax(LOGITS)[np.arange(7), LABELS]
    weight = np.asarray(alpha)[LABELS] if isinstance(alpha, list) else alpha
    expected = -weight * (1 - np.exp(log)) ** gamma * log
    given = LOGITS if from_logits else P
    loss = losses.SparseCategoricalFocalCrossentropy(alpha, gamma, from_logits, reduction="none")
    np.testing.assert_allclose(loss(LABELS, given).numpy(), expected, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(loss(LABELS[:, None], given).numpy(), expected, rtol=1e-4, atol=1e-6)
    # It is that of one-hot targets.
    dense = losses.categorical_focal_crossentropy(np.eye(4)[LABELS], given, alpha, gamma, from_logits)
    np.testing.assert_allclose(dense.numpy(), expected, rtol=1e-4, atol=1e-6)


def test_sparse_focal_of_images_with_an_ignored_class():
    logits = RANDOM.normal(size=(2, 4, 3, 3))  # channels first
    labels = RANDOM.integers(0, 4, (2, 3, 3))
    labels[0, 0] = 255
    loss = losses.SparseCategoricalFocalCrossentropy(1.0, 2.0, True, ignore_class=255, axis=1)
    log = log_softmax(logits, 1)
    values = [
        -((1 - np.exp(log[i, c, r, k])) ** 2) * log[i, c, r, k]
        for (i, r, k), c in np.ndenumerate(labels)
        if c != 255
    ]
    assert float(loss(labels, logits)) == pytest.approx(np.mean(values), rel=1e-4)


@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0])
def test_sparse_focal_at_extreme_logits(gamma):
    loss = losses.SparseCategoricalFocalCrossentropy(1.0, gamma, from_logits=True)
    logits = np.array([[1e4, -1e4, 0.0], [-1e4, 1e4, 0.0], [0.0, 0.0, -np.inf]])
    assert np.isfinite(gradient_of(loss, [0, 0, 0], logits)).all()
    value = losses.sparse_categorical_focal_crossentropy([0, 0, 0], logits, 1.0, gamma, True).numpy()
    np.testing.assert_allclose(value, [0, 2e4, 0.5**gamma * np.log(2)], rtol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize("several", [False, True])
def test_label_smoothing_of_sparse_labels(several, from_logits, smoothing):
    given, labels = (LOGITS if from_logits else P), LABELS
    if several:
        given, labels = np.stack([given, given[::-1]]), np.stack([labels, labels[::-1]])
    sparse = losses.SparseCategoricalCrossentropy(from_logits, reduction="none", label_smoothing=smoothing)
    dense = losses.CategoricalCrossentropy(from_logits, smoothing, -1, "none")(np.eye(4)[labels], given)
    np.testing.assert_allclose(sparse(labels, given).numpy(), dense.numpy(), rtol=1e-5, atol=1e-6)
    again = losses.deserialize(losses.serialize(sparse))
    np.testing.assert_array_equal(again(labels, given).numpy(), sparse(labels, given).numpy())


def test_label_smoothing_leaves_out_an_ignored_class():
    labels = np.r_[LABELS[:5], -1, -1]
    loss = losses.SparseCategoricalCrossentropy(True, ignore_class=-1, label_smoothing=0.2)
    target = np.eye(4)[LABELS] * 0.8 + 0.05
    values = -(target * log_softmax(LOGITS)).sum(1)
    assert float(loss(labels, LOGITS)) == pytest.approx(values[:5].mean(), rel=1e-5)


def test_keras_reads_a_loss_without_smoothing():
    assert "label_smoothing" not in losses.SparseCategoricalCrossentropy().get_config()


@pytest.mark.parametrize("axis", [None, (1, 2), (1, 2, 3), 0])
def test_masks(axis):
    both = (MASKS * GUESS).sum(axis)
    wrong = 0.3 * ((1 - MASKS) * GUESS).sum(axis) + 0.7 * (MASKS * (1 - GUESS)).sum(axis)
    index = both / (both + wrong)
    found = losses.FocalTversky(axis=axis, reduction="none")(MASKS, GUESS)
    np.testing.assert_allclose(found.numpy(), (1 - index) ** 0.75, rtol=1e-5)
    plain = losses.FocalTversky(gamma=1.0, axis=axis)(MASKS, GUESS)
    assert float(plain) == pytest.approx(float(losses.Tversky(0.3, 0.7, axis=axis)(MASKS, GUESS)), rel=1e-5)
    union = (MASKS + GUESS - MASKS * GUESS).sum(axis)
    for smooth in (1e-7, 1.0):
        found = losses.Jaccard(axis, smooth, reduction="none")(MASKS, GUESS)
        np.testing.assert_allclose(found.numpy(), 1 - (both + smooth) / (union + smooth), rtol=1e-5)


def test_dice_and_tversky_of_papers():
    """Salehi et al. 2017: α = β = ½ is Dice, α = β = 1 is Jaccard; dice = 2 j / (1 + j)."""
    hard = (GUESS > 0.5).astype("float64")
    true, found = MASKS.astype(bool), hard.astype(bool)
    index = (true & found).sum() / (true | found).sum()
    assert 1 - float(losses.Jaccard()(MASKS, hard)) == pytest.approx(index, rel=1e-5)
    assert 1 - float(losses.Tversky(1.0, 1.0)(MASKS, hard)) == pytest.approx(index, rel=1e-5)
    dice = 2 * (true & found).sum() / (true.sum() + found.sum())
    assert 1 - float(losses.Dice()(MASKS, hard)) == pytest.approx(dice, rel=1e-5)
    assert 1 - float(losses.Tversky(0.5, 0.5)(MASKS, hard)) == pytest.approx(dice, rel=1e-5)
    assert dice == pytest.approx(2 * index / (1 + index))
    # V-Net sums squares, which are the elements themselves where masks are hard.
    squares = 2 * (MASKS * hard).sum() / ((MASKS**2).sum() + (hard**2).sum())
    assert squares == pytest.approx(dice)


@pytest.mark.parametrize("kind", [losses.Jaccard, losses.FocalTversky])
def test_masks_of_logits(kind):
    logits = RANDOM.normal(size=(2, 3, 3, 4)) * 2
    masks = np.eye(4)[RANDOM.integers(0, 4, (2, 3, 3))]
    expected = float(kind(axis=(1, 2))(masks, np.exp(log_softmax(logits))))
    assert float(kind(axis=(1, 2), from_logits=True)(masks, logits)) == pytest.approx(expected, rel=1e-5)
    first = kind(axis=(2, 3), from_logits=True, class_axis=1)
    moved = (np.moveaxis(a, -1, 1) for a in (masks, logits))
    assert float(first(*moved)) == pytest.approx(expected, rel=1e-5)
    one, mask = logits[..., :1], masks[..., :1]
    expected = float(kind()(mask, 1 / (1 + np.exp(-one))))
    assert float(kind(from_logits=True)(mask, one)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", [losses.Jaccard, losses.FocalTversky])
def test_masks_at_their_ends(kind):
    """Perfect, wholly wrong and empty masks have finite gradients."""
    loss = kind(axis=1)
    true = np.array([[1.0, 0, 1], [1, 0, 1], [0, 0, 0], [0, 0, 0]])
    found = np.array([[1.0, 0, 1], [0, 1, 0], [0, 0, 0], [1, 1, 1]])
    values = kind(axis=1, reduction="none")(true, found).numpy()
    np.testing.assert_allclose(values, [0, 1, 0, 1], atol=1e-6)
    assert np.isfinite(gradient_of(loss, true, found)).all()
    extreme = kind(from_logits=True)
    assert np.isfinite(gradient_of(extreme, true[..., None], 1e4 * (found[..., None] - 0.5))).all()
    assert float(loss(true[:0], found[:0])) == 0.0


@pytest.mark.parametrize("temperature, alpha", [(1.0, 0.0), (3.0, 0.1), (10.0, 1.0)])
def test_distillation(temperature, alpha):
    teacher = RANDOM.normal(size=(7, 4)) * 3
    hot = np.eye(4)[LABELS]
    expected, found = log_softmax(teacher / temperature), log_softmax(LOGITS / temperature)
    soft = (np.exp(expected) * (expected - found)).sum(1) * temperature**2
    hard = -(hot * log_softmax(LOGITS)).sum(1)
    loss = losses.Distillation(temperature, alpha, reduction="none")
    value = loss(ops.stack([hot, teacher], axis=1), LOGITS).numpy()
    np.testing.assert_allclose(value, alpha * hard + (1 - alpha) * soft, rtol=1e-4, atol=1e-5)
    if not alpha:
        there = cnnrs.distillation.LogitsDistillation(temperature).compute_loss(
            ops.array(teacher), ops.array(LOGITS)
        )
        assert float(there) == pytest.approx(soft.mean(), rel=1e-3)


@pytest.mark.parametrize(
    "kind",
    [
        losses.SparseCategoricalFocalCrossentropy,
        losses.ArcFace,
        losses.CosFace,
        lambda **more: losses.SparseCategoricalCrossentropy(label_smoothing=0.1, **more),
    ],
)
@pytest.mark.parametrize("weighted", [False, True])
def test_steps_under_a_mask_do_not_count(kind, weighted):
    scores, labels = RANDOM.dirichlet(np.ones(4), (3, 5)).astype("float32"), RANDOM.integers(0, 4, (3, 5))
    mask = RANDOM.integers(0, 2, (3, 5)).astype(bool)
    mask[0, 0] = True
    weights = RANDOM.uniform(0.5, 2.0, (3, 5)).astype("float32") if weighted else None
    steps = ops.convert_to_tensor(scores)
    steps._keras_mask = ops.convert_to_tensor(mask)
    values = kind(reduction="none")(labels, scores).numpy()[mask]
    values = values * weights[mask] if weighted else values
    assert float(kind()(labels, steps, weights)) == pytest.approx(values.mean(), rel=1e-5)
    assert float(kind(reduction="sum")(labels, steps, weights)) == pytest.approx(values.sum(), rel=1e-5)


def test_distillation_trains_a_student_on_stored_logits():
    cnnrs.utils.set_random_seed(0)
    x = RANDOM.normal(size=(90, 6)).astype("float32")
    y = x[:, :3].argmax(1)
    teacher = cnnrs.Sequential([cnnrs.Input((6,)), layers.Dense(3)])
    teacher.set_weights([np.eye(6, 3) * 3, np.zeros(3)])
    student = cnnrs.Sequential([cnnrs.Input((6,)), layers.Dense(3)])
    student.compile(cnnrs.optimizers.Adam(0.05), losses.Distillation(temperature=2.0))
    targets = ops.stack([np.eye(3)[y], teacher.predict(x, verbose=0)], axis=1).numpy()
    student.fit(x, targets, epochs=20, verbose=0)
    assert (student.predict(x, verbose=0).argmax(1) == y).mean() > 0.95


def gradient_of(loss, y, x):
    x = ops.convert_to_tensor(np.asarray(x, np.float32))
    with cnnrs.GradientTape() as tape:
        tape.watch(x)
        value = loss(y, x)
    return tape.gradient(value, x).numpy()


@pytest.mark.parametrize(
    "loss, y, x",
    [
        (losses.SparseCategoricalFocalCrossentropy([0.1, 0.5, 1.0, 0.2], 0.5, True), LABELS, LOGITS),
        (losses.SparseCategoricalFocalCrossentropy(), LABELS, P),
        (losses.SparseCategoricalCrossentropy(True, label_smoothing=0.1), LABELS, LOGITS),
        (losses.FocalTversky(axis=(1, 2)), MASKS, GUESS),
        (losses.FocalTversky(from_logits=True), MASKS, GUESS),
        (losses.Jaccard(axis=(1, 2)), MASKS, GUESS),
        (losses.Jaccard(from_logits=True, smooth=1.0), MASKS, GUESS),
        (losses.Distillation(), np.stack([np.eye(4)[LABELS], LOGITS[::-1]], 1), LOGITS),
    ],
)
def test_gradients(loss, y, x):
    gradient = gradient_of(loss, y, x)
    exact = type(loss).from_config({**loss.get_config(), "dtype": "float64"})
    for _ in range(3):
        direction, step = RANDOM.normal(size=x.shape), 1e-6
        ends = [float(exact(y, x + sign * step * direction)) for sign in (1, -1)]
        slope = (ends[0] - ends[1]) / (2 * step)
        assert (gradient * direction).sum() == pytest.approx(slope, rel=2e-3, abs=1e-4)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: losses.SparseCategoricalFocalCrossentropy(gamma=-1), "gamma: expected.*>= 0, received -1"),
        (
            lambda: losses.CategoricalFocalCrossentropy(gamma=-1),
            "CategoricalFocalCrossentropy: gamma: .*>= 0",
        ),
        (lambda: losses.CategoricalFocalCrossentropy([0.2, -1]), "CategoricalFocalCrossentropy: alpha: .*-1"),
        (
            lambda: losses.BinaryFocalCrossentropy(alpha=2),
            "BinaryFocalCrossentropy: alpha: .*<= 1, received 2",
        ),
        (lambda: losses.BinaryFocalCrossentropy(gamma=-1), "BinaryFocalCrossentropy: gamma: .*>= 0"),
        (lambda: losses.SparseCategoricalFocalCrossentropy(alpha="x"), "alpha: expected.*received 'x'"),
        (
            lambda: losses.SparseCategoricalFocalCrossentropy([0.5, 0.5])(LABELS, P),
            r"alpha: expected a number or 4 of them.*\(2,\)",
        ),
        (
            lambda: losses.SparseCategoricalFocalCrossentropy()(np.eye(4)[LABELS], P),
            r"y_true: expected integer labels of shape \(7,\), received \(7, 4\)",
        ),
        (lambda: losses.SparseCategoricalCrossentropy(label_smoothing=1.5), "label_smoothing: .*<= 1"),
        (
            lambda: losses.sparse_categorical_crossentropy([4], P[:1], label_smoothing=0.1).numpy(),
            "4.*expected",
        ),
        (
            lambda: losses.sparse_categorical_focal_crossentropy([-1], LOGITS[:1], from_logits=True).numpy(),
            "-1.*expected",
        ),
        (lambda: losses.Jaccard()(MASKS[..., 0], GUESS), r"jaccard: y_true: expected masks.*one_hot"),
        (lambda: losses.Jaccard(smooth=-1), "Jaccard: smooth: expected.*>= 0"),
        (lambda: losses.FocalTversky(gamma=0), "FocalTversky: gamma: expected.*> 0"),
        (lambda: losses.Distillation(alpha=2), "Distillation: alpha: expected.*<= 1"),
        (lambda: losses.Distillation()(LOGITS, LOGITS), r"distillation: y_true: .*\(7, 2, 4\).*\(7, 4\)"),
    ],
)
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize("options", [{"alpha": -1}, {"beta": float("nan")}, {"alpha": 0, "beta": 0}])
def test_tversky_refuses_weights_that_make_no_index(options):
    with pytest.raises(ValueError, match="Tversky: "):
        cnnrs.losses.Tversky(**options)
