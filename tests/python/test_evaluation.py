"""Figures of evaluations against scikit-learn and against slow forms written from their formulas."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import sklearn.metrics as sk

import cnnrs
from cnnrs import evaluation, layers
from cnnrs.data import Dataset

EXACT = {"rtol": 1e-12, "atol": 1e-12}


def drawn(seed: int = 0, samples: int = 300, classes: int = 5, ties: bool = True):
    """Labels, and probabilities that fit them somewhat; with equal scores among them."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(classes, size=samples)
    logits = rng.normal(size=(samples, classes)) + 1.5 * np.eye(classes)[labels]
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if ties:
        scores = np.round(scores, 2) + 1e-3
        scores /= scores.sum(axis=1, keepdims=True)
    return labels, scores


@pytest.mark.parametrize("classes", [2, 5])
def test_report_is_that_of_scikit_learn(classes):
    labels, scores = drawn(classes=classes)
    names = [f"class {k}" for k in range(classes)]
    report = evaluation.classification_report(labels, scores, names)
    expected = sk.classification_report(
        labels, scores.argmax(1), target_names=names, output_dict=True, zero_division=np.nan
    )
    for name in names:
        own, theirs = report[name], expected[name]
        found = [own.precision, own.recall, own.f1, own.support]
        np.testing.assert_allclose(
            found, [theirs[k] for k in ("precision", "recall", "f1-score", "support")], **EXACT
        )
    for own, key in ((report.macro, "macro avg"), (report.weighted, "weighted avg")):
        theirs = expected[key]
        np.testing.assert_allclose(
            [own.precision, own.recall, own.f1],
            [theirs[k] for k in ("precision", "recall", "f1-score")],
            **EXACT,
        )
    assert report.accuracy == expected["accuracy"]
    assert report.balanced_accuracy == pytest.approx(
        sk.balanced_accuracy_score(labels, scores.argmax(1)), 1e-12
    )


def test_classes_without_samples_or_predictions_are_not_defined():
    report = evaluation.classification_report([0, 0, 1], [0, 0, 2], ["a", "b", "c", "d"])
    expected = sk.precision_recall_fscore_support(
        [0, 0, 1], [0, 0, 2], labels=[0, 1, 2, 3], zero_division=np.nan
    )
    found = np.array([[f.precision, f.recall, f.f1, f.support] for f in report.classes]).T
    np.testing.assert_allclose(found, expected, **EXACT)
    assert "–" in str(report) and report.as_dict()["classes"]["d"]["f1"] is None
    json.dumps(report.as_dict(), allow_nan=False)
    assert report.macro.recall == pytest.approx(0.5)


def test_confusion_is_that_of_scikit_learn():
    labels, scores = drawn()
    found = evaluation.confusion_matrix(labels, scores.argmax(1))
    np.testing.assert_array_equal(found.matrix, sk.confusion_matrix(labels, scores.argmax(1)))


@pytest.mark.parametrize("seed", range(3))
def test_curves_are_those_of_scikit_learn(seed):
    labels, scores = drawn(seed, classes=2)
    found = evaluation.roc(labels, scores[:, 1])
    fpr, tpr, thresholds = sk.roc_curve(labels, scores[:, 1], drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, fpr, **EXACT)
    np.testing.assert_allclose(found.true_positive_rate, tpr, **EXACT)
    np.testing.assert_array_equal(found.thresholds, thresholds)
    assert found.auc == pytest.approx(sk.roc_auc_score(labels, scores[:, 1]), abs=1e-12)
    found = evaluation.precision_recall(labels, scores)
    precision, recall, thresholds = sk.precision_recall_curve(labels, scores[:, 1])
    np.testing.assert_allclose(found.precision, precision, **EXACT)
    np.testing.assert_allclose(found.recall, recall, **EXACT)
    np.testing.assert_array_equal(found.thresholds, thresholds)
    expected = sk.average_precision_score(labels, scores[:, 1])
    assert found.average_precision == pytest.approx(expected, abs=1e-12)


def test_auc_is_how_often_a_positive_sample_scores_higher():
    labels, scores = drawn(4, 80, 2)
    s = scores[:, 1]
    pairs = [(a > b) + 0.5 * (a == b) for a in s[labels == 1] for b in s[labels == 0]]
    assert evaluation.roc_auc(labels, s) == pytest.approx(np.mean(pairs), abs=1e-12)
    # The first class against the second is the same question.
    assert evaluation.roc(labels, s, positive=0).auc == pytest.approx(np.mean(pairs), abs=1e-12)


@pytest.mark.parametrize("average", ["macro", "weighted", None])
def test_one_class_against_all_others(average):
    labels, scores = drawn()
    found = evaluation.roc_auc(labels, scores, average)
    np.testing.assert_allclose(
        found, sk.roc_auc_score(labels, scores, multi_class="ovr", average=average), **EXACT
    )
    found = evaluation.average_precision(labels, scores, average)
    np.testing.assert_allclose(
        found, sk.average_precision_score(np.eye(5)[labels], scores, average=average), **EXACT
    )


@pytest.mark.parametrize("k", [1, 2, 4, 5, 9])
def test_top_k_is_that_of_scikit_learn(k):
    labels, scores = drawn(ties=False)
    expected = sk.top_k_accuracy_score(labels, scores, k=k) if k < 5 else 1.0
    assert evaluation.top_k_accuracy(labels, scores, k) == expected
    assert evaluation.top_k_accuracy([0, 1], [[0.5, 0.5]] * 2, 1) == 0.5


def test_losses_are_those_of_scikit_learn():
    labels, scores = drawn(1)
    assert evaluation.log_loss(labels, scores) == pytest.approx(sk.log_loss(labels, scores), abs=1e-12)
    own = evaluation.brier_score(labels, scores)
    assert own == pytest.approx(np.mean(np.sum((scores - np.eye(5)[labels]) ** 2, axis=1)), abs=1e-12)
    labels, scores = drawn(1, classes=2)
    expected = 2 * sk.brier_score_loss(labels, scores[:, 1])
    assert evaluation.brier_score(labels, scores[:, 1]) == pytest.approx(expected, abs=1e-12)
    assert evaluation.calibration(labels, scores).brier == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("strategy", ["uniform", "quantile"])
def test_calibration_is_the_formula(strategy):
    labels, scores = drawn(2, ties=False)
    found = evaluation.calibration(labels, scores, 10, strategy)
    confidence, right = scores.max(1), scores.argmax(1) == labels
    error = 0.0
    used = 0
    for low, high in zip(found.edges, found.edges[1:], strict=False):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            gap = abs(right[inside].mean() - confidence[inside].mean())
            error += inside.sum() / len(labels) * gap
            assert found.counts[used] == inside.sum()
            used += 1
    assert found.expected_error == pytest.approx(error, abs=1e-12)
    assert found.counts.sum() == len(labels)
    if strategy == "quantile":
        assert set(found.counts) == {30}


def test_temperature_is_where_the_loss_is_least():
    labels, scores = drawn(3, ties=False)
    logits = 3.0 * np.log(scores)
    found = evaluation.temperature(labels, logits)
    around = [evaluation.log_loss(labels, logits / (found * f), from_logits=True) for f in (0.99, 1, 1.01)]
    assert around[1] < around[0] and around[1] < around[2]
    # A sharper copy of the same logits wants a temperature that is as much higher.
    assert evaluation.temperature(labels, 2 * logits) == pytest.approx(2 * found, rel=1e-9)


def test_bootstrap_covers_and_is_seeded():
    rng = np.random.default_rng(0)
    labels = np.arange(400) % 2
    inside = 0
    for trial in range(40):
        predicted = np.where(rng.random(400) < 0.8, labels, 1 - labels)
        found = evaluation.bootstrap("accuracy", labels, predicted, resamples=300, seed=trial)
        assert found.value == np.mean(predicted == labels)
        inside += found.low <= 0.8 <= found.high
    # Of 40 intervals of 95%, binomially fewer than 33 or less in one of a thousand cases.
    assert inside >= 33
    again = evaluation.bootstrap("accuracy", labels, predicted, resamples=300, seed=trial)
    assert again == found
    assert evaluation.bootstrap("accuracy", labels, predicted, resamples=300, seed=99) != found
    # Of stratified draws each class has as many samples as before.
    share = evaluation.bootstrap(lambda y, p: y.mean(), labels, predicted, resamples=20)
    assert share.low == share.high == 0.5
    free = evaluation.bootstrap(lambda y, p: y.mean(), labels, predicted, resamples=20, stratified=False)
    assert free.low < 0.5 < free.high


@pytest.mark.parametrize("name", ["accuracy", "balanced_accuracy", "macro_f1", "roc_auc", "log_loss",
                                  "average_precision", "brier_score"])  # fmt: skip
def test_named_statistics_are_the_functions(name):
    labels, scores = drawn(6)
    report = evaluation.classification_report(labels, scores)
    expected = {
        "accuracy": report.accuracy,
        "balanced_accuracy": report.balanced_accuracy,
        "macro_f1": report.macro.f1,
    }
    value = expected.get(name)
    if value is None:
        value = getattr(evaluation, name)(labels, scores)
    assert evaluation.bootstrap(name, labels, scores, resamples=2).value == pytest.approx(value, abs=1e-12)


def test_the_worst_are_those_of_the_largest_loss():
    labels, scores = drawn(ties=False)
    losses = -np.log(scores[np.arange(len(labels)), labels])
    wrong = scores.argmax(1) != labels
    found = evaluation.worst(labels, scores, 7, paths=[f"{i}.png" for i in range(len(labels))])
    order = np.argsort(-np.where(wrong, losses, -1))[:7]
    assert [m.index for m in found] == order.tolist()
    assert found[0].loss == pytest.approx(losses.max(where=wrong, initial=0))
    assert found[0].path == f"{found[0].index}.png" and found[0].true != found[0].predicted
    every = evaluation.worst(labels, scores, 1000, only_wrong=False)
    assert len(every) == len(labels) and [m.loss for m in every] == sorted(losses, reverse=True)


def test_classes_by_their_names():
    true, predicted = ["owl", "cat", "cat", "owl"], ["owl", "cat", "owl", "owl"]
    report = evaluation.classification_report(true, predicted)
    expected = sk.classification_report(true, predicted, output_dict=True)
    assert [f.name for f in report.classes] == ["cat", "owl"]
    assert report["cat"].f1 == pytest.approx(expected["cat"]["f1-score"], abs=1e-12)
    found = evaluation.confusion_matrix(true, predicted, ["owl", "dog", "cat"])
    np.testing.assert_array_equal(found.matrix, [[2, 0, 0], [0, 0, 0], [1, 0, 1]])
    found = evaluation.confusion_matrix(true, [[0.9, 0.1, 0]] * 4, ["owl", "dog", "cat"])
    assert found.matrix[:, 0].tolist() == [2, 0, 2]
    with pytest.raises(ValueError, match="no class is called 'cat'; did you mean 'cart'"):
        evaluation.confusion_matrix(true, predicted, ["cart", "owl"])


ERRORS = [
    (lambda: evaluation.classification_report([0, 1], [0]), "y_pred: expected 2 samples"),
    (lambda: evaluation.classification_report([], []), "at least one sample"),
    (lambda: evaluation.classification_report([0, 2], [0, 1], ["a", "b"]), "expected 3 names, received 2"),
    (lambda: evaluation.classification_report([0, 1], [0, 1], ["a", "a"]), "different names"),
    (lambda: evaluation.classification_report([0, 1], [0, 1], "ab"), "a list of names"),
    (lambda: evaluation.classification_report([0.5, 1], [0, 1]), "one class for each sample"),
    (lambda: evaluation.classification_report([[1, 1], [0, 1]], [0, 1]), "whose sum is 1"),
    (lambda: evaluation.classification_report([-1, 1], [0, 1]), "from 0 on"),
    (lambda: evaluation.roc([0, 1, 2], [[0.2, 0.3, 0.5]] * 3), "positive: expected the class"),
    (lambda: evaluation.roc([0, 1], [[0.2, 0.8]] * 2, positive=2), "from 0 to 1, received 2"),
    (lambda: evaluation.roc([0, 1], [0.2]), "expected 2 samples"),
    (lambda: evaluation.roc([0, 1], [0.2, math.nan]), "finite"),
    (lambda: evaluation.roc_auc([0, 1], [0.2, 0.3], "micro"), "average"),
    (lambda: evaluation.top_k_accuracy([3], [[0.5, 0.5]]), "0 to 1, received 3"),
    (lambda: evaluation.calibration([0, 1], [[3.0, 1.0], [0.0, 2.0]]), "from_logits=True"),
    (lambda: evaluation.calibration([0, 1], [[0.5, 0.2], [0.5, 0.5]]), "whose sum is 1"),
    (lambda: evaluation.calibration([0, 1], [[0.5, 0.5]] * 2, strategy="even"), "'uniform' or 'quantile'"),
    (lambda: evaluation.bootstrap("acuracy", [0], [0]), "did you mean 'accuracy'"),
    (lambda: evaluation.bootstrap("accuracy", [0], [0], confidence=1), "confidence"),
    (lambda: evaluation.worst([0], [[0.5, 0.5]], paths=[]), "paths: expected 1"),
    (lambda: evaluation.Evaluation([0], [[0.5, 0.5]], ["a", "b", "c"]), "expected 2 names"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_what_does_not_fit_is_told(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ---- models


def classifier(classes: int = 3, activation: str | None = "softmax", size: int = 8) -> cnnrs.Model:
    cnnrs.utils.set_random_seed(1)
    return cnnrs.Sequential(
        [
            cnnrs.Input((size, size, 3)),
            layers.Conv2D(4, 3, activation="relu", name="conv"),
            layers.GlobalAveragePooling2D(),
            layers.Dense(classes, activation=activation),
        ]
    )


X = np.random.default_rng(0).random((20, 8, 8, 3), np.float32)
Y = np.arange(20) % 3


@pytest.mark.parametrize("kind", ["arrays", "one-hot", "data set", "batches"])
def test_one_pass_over_data_of_any_kind(kind):
    model = classifier()
    expected = model.predict(X, verbose=0)
    data = {
        "arrays": (X, Y),
        "one-hot": (X, np.eye(3)[Y]),
        "data set": (Dataset.from_tensor_slices((X, Y)).batch(8),),
        "batches": ([(X[i : i + 8], Y[i : i + 8, None]) for i in range(0, 20, 8)],),
    }[kind]
    found = evaluation.evaluate_model(model, *data)
    np.testing.assert_array_equal(found.labels, Y)
    np.testing.assert_allclose(found.scores, expected, atol=1e-6)
    wrong = np.flatnonzero(expected.argmax(1) != Y)
    kept = found.samples.indices.tolist()
    assert kept[: len(wrong)] == [m.index for m in found.worst(100)]
    np.testing.assert_array_equal(found.samples.images, X[kept])


@pytest.mark.parametrize("said", [None, True])
def test_logits_are_found_out(said):
    model = classifier(activation=None)
    if said is not None:
        model.compile(loss=cnnrs.losses.SparseCategoricalCrossentropy(from_logits=said))
    found = evaluation.evaluate_model(model, X * 50, Y)
    logits = model.predict(X * 50, verbose=0).astype(np.float64)
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    np.testing.assert_allclose(found.scores, expected, atol=1e-5)
    # The worst were chosen while only logits were known.
    assert found.samples.indices[0] == found.worst(1)[0].index


def test_one_column_is_the_second_of_two_classes():
    model = classifier(1, "sigmoid")
    found = evaluation.evaluate_model(model, X, Y % 2, class_names=["no", "yes"])
    p = model.predict(X, verbose=0)[:, 0]
    np.testing.assert_allclose(found.scores[:, 1], p, atol=1e-6)
    assert found.is_binary and found.auc == pytest.approx(sk.roc_auc_score(Y % 2, found.scores[:, 1]))
    assert found.roc("yes").auc == found.auc
    assert found.samples.indices[0] == found.worst(1)[0].index


def test_evaluations_are_kept_in_a_folder(tmp_path):
    model = classifier()
    names = ["кошка", "犬", "<b>&"]
    found = evaluation.evaluate_model(model, X, Y, class_names=names, paths=[f"é/{i}.png" for i in range(20)])
    found.save(tmp_path / "run")
    figures = json.loads((tmp_path / "run" / "evaluation.json").read_text("utf-8"))
    assert figures["images"] == 20 and figures["accuracy"] == found.accuracy
    assert list(figures["accuracy_by_class"]) == names
    again = evaluation.Evaluation.load(tmp_path / "run")
    assert again.class_names == names and again.paths == found.paths
    assert again.accuracy == found.accuracy and again.loss == pytest.approx(found.loss, abs=1e-6)
    np.testing.assert_allclose(again.samples.images, found.samples.images, atol=1e-3)
    assert not list((tmp_path / "run").glob(".*"))
    (tmp_path / "run" / "predictions.npz").write_bytes(b"PK")
    with pytest.raises(ValueError, match="predictions.npz.*damaged"):
        evaluation.Evaluation.load(tmp_path / "run")
    with pytest.raises(FileNotFoundError, match="predictions.npz"):
        evaluation.Evaluation.load(tmp_path)


def test_what_is_no_classifier_is_told():
    model = cnnrs.Sequential([cnnrs.Input((8, 8, 3)), layers.Conv2D(2, 3)])
    with pytest.raises(ValueError, match="one output of shape"):
        evaluation.evaluate_model(model, X, Y)
    with pytest.raises(ValueError, match="y: expected the class of each sample, received none"):
        evaluation.evaluate_model(classifier(), X)


def test_averaged_views():
    model = classifier()
    large = np.random.default_rng(1).random((5, 10, 12, 3), np.float32)
    views = []
    for top, left in ((0, 0), (0, 4), (2, 0), (2, 4), (1, 2)):
        crop = large[:, top : top + 8, left : left + 8]
        views += [crop, crop[:, :, ::-1]]
    expected = np.mean([model.predict(np.ascontiguousarray(v), verbose=0) for v in views], axis=0)
    found = evaluation.test_time_augmentation(model, large, crop_size=8, batch_size=2)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    both = evaluation.test_time_augmentation(model, X, vertical_flip=True)
    flips = [X, X[:, :, ::-1], X[:, ::-1], X[:, ::-1, ::-1]]
    expected = np.mean([model.predict(np.ascontiguousarray(v), verbose=0) for v in flips], axis=0)
    np.testing.assert_allclose(both, expected, atol=1e-6)
    alone = evaluation.test_time_augmentation(model, X, horizontal_flip=False)
    np.testing.assert_allclose(alone, model.predict(X, verbose=0), atol=1e-6)
    with pytest.raises(ValueError, match="crop_size: expected at most"):
        evaluation.test_time_augmentation(model, X, crop_size=9)
    with pytest.raises(ValueError, match="height, width"):
        evaluation.test_time_augmentation(model, X[0])


def test_habits_of_scikit_learn():
    true, predicted = [0, 1, 1, 2], [0, 1, 0, 1]
    report = evaluation.classification_report(true, predicted, target_names=["a", "b", "c"])
    assert report["b"].recall == 0.5
    with pytest.raises(ValueError, match="target_names"):
        evaluation.classification_report(true, predicted, ["a", "b", "c"], target_names=["a", "b", "c"])
    for normalize, axis in (("true", 1), ("pred", 0), ("all", None)):
        found = evaluation.confusion_matrix(true, predicted, normalize=normalize)
        sums = found.sum(axis=axis)
        np.testing.assert_allclose(sums, [1, 1, 0] if normalize == "pred" else np.ones_like(sums))
    with pytest.raises(ValueError, match="normalize"):
        evaluation.confusion_matrix(true, predicted, normalize="rows")


def test_figures_that_are_not_defined_are_shown_as_a_dash():
    found = evaluation.Evaluation(np.zeros(6, int), np.tile([0.9, 0.1], (6, 1)), ["a", "b"])
    assert np.isnan(found.auc) and "nan" not in repr(found) and "–" in repr(found)
    assert ">nan" not in found._repr_html_()
    assert "nan" not in repr(evaluation.confusion_matrix([0, 1], [0, 0]))
