"""Metrics against numpy re-statements, over several batches."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cnnrs import metrics
from cnnrs.base import context

RANDOM = np.random.default_rng(11)
LABELS = RANDOM.integers(0, 6, (3, 8)).astype(np.int32)
SCORES = RANDOM.random((3, 8, 6)).astype(np.float32)
HOT = np.eye(6, dtype=np.float32)[LABELS]
BITS = RANDOM.integers(0, 2, (3, 8)).astype(np.float32)
CHANCES = RANDOM.random((3, 8)).astype(np.float32)
WEIGHTS = RANDOM.random((3, 8)).astype(np.float32)


def over_batches(metric: Any, y_true: Any, y_pred: Any, weights: Any = None) -> float:
    for i in range(len(y_true)):
        metric.update_state(y_true[i], y_pred[i], None if weights is None else weights[i])
    return float(metric.result())


def in_top(k: int) -> np.ndarray:
    own = np.take_along_axis(SCORES, LABELS[..., None], -1)
    return (SCORES > own).sum(-1) < k


CASES = [
    (metrics.SparseCategoricalAccuracy, {}, (LABELS, SCORES), lambda: SCORES.argmax(-1) == LABELS),
    (metrics.CategoricalAccuracy, {}, (HOT, SCORES), lambda: SCORES.argmax(-1) == LABELS),
    (metrics.SparseTopKCategoricalAccuracy, {"k": 3}, (LABELS, SCORES), lambda: in_top(3)),
    (metrics.TopKCategoricalAccuracy, {"k": 2}, (HOT, SCORES), lambda: in_top(2)),
    (metrics.BinaryAccuracy, {"threshold": 0.4}, (BITS, CHANCES), lambda: (CHANCES > 0.4) == BITS),
    (metrics.Accuracy, {}, (LABELS, LABELS // 2), lambda: LABELS // 2 == LABELS),
]


@pytest.mark.parametrize(("cls", "arguments", "data", "right"), CASES)
def test_accuracy_family(cls, arguments, data, right):
    y_true, y_pred = data
    if cls is metrics.BinaryAccuracy:
        y_true, y_pred = y_true[..., None], y_pred[..., None]
    expected = right()
    assert over_batches(cls(**arguments), y_true, y_pred) == pytest.approx(expected.mean(), rel=1e-6)
    weighted = (expected * WEIGHTS).sum() / WEIGHTS.sum()
    metric = cls(**arguments)
    assert over_batches(metric, y_true, y_pred, WEIGHTS) == pytest.approx(weighted, rel=1e-5)
    metric.reset_state()
    assert over_batches(metric, y_true, y_pred) == pytest.approx(expected.mean(), rel=1e-6)
    again = metrics.deserialize(metrics.serialize(metric))
    assert type(again) is cls and again.get_config() == metric.get_config()


def test_ties_do_not_count_against_the_label():
    metric = metrics.SparseTopKCategoricalAccuracy(k=1)
    assert float(metric([1], [[0.5, 0.5, 0.0]])) == 1.0


def counts(threshold: float, weight: Any) -> tuple[float, float, float, float]:
    guess, true = CHANCES > threshold, BITS == 1
    cells = (guess & true, guess & ~true, ~guess & ~true, ~guess & true)
    return tuple(float((cell * weight).sum()) for cell in cells)  # type: ignore[return-value]


@pytest.mark.parametrize("weight", [None, WEIGHTS])
@pytest.mark.parametrize("threshold", [None, 0.3])
def test_confusion(weight, threshold):
    tp, fp, tn, fn = counts(0.5 if threshold is None else threshold, 1.0 if weight is None else weight)
    expected = {
        metrics.TruePositives: tp,
        metrics.FalsePositives: fp,
        metrics.TrueNegatives: tn,
        metrics.FalseNegatives: fn,
        metrics.Precision: tp / (tp + fp),
        metrics.Recall: tp / (tp + fn),
    }
    for cls, value in expected.items():
        metric = cls(thresholds=threshold)
        assert over_batches(metric, BITS, CHANCES, weight) == pytest.approx(value, rel=1e-5)


def test_precision_without_any_prediction_is_zero():
    assert float(metrics.Precision()([0.0, 0.0], [0.1, 0.2])) == 0.0


def test_top_k_and_class_of_precision():
    top = SCORES >= np.sort(SCORES, -1)[..., -2:-1]
    expected = (top & (HOT == 1)).sum() / top.sum()
    assert over_batches(metrics.Precision(top_k=2), HOT, SCORES) == pytest.approx(expected, rel=1e-6)
    guess, true = SCORES[..., 2] > 0.5, HOT[..., 2] == 1
    expected = (guess & true).sum() / true.sum()
    assert over_batches(metrics.Recall(class_id=2), HOT, SCORES) == pytest.approx(expected, rel=1e-6)


def test_area_under_the_curve_is_the_chance_of_right_order():
    positive, negative = CHANCES[BITS == 1], CHANCES[BITS == 0]
    expected = (positive[:, None] > negative[None]).mean()
    metric = metrics.AUC(num_thresholds=2000)
    assert over_batches(metric, BITS, CHANCES) == pytest.approx(expected, abs=0.005)
    assert 0.0 <= over_batches(metrics.AUC(curve="PR"), BITS, CHANCES) <= 1.0
    perfect = metrics.AUC()
    assert float(perfect([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9])) == pytest.approx(1.0)


def test_sum_is_compensated():
    total, mean = metrics.Sum(), metrics.Mean()
    total.update_state(2.0**24)
    mean.update_state(2.0**24)
    for _ in range(64):
        total.update_state(0.25)
        mean.update_state(0.25)
    assert float(total.result()) == 2.0**24 + 16
    assert float(mean.result()) == pytest.approx((2.0**24 + 16) / 65, rel=1e-7)


def test_root_mean_squared_error():
    a, b = CHANCES, BITS
    expected = np.sqrt(((a - b) ** 2).mean())
    assert over_batches(metrics.RootMeanSquaredError(), a, b) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize(
    ("true", "pred", "cls"),
    [
        ((8, 1), (8, 1), metrics.BinaryAccuracy),
        ((8,), (8, 1), metrics.BinaryAccuracy),
        ((8,), (8, 10), metrics.SparseCategoricalAccuracy),
        ((8, 1), (8, 10), metrics.SparseCategoricalAccuracy),
        ((8, 10), (8, 10), metrics.CategoricalAccuracy),
        ((8, 4, 4), (8, 4, 4, 10), metrics.SparseCategoricalAccuracy),
        ((8, 4, 4, 10), (8, 4, 4, 10), metrics.CategoricalAccuracy),
    ],
)
def test_accuracy_by_shapes(true, pred, cls):
    assert type(metrics.resolve_accuracy(true, pred)) is cls


def test_updates_can_be_recorded():
    metric = metrics.SparseCategoricalAccuracy()
    with context.trace() as recorder:
        labels = recorder.placeholder([8], "int32", "labels")
        scores = recorder.placeholder([8, 6], "float32", "scores")
        metric.update_state(labels, scores)
        step = recorder.compile([metric.result()])
    assert float(metric.result()) == 0.0
    for i in range(3):
        (value,) = step(LABELS[i], SCORES[i])
    assert float(value) == float(metric.result()) == pytest.approx((SCORES.argmax(-1) == LABELS).mean())


def test_a_metric_of_the_users_own_and_its_parts():
    class Range(metrics.Metric):
        def __init__(self, name="range"):
            super().__init__(name=name)
            self.low, self.high = metrics.Mean(), metrics.Mean()

        def update_state(self, y_true, y_pred, sample_weight=None):
            self.low.update_state(y_pred.min())
            self.high.update_state(y_pred.max())

        def result(self):
            return {"low": self.low.result(), "high": self.high.result()}

    metric = Range()
    metric.update_state(None, np.array([1.0, 3.0]))
    assert {k: float(v) for k, v in metric.result().items()} == {"low": 1.0, "high": 3.0}
    assert len(metric.variables) == len(metric.low.variables) * 2
    metric.reset_state()
    assert float(metric.high.result()) == 0.0


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: metrics.get("acuracy"), "did you mean"),
        (lambda: metrics.Precision(thresholds=1.5), "thresholds.*1.5"),
        (lambda: metrics.AUC(curve="rok"), "curve.*'rok'"),
        (lambda: metrics.AUC(num_labels=2), "multi_label"),
        (lambda: metrics.AUC(multi_label=True)([0, 1], [0.0, 1.0]), r"samples, labels.*\(2,\)"),
        (lambda: metrics.AUC(num_thresholds=None), "num_thresholds.*None"),
        (lambda: metrics.Precision(thresholds=[None]), "thresholds.*None"),
        (lambda: metrics.Recall(class_id=2)([1, 0], [0.2, 0.8]), r"class_id.*samples, classes"),
        (lambda: metrics.Mean(dtype="string"), "string"),
        (lambda: metrics.IoU(2, [2]), "target_class_ids.*<= 1, received 2"),
        (lambda: metrics.IoU(2, [0.5]), "target_class_ids.*integer.*0.5"),
        (lambda: metrics.Precision(class_id=0.5), "Precision: class_id.*integer.*0.5"),
        (lambda: metrics.Recall(top_k=0), "Recall: top_k.*>= 1"),
        (lambda: metrics.FBetaScore(beta=1), "beta.*float"),
        (lambda: metrics.FBetaScore(average="mean"), "average.*'mean'"),
        (lambda: metrics.F1Score()([0, 1], [0.0, 1.0]), r"samples, classes.*\(2,\)"),
        (lambda: metrics.R2Score(class_aggregation="sum"), "class_aggregation"),
        (lambda: metrics.RecallAtPrecision(1.5), "precision.*1.5"),
        (lambda: metrics.SensitivityAtSpecificity(0.5, num_thresholds=0), "num_thresholds"),
        (lambda: metrics.Mean().stateless_result([1.0]), "metric_variables.*2"),
    ],
)
def test_errors(make, message):
    with pytest.raises(ValueError, match=message):
        make()
