"""Properties that all metrics have: what weights, batches and attributes mean."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import metrics, ops
from cnnrs.variables import Variable

RANDOM = np.random.default_rng(0)
ROWS, CLASSES = 7, 4
WEIGHTS = np.array([2, 0, 1, 3, 0, 1, 1])

SCORES = RANDOM.uniform(0.05, 1, (ROWS, CLASSES)).astype(np.float32)
SCORES /= SCORES.sum(1, keepdims=True)
LABELS = RANDOM.integers(0, CLASSES, ROWS)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[LABELS]
BITS = (RANDOM.uniform(size=(ROWS, CLASSES)) > 0.5).astype(np.float32)
_SPARSE = {"SparseCategoricalAccuracy", "SparseCategoricalCrossentropy", "SparseTopKCategoricalAccuracy"}
_SPARSE |= {"MeanIoU"}
_CATEGORICAL = {
    "OneHotIoU",
    "OneHotMeanIoU",
    "CategoricalAccuracy",
    "CategoricalCrossentropy",
    "TopKCategoricalAccuracy",
    "CategoricalHinge",
}
_ARGUMENTS: dict[str, list[dict[str, Any]]] = {
    "TopKCategoricalAccuracy": [{"k": 2}],
    "SparseTopKCategoricalAccuracy": [{"k": 2}],
    "SparseCategoricalCrossentropy": [{}, {"ignore_class": 1}],
    "Precision": [{}, {"top_k": 2}, {"class_id": 1}, {"thresholds": [0.2, 0.3]}, {"top_k": 2, "class_id": 1}],
    "Recall": [
        {},
        {"top_k": 2},
        {"class_id": 1},
        {"thresholds": [0.2, 0.3]},
        {"top_k": 2, "thresholds": 0.3},
    ],
    "AUC": [
        {"num_thresholds": 20},
        {"num_thresholds": 20, "curve": "PR"},
        {"num_thresholds": 20, "curve": "PRGAIN"},
        {"num_thresholds": 20, "multi_label": True},
        {"num_thresholds": 20, "multi_label": True, "curve": "PR", "label_weights": [1, 2, 0, 1]},
        {"num_thresholds": 20, "label_weights": [1, 2, 0, 1]},
    ],
    "FBetaScore": [{}, {"average": "micro", "beta": 2.0}, {"average": "weighted", "threshold": 0.3}],
    "R2Score": [{}, {"class_aggregation": "variance_weighted_average"}, {"class_aggregation": None}],
    "IoU": [
        {
            "dtype": "float32",
            "num_classes": 4,
            "target_class_ids": [1],
            "sparse_y_pred": False,
            "sparse_y_true": False,
        }
    ],
    "MeanIoU": [{"dtype": "float32", "num_classes": 4, "ignore_class": 1, "sparse_y_pred": False}],
    "OneHotIoU": [{"dtype": "float32", "num_classes": 4, "target_class_ids": [1, 2]}],
    "OneHotMeanIoU": [{"dtype": "float32", "num_classes": 4}],
    "BinaryIoU": [{"dtype": "float32", "threshold": 0.3}],
    "PrecisionAtRecall": [{"recall": 0.4}, {"recall": 0.4, "class_id": 2}],
    "RecallAtPrecision": [{"precision": 0.5}],
    "SensitivityAtSpecificity": [{"specificity": 0.5}],
    "SpecificityAtSensitivity": [{"sensitivity": 0.5}],
}


def _of_targets() -> list[Any]:
    cases = []
    for name in metrics.__all__:
        cls = getattr(metrics, name)
        if not inspect.isclass(cls) or name in (
            "Metric",
            "Mean",
            "Sum",
            "MeanMetricWrapper",
            "MeanAveragePrecision",
        ):
            continue
        for arguments in _ARGUMENTS.get(name, [{}]):
            cases.append(pytest.param(name, arguments, id=f"{name}-{arguments}"))
    return cases


def _targets(name: str) -> np.ndarray:
    return LABELS if name in _SPARSE else ONE_HOT if name in _CATEGORICAL else BITS


def _value(metric: Any) -> np.ndarray:
    return np.asarray(metric.result(), np.float64)


@pytest.mark.parametrize("name, arguments", _of_targets())
def test_a_weight_counts_a_sample_so_often(name, arguments):
    """Integer weights are repetitions, 0 leaves a sample out; weights (n,) and (n, 1) mean the same."""
    y = _targets(name)
    repeated = np.repeat(np.arange(ROWS), WEIGHTS)
    expected = getattr(metrics, name)(**arguments)
    expected.update_state(y[repeated], SCORES[repeated])
    shapes = [WEIGHTS, WEIGHTS[:, None]]
    for weight in shapes:
        metric = getattr(metrics, name)(**arguments)
        metric.update_state(y, SCORES, sample_weight=weight)
        np.testing.assert_allclose(_value(metric), _value(expected), rtol=2e-6)
    # Batches add up: weighted and unweighted ones, in any cut.
    cut = getattr(metrics, name)(**arguments)
    for rows in (slice(0, 2), slice(2, 3), slice(3, ROWS)):
        cut.update_state(y[rows], SCORES[rows], sample_weight=WEIGHTS[rows].astype(np.float32))
    np.testing.assert_allclose(_value(cut), _value(expected), rtol=2e-6)
    both = getattr(metrics, name)(**arguments)
    both.update_state(y, SCORES)
    both.update_state(y, SCORES, sample_weight=WEIGHTS)
    twice = np.repeat(np.arange(ROWS), WEIGHTS + 1)
    once = getattr(metrics, name)(**arguments)
    once.update_state(y[twice], SCORES[twice])
    np.testing.assert_allclose(_value(both), _value(once), rtol=2e-6)


_OF_SINGLE_VALUES = ["Accuracy", "BinaryAccuracy", "RootMeanSquaredError", "Precision", "Recall", "AUC"]
_OF_SINGLE_VALUES += ["TruePositives", "FalsePositives", "TrueNegatives", "FalseNegatives"]


@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1), (ROWS, CLASSES), (2, 3, 2)], ids=str)
@pytest.mark.parametrize("name", _OF_SINGLE_VALUES)
def test_weights_of_the_rank_of_the_targets(name, shape):
    y = RANDOM.integers(0, 2, shape)
    guess = RANDOM.uniform(size=shape).astype(np.float32)
    if name == "Accuracy":
        guess = guess.round()
    weight = RANDOM.integers(0, 3, shape)
    times = weight.reshape(-1)
    expected, weighted = getattr(metrics, name)(), getattr(metrics, name)()
    expected.update_state(np.repeat(y.reshape(-1), times), np.repeat(guess.reshape(-1), times))
    weighted.update_state(y, guess, sample_weight=weight)
    np.testing.assert_allclose(_value(weighted), _value(expected), rtol=2e-6)
    if len(shape) > 1:
        # Weights broadcast along axes of 1.
        along = weight[..., :1]
        a, b = getattr(metrics, name)(), getattr(metrics, name)()
        a.update_state(y, guess, sample_weight=along)
        b.update_state(y, guess, sample_weight=np.broadcast_to(along, shape))
        np.testing.assert_allclose(_value(a), _value(b), rtol=2e-6)


@pytest.mark.parametrize("name", ["Mean", "Sum", "BinaryAccuracy", "MeanSquaredError", "Precision"])
def test_weights_that_do_not_fit(name):
    metric = getattr(metrics, name)()
    arguments = [BITS] if name in ("Mean", "Sum") else [BITS, SCORES]
    with pytest.raises(ValueError, match=r"sample_weight|broadcast"):
        metric.update_state(*arguments, sample_weight=np.ones((ROWS - 1,)))
    with pytest.raises(ValueError, match=r"sample_weight|broadcast"):
        metric.update_state(*arguments, sample_weight=np.ones((ROWS, CLASSES, 2)))


def test_means_and_sums_of_samples():
    values = np.array([[1.0, 3.0], [5.0, 7.0]])
    assert float(metrics.Mean()(values, sample_weight=[1.0, 3.0])) == 5.0
    assert float(metrics.Sum()(values, sample_weight=[1.0, 3.0])) == 40.0
    assert float(metrics.Sum()(values, sample_weight=[[1.0], [3.0]])) == 40.0
    # A sample counts once, whatever it holds.
    mean = metrics.Mean()
    mean.update_state(np.full((1, 100), 2.0))
    mean.update_state(np.full((3,), 4.0))
    assert float(mean.result()) == 3.5


@pytest.mark.parametrize("weights", [[-1, -1, 0, 0], [-1, 2, 0, 0], [-0.5, -0.25, -1, -2]])
def test_negative_weights(weights):
    values = np.array([1.0, 3.0, 5.0, 7.0])
    expected = (values * weights).sum() / np.sum(weights)
    assert float(metrics.Mean()(values, sample_weight=weights)) == pytest.approx(expected)
    assert float(metrics.Sum()(values, sample_weight=weights)) == pytest.approx((values * weights).sum())
    assert float(metrics.Mean()(values, sample_weight=[1, -1, 0, 0])) == 0.0


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_k_largest_are_k_whatever_ties(k, rank):
    shape = (2, 3, 5)[-rank:]
    scores = RANDOM.integers(0, 3, shape).astype(np.float32) / 4
    y = RANDOM.integers(0, 2, shape)
    chosen = np.zeros(shape, bool)
    # Of equal scores the first ones.
    order = np.argsort(-scores, axis=-1, kind="stable")[..., :k]
    np.put_along_axis(chosen, order, True, axis=-1)
    weight = RANDOM.integers(1, 4, shape).astype(np.float32)
    for threshold in (None, 0.3):
        positive = chosen & (scores > (-1 if threshold is None else threshold))
        right = (weight * (positive & (y == 1))).sum()
        precision = metrics.Precision(thresholds=threshold, top_k=k)(y, scores, sample_weight=weight)
        recall = metrics.Recall(thresholds=threshold, top_k=k)(y, scores, sample_weight=weight)
        assert float(precision) == pytest.approx(right / max(1.0, (weight * positive).sum()))
        assert float(recall) == pytest.approx(right / max(1.0, (weight * (y == 1)).sum()))


def test_nan_is_no_positive():
    scores = np.array([[np.nan, 0.2, 0.1]])
    assert float(metrics.Precision(top_k=2)([[1, 1, 0]], scores)) == 0.5
    assert float(metrics.Recall(top_k=1)([[1, 0, 0]], scores)) == 0.0
    assert ops.in_top_k([0, 1], np.repeat(scores, 2, 0), 2).tolist() == [False, False]
    assert metrics.sparse_top_k_categorical_accuracy([0], scores, k=2).tolist() == [0.0]
    assert metrics.top_k_categorical_accuracy([[1, 0, 0]], scores, k=2).tolist() == [0.0]


def test_ignored_rows_have_no_weight():
    y, w = np.array([0, 1, 2, 0]), np.array([0.5, 1.5, 2.0, 9.0])
    losses = -np.log(SCORES[np.arange(4), y])
    metric = metrics.SparseCategoricalCrossentropy(ignore_class=0)
    metric.update_state(y, SCORES[:4], sample_weight=w)
    assert float(metric.result()) == pytest.approx((losses * w)[1:3].sum() / w[1:3].sum(), rel=1e-5)


class _Several(metrics.Metric):
    """A metric made of others."""

    def __init__(self, how: str):
        super().__init__(name="several")
        parts = [metrics.Mean(), metrics.Sum()]
        variable = Variable(0.0, trainable=False)
        self.parts: Any = {
            "attributes": None,
            "list": [*parts, variable],
            "tuple": (*parts, variable),
            "dict": {"a": parts[0], "b": {"c": parts[1], "v": variable}},
            "nested": [[parts[0]], ({"b": parts[1]}, [variable])],
            "set": {*parts, variable},
        }[how]
        if how == "attributes":
            self.first, self.second, self.variable = *parts, variable
        self.all = parts
        self.number = variable

    def update_state(self, y_true, y_pred, sample_weight=None):
        for part in self.all:
            part.update_state(y_pred)
        self.number.assign(self.number + 1.0)

    def result(self):
        return self.all[0].result() + self.all[1].result() + self.number.value


@pytest.mark.parametrize("how", ["attributes", "list", "tuple", "dict", "nested", "set"])
def test_metrics_inside_of_a_metric(how):
    metric = _Several(how)
    count = len(metrics.Mean().variables) + len(metrics.Sum().variables) + 1
    assert len({id(v) for v in metric.variables}) == len(metric.variables) == count
    assert float(metric([0.0], [3.0])) == 7.0
    metric.reset_state()
    assert float(metric.result()) == 0.0
    # Also where steps are recorded, with assignments of a metric's variables among them.
    model = cnnrs.Sequential([cnnrs.Input((1,)), cnnrs.layers.Activation("linear")])
    model.compile("sgd", "mse", metrics=[metric])
    for _ in range(2):
        logs = model.evaluate(np.full((4, 1), 3.0), np.zeros(4), batch_size=2, verbose=0, return_dict=True)
        assert logs["several"] == 3.0 + 12.0 + 2.0
