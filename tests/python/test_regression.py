"""Evaluations of models that predict numbers, against scikit-learn, and what `RunReport` makes of them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import sklearn.metrics as sk

import cnnrs
from cnnrs import evaluation, layers, reporting

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(50,), (50, 1), (50, 3)])
def test_figures_are_those_of_scikit_learn(shape):
    y = RNG.normal(size=shape)
    guess = y + RNG.normal(size=shape) * 0.3
    found = evaluation.Regression(y, guess)
    assert found.mae == pytest.approx(sk.mean_absolute_error(y, guess), rel=1e-12)
    assert found.rmse == pytest.approx(np.sqrt(sk.mean_squared_error(y, guess)), rel=1e-12)
    assert found.r2 == pytest.approx(sk.r2_score(y, guess), rel=1e-12)
    assert found.largest_error == np.abs(guess - y).max() and found.bias == pytest.approx((guess - y).mean())
    if len(shape) == 1:
        assert found.median_error == pytest.approx(sk.median_absolute_error(y, guess), rel=1e-12)
    worst = found.worst(3)
    errors = np.abs(guess - y).reshape(50, -1).mean(axis=1)
    assert [d.index for d in worst] == np.argsort(-errors)[:3].tolist()
    assert worst[0].error == pytest.approx(errors.max())


def test_an_axis_of_one_number_may_be_left_out_and_constant_targets_have_no_r2():
    found = evaluation.Regression(np.arange(4), np.arange(4)[:, None] + 1)
    assert found.mae == 1.0 and found.targets.shape == (4, 1)
    assert np.isnan(evaluation.Regression([2, 2], [1, 3]).r2)
    assert evaluation.Regression([2, 2], [1, 3]).as_dict()["r2"] is None
    text = repr(found)
    assert "Mean absolute error" in text and "4 samples" in text
    assert found._repr_svg_().startswith("<svg")


@pytest.mark.parametrize(
    ("y", "guess", "message"),
    [
        ([1, 2], [1, 2, 3], r"y_pred: expected shape \(2,\), received \(3,\)"),
        ([], [], "y_true: expected numbers of at least one sample"),
        (["a"], [1], "y_true: expected numbers"),
        ([1, np.nan], [1, 2], "y_true: expected finite numbers"),
        ([1, 2], [1, np.inf], "y_pred: expected finite numbers"),
    ],
)
def test_what_does_not_fit_is_named(y, guess, message):
    with pytest.raises(ValueError, match=message):
        evaluation.Regression(y, guess)


def test_files_go_round(tmp_path):
    found = evaluation.Regression([1.0, 2.0], [1.5, 2.0], paths=["a.png", "b.png"])
    found.save(tmp_path)
    again = evaluation.Regression.load(tmp_path)
    assert again.mae == 0.25 and again.paths == ["a.png", "b.png"] and again.samples is None
    assert json.loads((tmp_path / "evaluation.json").read_text())["kind"] == "regression"
    with pytest.raises(ValueError, match="expected labels and scores, found no labels"):
        evaluation.Evaluation.load(tmp_path)
    evaluation.Evaluation([0, 1], [[0.9, 0.1], [0.2, 0.8]]).save(tmp_path)
    with pytest.raises(ValueError, match="expected targets and predictions, found no targets"):
        evaluation.Regression.load(tmp_path)


def regressor(outputs=1):
    cnnrs.utils.set_random_seed(0)
    model = cnnrs.Sequential(
        [cnnrs.Input((8, 8, 3)), layers.Conv2D(4, 3), layers.GlobalAveragePooling2D(), layers.Dense(outputs)]
    )
    model.compile("sgd", "mse")
    return model


X = RNG.random((24, 8, 8, 3)).astype("float32")
Y = X.mean(axis=(1, 2, 3))


def test_a_model_is_evaluated_in_batches_and_keeps_its_worst_samples():
    model, seen = regressor(), []
    found = evaluation.evaluate_regression(model, X, Y, batch_size=7, samples=5, on_batch=seen.append)
    expected = model.predict(X, verbose=0)
    np.testing.assert_allclose(found.predictions, expected, rtol=1e-6)
    assert seen == [7, 14, 21, 24]
    assert found.samples.indices.tolist() == [d.index for d in found.worst(5)]
    np.testing.assert_array_equal(found.samples.images[0], X[found.worst(1)[0].index])
    data = cnnrs.data.Dataset.from_tensor_slices((X, Y)).batch(5)
    assert evaluation.evaluate_regression(model, data).mae == pytest.approx(found.mae, rel=1e-6)
    with pytest.raises(ValueError, match="y: expected the numbers of each sample, received none"):
        evaluation.evaluate_regression(model, X)
    with pytest.raises(ValueError, match="expected shape"):
        evaluation.evaluate_regression(regressor(2), X, Y)


@pytest.mark.parametrize("loss", ["mse", "mean_absolute_error", cnnrs.losses.Huber(), "own"])
def test_the_report_of_a_fit_that_predicts_numbers(tmp_path, loss):
    def own(y, p):
        return cnnrs.ops.mean(cnnrs.ops.abs(y - p), axis=-1)

    model = regressor()
    model.compile("sgd", own if loss == "own" else loss)
    model.fit(X, Y, validation_split=0.5, verbose=0, callbacks=[reporting.RunReport(tmp_path)])
    figures = json.loads((tmp_path / "evaluation.json").read_text())
    expected = sk.mean_absolute_error(Y[12:], model.predict(X[12:], verbose=0))
    assert figures["kind"] == "regression" and figures["samples"] == 12
    assert figures["mean_absolute_error"] == pytest.approx(expected, rel=1e-5)
    text = (tmp_path / "report.html").read_text("utf-8")
    assert (
        'id="errors"' in text and "Largest errors" in text and f"{figures['mean_absolute_error']:.4g}" in text
    )
    assert 'id="classes"' not in text and "Confidence" not in text and "Worst mistakes" not in text
    assert text.count("<img") >= 12


def test_whole_numbers_with_a_loss_of_numbers_are_no_classes(tmp_path):
    model = regressor()
    model.fit(
        X, np.arange(24) % 2, validation_split=0.5, verbose=0, callbacks=[reporting.RunReport(tmp_path)]
    )
    assert json.loads((tmp_path / "evaluation.json").read_text())["kind"] == "regression"


def test_a_model_that_is_neither_is_kept_and_told(tmp_path):
    inputs = cnnrs.Input((8, 8, 3))
    outputs = [layers.Dense(1)(layers.Flatten()(inputs)), layers.Dense(2)(layers.Flatten()(inputs))]
    model = cnnrs.Model(inputs, outputs)
    model.compile("sgd", ["mse", "mse"])
    y = [Y, np.stack([Y, Y], 1)]
    report = reporting.RunReport(tmp_path)
    with pytest.warns(UserWarning, match="RunReport: the model is kept, but not evaluated"):
        model.fit(X, y, validation_data=(X, y), verbose=0, callbacks=[report])
    assert (tmp_path / "model.keras").exists() and not (tmp_path / "evaluation.json").exists()


def test_curves_draw_by_one_base():
    from cnnrs.charts import Drawn

    pytest.importorskip("matplotlib").use("svg")
    scores = [[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]]
    found = evaluation.Evaluation([0, 1, 1], scores)
    curves = [found.roc(), found.precision_recall(), found.calibration, evaluation.Regression([1, 2], [1, 3])]
    for curve in curves:
        assert isinstance(curve, Drawn) and "plot" not in vars(type(curve))
        axes = curve.plot()
        assert axes.get_xlabel() and axes.get_legend() is not None
        assert curve.plot(axes) is axes
        assert curve._repr_svg_() == curve.chart().svg()
