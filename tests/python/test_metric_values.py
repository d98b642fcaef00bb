"""Values of metrics of overlap, F-scores, regression and operating points, against float64; exact counts."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import cnnrs
from cnnrs import metrics

RANDOM = np.random.default_rng(3)
TRUE = RANDOM.integers(0, 4, (5, 6, 7))
GUESS = np.where(RANDOM.uniform(size=TRUE.shape) < 0.6, TRUE, RANDOM.integers(0, 4, TRUE.shape))
BITS = RANDOM.integers(0, 2, (40, 3))
SCORES = np.clip(0.4 * BITS + RANDOM.uniform(0, 0.6, BITS.shape), 0, 1).astype(np.float32)


def ious(true: np.ndarray, guess: np.ndarray, weight: np.ndarray | float = 1.0) -> np.ndarray:
    weight = np.broadcast_to(weight, true.shape)
    both = [weight[(true == c) & (guess == c)].sum() for c in range(4)]
    either = [weight[(true == c) | (guess == c)].sum() for c in range(4)]
    return np.array(both) / np.maximum(either, 1)


def test_intersection_over_union():
    expected = ious(TRUE, GUESS)
    metric = metrics.MeanIoU(num_classes=4)
    for rows in (slice(0, 2), slice(2, 5)):
        metric.update_state(TRUE[rows], GUESS[rows])
    assert float(metric.result()) == pytest.approx(expected.mean(), rel=1e-5)
    assert metric.total_cm.dtype == "int32" and int(metric.total_cm.numpy().sum()) == TRUE.size
    some = metrics.IoU(num_classes=4, target_class_ids=[0, 3])
    assert float(some(TRUE, GUESS)) == pytest.approx(expected[[0, 3]].mean(), rel=1e-5)
    hot, scores = np.eye(4)[TRUE], np.eye(4)[GUESS] + 0.1
    assert float(metrics.OneHotMeanIoU(num_classes=4)(hot, scores)) == pytest.approx(
        expected.mean(), rel=1e-5
    )
    first = metrics.OneHotIoU(4, [2], axis=1)
    assert float(first(np.moveaxis(hot, -1, 1), np.moveaxis(scores, -1, 1))) == pytest.approx(
        expected[2], rel=1e-5
    )
    # Labels outside of the classes, and the ignored one, do not count.
    outside = np.where(RANDOM.uniform(size=TRUE.shape) < 0.2, 255, TRUE)
    kept = outside != 255
    for ignore in (None, 255):
        metric = metrics.MeanIoU(num_classes=4, ignore_class=ignore)
        assert float(metric(outside, GUESS)) == pytest.approx(ious(TRUE[kept], GUESS[kept]).mean(), rel=1e-5)
    weight = RANDOM.integers(0, 3, TRUE.shape)
    weighted = metrics.MeanIoU(num_classes=4)(TRUE, GUESS, sample_weight=weight)
    assert float(weighted) == pytest.approx(ious(TRUE, GUESS, weight).mean(), rel=1e-5)


@pytest.mark.parametrize("average", [None, "micro", "macro", "weighted"])
@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("threshold", [None, 0.5])
def test_f_scores(average, beta, threshold):
    largest = SCORES == SCORES.max(1, keepdims=True)
    guess = largest if threshold is None else SCORES > threshold
    axis = None if average == "micro" else 0
    right, predicted, positive = (x.sum(axis) for x in (guess & (BITS == 1), guess, BITS))
    precision, recall = right / predicted, right / positive
    expected = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    if average == "macro":
        expected = expected.mean()
    elif average == "weighted":
        expected = (expected * positive).sum() / positive.sum()
    value = metrics.FBetaScore(average=average, beta=beta, threshold=threshold)(BITS, SCORES).numpy()
    np.testing.assert_allclose(value, expected, rtol=1e-5)


def test_regression():
    y = RANDOM.normal(size=(20, 3))
    p = y + RANDOM.normal(size=y.shape) * 0.5
    variance = ((y - y.mean(0)) ** 2).sum(0)
    scores = 1 - ((y - p) ** 2).sum(0) / variance
    weighted = (scores * variance).sum() / variance.sum()
    np.testing.assert_allclose(metrics.R2Score(class_aggregation=None)(y, p).numpy(), scores, rtol=1e-4)
    assert float(metrics.R2Score()(y, p)) == pytest.approx(scores.mean(), rel=1e-4)
    value = metrics.R2Score("variance_weighted_average")(y, p)
    assert float(value) == pytest.approx(weighted, rel=1e-4)
    adjusted = 1 - (1 - scores.mean()) * 19 / (20 - 4 - 1)
    assert float(metrics.R2Score(num_regressors=4)(y, p)) == pytest.approx(adjusted, rel=1e-4)
    assert float(metrics.R2Score(num_regressors=30)(y, p)) == pytest.approx(scores.mean(), rel=1e-4)
    pearson = [np.corrcoef(a, b)[0, 1] for a, b in zip(y, p, strict=True)]
    np.testing.assert_allclose(metrics.pearson_correlation(y, p).numpy(), pearson, rtol=1e-4)
    cov = ((y - y.mean(1, keepdims=True)) * (p - p.mean(1, keepdims=True))).mean(1)
    concordance = 2 * cov / (y.var(1) + p.var(1) + (y.mean(1) - p.mean(1)) ** 2)
    np.testing.assert_allclose(metrics.concordance_correlation(y, p).numpy(), concordance, rtol=1e-4)
    along = metrics.pearson_correlation(y.T, p.T, axis=0).numpy()
    np.testing.assert_allclose(along, pearson, rtol=1e-4)
    assert float(metrics.PearsonCorrelation()(y, p)) == pytest.approx(np.mean(pearson), rel=1e-4)


def test_operating_points():
    limits = np.linspace(0, 1, 50).astype(np.float32)
    guess = SCORES[None] > limits[:, None, None]
    right, wrong = (guess & (BITS == 1)).sum((1, 2)), (guess & (BITS == 0)).sum((1, 2))
    missed, spared = (~guess & (BITS == 1)).sum((1, 2)), (~guess & (BITS == 0)).sum((1, 2))
    ratios = {
        "precision": right / np.maximum(right + wrong, 1),
        "recall": right / (right + missed),
        "specificity": spared / (spared + wrong),
    }
    ratios["sensitivity"] = ratios["recall"]
    for name in (
        "PrecisionAtRecall",
        "RecallAtPrecision",
        "SensitivityAtSpecificity",
        "SpecificityAtSensitivity",
    ):
        wanted, given = name.lower().split("at")
        for least in (0.0, 0.6, 0.9, 1.0):
            metric = getattr(metrics, name)(least, num_thresholds=50)
            expected = ratios[wanted][ratios[given] >= least].max(initial=0)
            assert float(metric(BITS, SCORES)) == pytest.approx(expected, rel=1e-5), (name, least)
            again = type(metric).from_config(metric.get_config())
            assert float(again(BITS, SCORES)) == float(metric.result())


def test_areas_of_labels():
    metric = metrics.AUC(num_thresholds=30, multi_label=True)
    each = [float(metrics.AUC(num_thresholds=30)(BITS[:, i], SCORES[:, i])) for i in range(3)]
    assert float(metric(BITS, SCORES)) == pytest.approx(np.mean(each), rel=1e-5)
    weighted = metrics.AUC(num_thresholds=30, multi_label=True, num_labels=3, label_weights=[1, 0, 3])
    assert float(weighted(BITS, SCORES)) == pytest.approx((each[0] + 3 * each[2]) / 4, rel=1e-5)
    assert metrics.AUC(num_thresholds=None, thresholds=[0.3, 0.2]).thresholds[1:-1] == [0.2, 0.3]


@pytest.mark.parametrize("kind", ["TruePositives", "Precision", "AUC", "F1Score", "Mean", "MeanIoU"])
def test_counts_are_exact_beyond_float32(kind):
    """One more at a time, behind 2²⁴ of them."""
    arguments = {"MeanIoU": {"num_classes": 2}, "F1Score": {"average": "micro"}}.get(kind, {})
    metric = getattr(metrics, kind)(**arguments)
    first, one = ([[1, 0]], [[1, 0]]) if kind == "F1Score" else ([1, 1], [1])
    update = metric.update_state
    if kind == "Mean":
        metric.update_state(np.ones(2))
        counts = [metric.total, metric.count]
    else:
        update(first, np.asarray(first, np.float32))
        counts = [metric.total_cm] if kind == "MeanIoU" else [metric.true_positives]
    for count in counts:
        count.assign(np.where(count.numpy() > 0, 2**24, 0).astype(count.dtype))
    for _ in range(6):
        update(*([np.ones(1)] if kind == "Mean" else [one, np.asarray(one, np.float32)]))
    for count in counts:
        assert int(np.max(count.numpy())) == 2**24 + 6
    # Who sets the state to something small finds no trace of it.
    for count in counts:
        count.assign(np.zeros(count.shape, count.dtype))
    assert all(not count.numpy().any() for count in counts)
    update(*([np.ones(1)] if kind == "Mean" else [one, np.asarray(one, np.float32)]))
    assert all(int(np.max(count.numpy())) == 1 for count in counts)


def test_state_and_copies():
    mean = metrics.Mean()
    assert [v.name for v in mean.variables] == ["total", "count"]
    assert [v.name for v in metrics.Sum().variables] == ["total"]
    precision = metrics.Precision()
    assert [v.name for v in precision.variables] == ["true_positives", "false_positives"]
    mean.update_state([1.0, 3.0])
    for twin in (copy.deepcopy(mean), pickle.loads(pickle.dumps(mean))):
        twin.update_state([5.0])
        assert float(twin.result()) == 3.0
    assert float(mean.result()) == 2.0
    state = mean.stateless_update_state([v.numpy() for v in mean.variables], [5.0])
    assert float(mean.result()) == 2.0 and float(mean.stateless_result(state)) == 3.0
    assert [float(v) for v in mean.stateless_reset_state()] == [0.0, 0.0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
def test_a_dtype_is_that_of_the_result(dtype):
    for made in (metrics.Mean(dtype=dtype), metrics.Sum(dtype=dtype)):
        assert made([1.0, 2.5]).dtype == made.dtype == dtype
        assert type(made).from_config(made.get_config()).dtype == dtype
    auc = metrics.AUC(dtype=dtype)
    assert auc([0, 1], [0.1, 0.9]).dtype == dtype and auc.true_positives.dtype == (
        "float64" if dtype == "float64" else "float32"
    )
    # 3000 ones: float16 ends at 2048 where it is added to.
    total = metrics.Sum(dtype=dtype)
    for _ in range(3):
        total.update_state(np.ones(1000))
    assert float(total.total) == 3000.0


@pytest.mark.parametrize(
    "name", ["F1Score", "R2Score", "AUC", "OneHotMeanIoU", "PrecisionAtRecall", "ConcordanceCorrelation"]
)
def test_in_fit(name):
    """State that the first batch makes is made where steps are recorded, too."""
    arguments = {
        "AUC": {"multi_label": True},
        "OneHotMeanIoU": {"num_classes": 3},
        "PrecisionAtRecall": {"recall": 0.5},
        "F1Score": {"average": "macro"},
    }.get(name, {})
    metric = getattr(metrics, name)(**arguments)
    model = cnnrs.Sequential([cnnrs.Input((4,)), cnnrs.layers.Dense(3, activation="sigmoid")])
    model.compile("sgd", "mse", metrics=[metric])
    x = RANDOM.normal(size=(40, 4)).astype(np.float32)
    model.fit(x, BITS.astype(np.float32), epochs=2, batch_size=16, verbose=0)
    logs = model.evaluate(x, BITS.astype(np.float32), batch_size=16, verbose=0, return_dict=True)
    expected = getattr(metrics, name)(**arguments)(BITS.astype(np.float32), model.predict(x, verbose=0))
    assert logs[metric.name] == pytest.approx(float(expected), rel=1e-4)
