"""Losses and layers of embeddings, against slow forms in float64 that follow the papers."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_devices import SOFTWARE, needs_software

import cnnrs
from cnnrs import layers, losses, ops

RANDOM = np.random.default_rng(7)
LABELS = np.array([0, 1, 0, 2, 1, 1, 2, 5])
X = RANDOM.normal(size=(8, 4))
DISTANCES = {
    "euclidean": lambda a, b: np.linalg.norm(a - b),
    "squared": lambda a, b: ((a - b) ** 2).sum(),
    "cosine": lambda a, b: 1 - a @ b / np.linalg.norm(a) / np.linalg.norm(b),
}


def per_anchor(labels, x, distance, of_anchor):
    """`of_anchor(positives, negatives)` of each anchor that has both; NaN of the others."""
    d = np.array([[DISTANCES[distance](a, b) for b in x] for a in x])
    values = []
    for i, label in enumerate(labels):
        positives = [d[i, j] for j in range(len(x)) if j != i and labels[j] == label]
        negatives = [d[i, j] for j in range(len(x)) if labels[j] != label]
        values.append(of_anchor(positives, negatives) if positives and negatives else np.nan)
    return np.array(values)


def semi_hard(margin):
    def of_anchor(positives, negatives):
        found = []
        for p in positives:
            beyond = [n for n in negatives if n > p]
            found.append(max(p - (min(beyond) if beyond else max(negatives)) + margin, 0))
        return np.mean(found)

    return of_anchor


def hard(margin):
    def of_anchor(positives, negatives):
        gap = max(positives) - min(negatives)
        return np.logaddexp(0, gap) if margin == "soft" else max(gap + margin, 0)

    return of_anchor


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    "kind, slow, margin",
    [
        (losses.TripletSemiHard, semi_hard, 0.2),
        (losses.TripletSemiHard, semi_hard, 3.0),
        (losses.TripletHard, hard, 0.2),
        (losses.TripletHard, hard, "soft"),
    ],
)
def test_triplets(kind, slow, margin, distance):
    expected = per_anchor(LABELS, X, distance, slow(margin))
    loss = kind(margin=margin, distance=distance, reduction="none")
    np.testing.assert_allclose(loss(LABELS, X).numpy(), np.nan_to_num(expected), rtol=1e-4, atol=1e-5)
    loss = kind(margin=margin, distance=distance)
    assert float(loss(LABELS[:, None], X)) == pytest.approx(np.nanmean(expected), rel=1e-4)
    weights = np.arange(1.0, 9.0)
    counts = np.isfinite(expected)
    weighted = (np.nan_to_num(expected) * weights).sum() / counts.sum()
    assert float(loss(LABELS, X, sample_weight=weights)) == pytest.approx(weighted, rel=1e-4)


def test_semi_hard_triplets_of_many_samples():
    labels, x = RANDOM.integers(0, 9, 60), RANDOM.normal(size=(60, 3))
    expected = per_anchor(labels, x, "squared", semi_hard(0.5))
    found = losses.triplet_semi_hard(labels, x, 0.5, "squared").numpy()
    np.testing.assert_allclose(found, np.nan_to_num(expected), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("distance", DISTANCES)
def test_contrastive(distance):
    d = np.array([[DISTANCES[distance](a, b) for b in X] for a in X])
    same = LABELS[:, None] == LABELS
    values = 0.5 * np.where(same, d**2, np.maximum(1.5 - d, 0) ** 2)
    np.fill_diagonal(values, 0)
    found = losses.contrastive(LABELS, X, 1.5, "batch", distance)
    np.testing.assert_allclose(found.numpy(), values.sum(1) / 7, rtol=1e-4, atol=1e-6)
    # Given as pairs, and as their distances.
    rows, columns = np.triu_indices(8, 1)
    pairs = np.stack([X[rows], X[columns]], 1)
    for given in (pairs, d[rows, columns], d[rows, columns, None]):
        found = losses.contrastive(same[rows, columns].astype("int32"), given, 1.5, distance=distance)
        np.testing.assert_allclose(found.numpy(), values[rows, columns], rtol=1e-4, atol=1e-6)


def margin_logits(cosines, labels, margin, easy):
    """Equation 3 of ArcFace with the continuation of its published code."""
    logits = cosines.copy()
    for row, label in enumerate(labels):
        angle = math.acos(cosines[row, label])
        if easy:
            inside = cosines[row, label] > 0
            beyond = cosines[row, label]
        else:
            inside = angle + margin < math.pi
            beyond = cosines[row, label] - margin * math.sin(margin)
        logits[row, label] = math.cos(angle + margin) if inside else beyond
    return logits


def entropy(logits, labels):
    logits = logits - logits.max(1, keepdims=True)
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]


COSINES = RANDOM.uniform(-1, 1, (9, 6))
COSINES[:3, 0] = [-0.99, 0.99, 0.0]
TARGETS = np.r_[0, 0, 0, RANDOM.integers(0, 6, 6)]


@pytest.mark.parametrize("easy", [False, True])
@pytest.mark.parametrize("margin", [0.0, 0.5, 2.0])
def test_arcface(margin, easy):
    logits = 8 * margin_logits(COSINES, TARGETS, margin, easy)
    found = losses.arcface(TARGETS, COSINES, 8.0, margin, easy).numpy()
    np.testing.assert_allclose(found, entropy(logits, TARGETS), rtol=1e-4, atol=1e-5)


def test_cosface():
    hot = np.eye(6)[TARGETS]
    found = losses.cosface(TARGETS[:, None], COSINES, 8.0, 0.35).numpy()
    np.testing.assert_allclose(found, entropy(8 * (COSINES - 0.35 * hot), TARGETS), rtol=1e-4, atol=1e-5)


def gradient_of(loss, y, x):
    x = ops.convert_to_tensor(np.asarray(x, np.float32))
    with cnnrs.GradientTape() as tape:
        tape.watch(x)
        value = loss(y, x)
    return tape.gradient(value, x).numpy()


CASES = [
    (losses.TripletSemiHard(1.0), LABELS, X),
    (losses.TripletSemiHard(1.0, "cosine"), LABELS, X),
    (losses.TripletHard(1.0), LABELS, X),
    (losses.TripletHard("soft", "squared"), LABELS, X),
    (losses.Contrastive(2.0, pairs="batch"), LABELS, X),
    (losses.Contrastive(2.0), LABELS % 2, np.stack([X, X[::-1]], 1)),
    (losses.ArcFace(8.0), TARGETS[3:], COSINES[3:]),
    (losses.ArcFace(8.0, 1.0, easy_margin=True), TARGETS[3:], COSINES[3:]),
    (losses.CosFace(8.0), TARGETS, COSINES),
]
NAMES = [f"{c[0].name}-{i}" for i, c in enumerate(CASES)]


@pytest.mark.parametrize("loss, y, x", CASES, ids=NAMES)
def test_gradients(loss, y, x):
    gradient = gradient_of(loss, y, x)
    exact = losses.deserialize({**losses.serialize(loss)})
    exact = type(loss).from_config({**exact.get_config(), "dtype": "float64"})
    for _ in range(3):
        direction, step = RANDOM.normal(size=x.shape), 1e-5
        ends = [float(exact(y, x + sign * step * direction)) for sign in (1, -1)]
        assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / (2 * step), rel=1e-3)


@pytest.mark.parametrize("loss, y, x", CASES, ids=NAMES)
def test_half_precision_is_computed_in_float32(loss, y, x):
    half = np.asarray(x, np.float16)
    value = loss(y, half)
    assert value.dtype == "float32" and float(value) == pytest.approx(float(loss(y, half.astype("f"))))


GPU = """
import cnnrs
from test_metric_learning import CASES, gradient_of
for loss, y, x in CASES:
    found = []
    for device in ("cpu", "gpu:0"):
        with cnnrs.device(device):
            found.append((float(loss(y, x.astype("f"))), gradient_of(loss, y, x)))
    assert abs(found[0][0] - found[1][0]) < 1e-4 * (1 + abs(found[0][0])), loss
    assert abs(found[0][1] - found[1][1]).max() < 1e-3, loss
print(len(CASES))
"""


@needs_software
def test_on_a_gpu():
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    environment = {**os.environ, **SOFTWARE, "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", GPU], capture_output=True, text=True, env=environment)
    assert (done.stdout, done.stderr) == (f"{len(CASES)}\n", "")


@pytest.mark.parametrize("distance", DISTANCES)
@pytest.mark.parametrize(
    "make",
    [
        losses.TripletSemiHard,
        losses.TripletHard,
        lambda distance: losses.Contrastive(pairs="batch", distance=distance),
        lambda distance: losses.Circle(gamma=8.0),
    ],
)
def test_degenerate_batches(make, distance):
    loss = make(distance=distance)
    for y, x in (
        ([0, 0, 1, 1], np.ones((4, 3))),  # all at one place: no gradient, but a finite one
        ([0, 0, 1, 1], np.zeros((4, 3))),
        ([0, 0, 1, 1], np.array([[1.0, 0], [1, 0], [1, 0], [-1, 1]])),
        ([2, 2, 2], X[:3]),  # no other class
        ([0, 1, 2], X[:3]),  # nobody of the own class
        ([3], X[:1]),
        (np.zeros(0, int), X[:0]),
    ):
        assert np.isfinite(float(loss(y, x)))
        assert np.isfinite(gradient_of(loss, y, x)).all()
    if not isinstance(loss, losses.Contrastive):
        for y in ([2, 2, 2], [0, 1, 2]):
            assert float(loss(y, X[:3])) == 0 and not gradient_of(loss, y, X[:3]).any()


@pytest.mark.parametrize("kind", [losses.ArcFace, losses.CosFace])
def test_cosines_at_their_ends(kind):
    cosines = np.array([[1.0, -1.0], [-1.0, 1.0], [0.0, 0.0]])
    value = kind()([0, 0, 1], cosines)
    assert np.isfinite(float(value)) and np.isfinite(gradient_of(kind(), [0, 0, 1], cosines)).all()


def test_near_embeddings_keep_their_distances_far_from_the_origin():
    """By squares of norms alone, a distance of 0.01 at 100 from the origin is lost in float32."""
    x = np.array([[100.0, 0.0], [100.01, 0.0], [100.0, 0.03]])
    expected = per_anchor([0, 0, 1], x, "euclidean", hard(0.1))
    found = losses.triplet_hard([0, 0, 1], x, 0.1).numpy()
    np.testing.assert_allclose(found[:2], expected[:2], atol=1e-4)


# ------------------------------------------------------------------ as users write it


def clusters(n=60, classes=3):
    """Points around a centre for each class, with noise in all other directions."""
    rng = np.random.default_rng(0)
    y = np.arange(n) % classes
    x = rng.normal(size=(n, 6)) * 0.8
    x[:, :classes] += 2.0 * np.eye(classes)[y]
    return x.astype("float32"), y


@pytest.mark.parametrize(
    "loss",
    [
        losses.TripletSemiHard(margin=0.2),
        losses.TripletHard(margin="soft"),
        losses.Contrastive(pairs="batch"),
        losses.Circle(gamma=16.0),
        "TripletSemiHard",
        "triplet_hard",
    ],
)
def test_a_network_of_embeddings_learns(loss, tmp_path):
    cnnrs.utils.set_random_seed(0)
    x, y = clusters()
    model = cnnrs.Sequential([cnnrs.Input((6,)), layers.Dense(3), layers.UnitNormalization()])
    model.compile(cnnrs.optimizers.Adam(0.02), loss)
    history = model.fit(x, y, epochs=8, batch_size=20, verbose=0).history["loss"]
    assert history[-1] < 0.8 * history[0]
    model.save(tmp_path / "model.keras")
    again = cnnrs.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate(x, y, verbose=0) == model.evaluate(x, y, verbose=0)


def test_a_siamese_network_learns():
    cnnrs.utils.set_random_seed(0)
    x, y = clusters()
    rng = np.random.default_rng(1)
    left, right = rng.integers(0, 60, (2, 200))
    base = cnnrs.Sequential([layers.Dense(4)])
    a, b = cnnrs.Input((6,)), cnnrs.Input((6,))
    distance = ops.norm(base(a) - base(b), axis=1, keepdims=True)
    model = cnnrs.Model([a, b], distance)
    model.compile(cnnrs.optimizers.Adam(0.02), losses.Contrastive(margin=2.0))
    together = (y[left] == y[right]).astype("float32")
    history = model.fit([x[left], x[right]], together, epochs=5, verbose=0).history["loss"]
    assert history[-1] < 0.7 * history[0]


@pytest.mark.parametrize("loss", [losses.ArcFace(scale=16.0), losses.CosFace(scale=16.0)])
def test_cosines_and_a_margin_in_the_loss(loss):
    cnnrs.utils.set_random_seed(0)
    x, y = clusters()
    model = cnnrs.Sequential([cnnrs.Input((6,)), layers.Dense(4), layers.CosineDense(3)])
    model.compile(cnnrs.optimizers.Adam(0.05), loss, metrics=["accuracy"])
    model.fit(x, y, epochs=10, verbose=0)
    assert model.evaluate(x, y, verbose=0)[1] > 0.9


def arcface_models(**options):
    image, label = cnnrs.Input((6,)), cnnrs.Input((), dtype="int32")
    embedding = layers.Dense(4)(image)
    head = layers.ArcFace(3, scale=16.0, **options)
    return cnnrs.Model([image, label], head(embedding, label)), cnnrs.Model(image, head(embedding)), head


def test_arcface_takes_labels_in_training_and_none_at_inference(tmp_path):
    cnnrs.utils.set_random_seed(0)
    x, y = clusters()
    training, inference, head = arcface_models()
    training.compile(
        cnnrs.optimizers.Adam(0.05),
        losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    training.fit([x, y], y, epochs=10, verbose=0)
    scores = inference.predict(x, verbose=0)
    assert (scores.argmax(1) == y).mean() > 0.8
    # Without training there is no margin, with labels or without.
    np.testing.assert_allclose(training.predict([x, y], verbose=0), scores, rtol=1e-6)
    # In training the loss is that of `losses.ArcFace` of the cosines.
    logits = training([x, y], training=True)
    cosines = scores / 16.0
    found = losses.sparse_categorical_crossentropy(y, logits, from_logits=True).numpy()
    np.testing.assert_allclose(found, losses.arcface(y, cosines, 16.0).numpy(), rtol=1e-3, atol=1e-4)
    for model, inputs in ((training, [x, y]), (inference, x)):
        model.save(tmp_path / "model.keras")
        again = cnnrs.saving.load_model(tmp_path / "model.keras")
        np.testing.assert_array_equal(again.predict(inputs, verbose=0), model.predict(inputs, verbose=0))
    assert head.get_config()["margin"] == 0.5


def test_a_layer_and_a_loss_of_one_name_come_back_as_what_they_were(tmp_path):
    image, label = cnnrs.Input((6,)), cnnrs.Input((), dtype="int32")
    model = cnnrs.Model([image, label], layers.ArcFace(3, scale=1.0, margin=0.2)(image, label))
    model.compile("adam", losses.ArcFace(scale=8.0))
    model.save(tmp_path / "model.keras")
    again = cnnrs.saving.load_model(tmp_path / "model.keras")
    assert type(again.layers[-1]) is layers.ArcFace and again.layers[-1].margin == 0.2
    assert type(again.loss) is losses.ArcFace and again.loss.get_config()["scale"] == 8.0


def test_labels_of_many_classes_survive_mixed_precision():
    head = layers.ArcFace(3000, dtype="mixed_float16")
    x = RANDOM.normal(size=(2, 8)).astype("float32")
    changed = np.abs(head(x, np.array([2999, 2047]), training=True).numpy() - head(x).numpy()) > 0
    np.testing.assert_array_equal(np.nonzero(changed), [[0, 1], [2999, 2047]])


def test_centres_follow_the_features_of_their_class():
    layer = layers.CenterLoss(3, alpha=0.5, weight=2.0)
    y = np.array([0, 1, 0, 1])
    centers = np.zeros((3, 4))
    for step in range(3):
        x = X[step : step + 4]
        expected = 2.0 * 0.5 * ((x - centers[y]) ** 2).sum(1).mean()
        np.testing.assert_array_equal(layer(x, labels=y, training=True).numpy(), x.astype("float32"))
        assert float(layer.losses[0]) == pytest.approx(expected, rel=1e-5)
        for j in range(3):
            own = x[y == j]
            centers[j] -= 0.5 * (centers[j] - own).sum(0) / (1 + len(own))
        np.testing.assert_allclose(layer.get_weights()[0], centers, rtol=1e-5, atol=1e-6)
    layer(X[:4], labels=y)
    np.testing.assert_allclose(layer.get_weights()[0], centers, rtol=1e-5, atol=1e-6)
    layer(X[:4])
    assert not layer.losses


@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
@pytest.mark.parametrize("alpha", [0.5, None])
def test_center_loss_in_fit(alpha, policy, tmp_path):
    cnnrs.utils.set_random_seed(0)
    x, y = clusters()
    image, label = cnnrs.Input((6,)), cnnrs.Input((), dtype="int32")
    features = layers.Dense(4, dtype=policy)(image)
    center = layers.CenterLoss(3, alpha=alpha, weight=0.1, dtype=policy)
    logits = layers.Dense(3)(center(features, label))
    model = cnnrs.Model([image, label], logits)
    assert len(center.trainable_weights) == (alpha is None)
    model.compile(cnnrs.optimizers.Adam(0.02), losses.SparseCategoricalCrossentropy(from_logits=True))
    history = model.fit([x, y], y, epochs=12, verbose=0).history["loss"]
    assert history[-1] < 0.5 * history[0]
    found = cnnrs.Model(image, features).predict(x, verbose=0)
    means = np.stack([found[y == j].mean(0) for j in range(3)])
    centers = center.get_weights()[0]
    assert np.linalg.norm(centers - means) < np.linalg.norm(means)
    model.save(tmp_path / "model.keras")
    again = cnnrs.saving.load_model(tmp_path / "model.keras")
    assert again.evaluate([x, y], y, verbose=0) == model.evaluate([x, y], y, verbose=0)


def test_the_gradient_of_centres():
    layer = layers.CenterLoss(3, alpha=None, weight=1.0, centers_initializer="ones")
    layer(X[:4], labels=np.array([0, 1, 1, 2]), training=True)
    with cnnrs.GradientTape() as tape:
        layer(X[:4], labels=np.array([0, 1, 1, 2]), training=True)
        value = layer.losses[0]
    found = tape.gradient(value, layer.trainable_weights)[0].numpy()
    expected = np.stack([(1 - X[0]), (1 - X[1]) + (1 - X[2]), 1 - X[3]]) / 4
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_an_empty_batch_moves_no_centre():
    layer = layers.CenterLoss(2, weight=1.0)
    layer(X[:2], labels=np.array([0, 1]), training=True)
    before = layer.get_weights()[0]
    layer(X[:0], labels=np.zeros(0, "int32"), training=True)
    assert float(layer.losses[0]) == 0.0
    np.testing.assert_array_equal(layer.get_weights()[0], before)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: losses.TripletHard(margin="hard"), "TripletHard: margin: expected one of 'soft'.*'hard'"),
        (lambda: losses.TripletHard(margin=-1.0), "TripletHard: margin: expected.*>= 0.*-1"),
        (lambda: losses.TripletSemiHard(distance="euclid"), "distance: expected.*did you mean 'euclidean'"),
        (lambda: losses.TripletSemiHard()(np.eye(8), X), r"y_true: expected integer labels.*\(8, 8\)"),
        (lambda: losses.TripletSemiHard()(LABELS, X[:, 0]), r"y_pred: expected embeddings.*\(8,\)"),
        (lambda: losses.Contrastive(pairs="all"), "Contrastive: pairs: expected one of 'given', 'batch'"),
        (lambda: losses.Contrastive()(LABELS, X), r"y_pred: expected the distances.*\(8, 4\).*pairs='batch'"),
        (lambda: losses.Contrastive()(LABELS[:2], X[:, 0]), r"y_true: expected 1 or 0 for each of 8"),
        (lambda: losses.ArcFace(scale=0), "ArcFace: scale: expected.*> 0"),
        (lambda: losses.ArcFace(margin=4.0), "ArcFace: margin: expected.*<= 3.14.*4.0"),
        (lambda: losses.ArcFace()(np.eye(8), COSINES[:8]), r"arcface: y_true: expected integer labels"),
        (lambda: losses.CosFace(margin=-0.1), "CosFace: margin: expected.*>= 0"),
        (lambda: layers.ArcFace(0), "ArcFace: classes: expected an integer >= 1, received 0"),
        (lambda: layers.ArcFace(3)(X, np.eye(8)[:, :2]), r"labels: expected integers of shape \(8,\)"),
        (lambda: layers.CenterLoss(3, alpha=2.0), "alpha: expected.*<= 1, received 2.0"),
        (lambda: layers.CenterLoss(3)(X, LABELS[:3]), r"labels: expected integers of shape \(8,\).*\(3,\)"),
        (lambda: losses.center([0, -1], X[:2], np.zeros((3, 4))).numpy(), "index .* at position 1: expected"),
        (lambda: losses.center([0, 3], X[:2], np.zeros((3, 4))).numpy(), "index 3 at position 1: expected"),
        (lambda: losses.center(LABELS, X, X[:, :2]), "center: expected features.*centers"),
    ],
)  # fmt: skip
def test_bad_input(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    "name, use", [("CenterLoss", "layers.CenterLoss"), ("IoU", "losses.Jaccard"), ("Triplet", "TripletHard")]
)
def test_what_is_elsewhere_is_named(name, use):
    with pytest.raises(AttributeError, match=f"cnnrs.losses has no '{name}'; use.*{use}"):
        getattr(losses, name)
