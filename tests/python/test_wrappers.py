"""Models as estimators: scikit-learn's own checks, searches in processes, copies."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, wrappers

pytest.importorskip("sklearn")
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

RANDOM = np.random.default_rng(7)
X = RANDOM.normal(size=(60, 4))
Y = X @ np.array([1.0, -2.0, 0.5, 0.0]) + 0.25
KIND = np.where(Y > 0.25, "up", "down")


def net(X: Any, y: Any, loss: str, width: int = 8, activation: str | None = "softmax") -> cnnrs.Model:
    x = cnnrs.Input((X.shape[1],))
    hidden = layers.Dense(width, activation="relu")(x)
    out = layers.Dense(1 if y.ndim == 1 else y.shape[1], activation=activation)(hidden)
    model = cnnrs.Model(x, out)
    model.compile(cnnrs.optimizers.Adam(0.05), loss)
    return model


QUIET = {"verbose": 0}
CLASSES = {"loss": "categorical_crossentropy"}
VALUES = {"loss": "mse", "activation": None}
# What networks with fresh random weights cannot promise; Keras leaves out the same.
NOT_REPEATABLE = "two fits draw different weights"
LEFT_OUT = {
    "check_classifier_data_not_an_array": NOT_REPEATABLE,
    "check_classifiers_classes": NOT_REPEATABLE,
    "check_fit_idempotent": NOT_REPEATABLE,
    "check_supervised_y_2d": NOT_REPEATABLE,
    "check_classifiers_one_label_sample_weights": "weights of 0 do not remove a class",
    "check_classifiers_train": "decision_function has a column for each of two classes",
}


CHECKS = parametrize_with_checks(
    [
        wrappers.SKLearnClassifier(net, model_kwargs=CLASSES, fit_kwargs=QUIET),
        # The softmax of one number is 1, whatever the weights.
        wrappers.SKLearnRegressor(net, model_kwargs={"loss": "mse"}, fit_kwargs=QUIET),
        wrappers.SKLearnTransformer(net, model_kwargs={"loss": "mse"}, fit_kwargs=QUIET),
    ],
).mark


def called(value: Any) -> str:
    """The name of an estimator or a check: scikit-learn's has the address of `net`, other in each process."""
    return str(getattr(value, "func", value).__name__ if callable(value) else type(value).__name__)


@pytest.mark.parametrize(*CHECKS.args, ids=called)
@pytest.mark.filterwarnings("ignore:You are using a softmax over axis -1")
def test_checks_of_scikit_learn(estimator, check):
    name = getattr(check, "func", check).__name__
    if isinstance(estimator, wrappers.SKLearnClassifier) and name in LEFT_OUT:
        pytest.skip(LEFT_OUT[name])
    check(estimator)


def test_classes_are_any_labels():
    made = wrappers.SKLearnClassifier(net, model_kwargs=CLASSES, fit_kwargs={"epochs": 30, **QUIET})
    for labels in (KIND, (KIND == "up") * 7, KIND == "up"):
        made.fit(X, labels)
        assert made.score(X, labels) > 0.9
        assert made.predict(X).shape == labels.shape and made.predict(X).dtype == labels.dtype
        assert made.classes_.tolist() == np.unique(labels).tolist()
        columns = made.decision_function(X).argmax(1)
        np.testing.assert_array_equal(made.classes_[columns], made.predict(X))


def test_values():
    made = wrappers.SKLearnRegressor(net, model_kwargs=VALUES, fit_kwargs={"epochs": 60, **QUIET})
    assert make_pipeline(StandardScaler(), made).fit(X, Y).score(X, Y) > 0.9
    assert made.predict(X).shape == Y.shape and made.epoch_ == 60
    transformer = wrappers.SKLearnTransformer(net, model_kwargs=VALUES, fit_kwargs=QUIET)
    assert transformer.fit_transform(X, Y).shape == (60, 1)
    weighted = wrappers.SKLearnRegressor(net, model_kwargs=VALUES, fit_kwargs={"epochs": 60, **QUIET})
    weighted.fit(np.tile(X, (2, 1)), np.r_[Y, Y + 9], sample_weight=np.r_[np.ones(60), np.zeros(60)])
    assert weighted.score(X, Y) > 0.9


def test_a_search_in_two_processes():
    def build(X, y, width):
        model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(width, "relu"), layers.Dense(2, "softmax")])
        model.compile(cnnrs.optimizers.Adam(0.05), "categorical_crossentropy")
        return model

    made = wrappers.SKLearnClassifier(build, fit_kwargs={"epochs": 9, "verbose": 0})
    search = GridSearchCV(made, {"model_kwargs": [{"width": 1}, {"width": 8}]}, n_jobs=2, cv=2)
    search.fit(X, KIND)
    assert search.best_score_ > 0.6
    assert search.best_estimator_.fit_kwargs == {"epochs": 9, "verbose": 0}
    cnnrs.utils.set_random_seed(4)
    model = build(X, None, 8)
    ready = wrappers.SKLearnClassifier(model, fit_kwargs={"epochs": 20, "verbose": 0})
    assert cross_val_score(ready, X, KIND, cv=2).mean() > 0.8
    twin = pickle.loads(pickle.dumps(ready.fit(X, KIND)))
    np.testing.assert_array_equal(twin.predict(X), ready.predict(X))


def test_a_model_is_cloned_or_goes_on():
    model = net(X, Y, **VALUES)
    before = model.get_weights()
    made = wrappers.SKLearnRegressor(model, fit_kwargs={"epochs": 3, **QUIET})
    made.fit(X, Y)
    assert made.model_ is not model
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)
    copied = clone(made)
    assert (
        copied.fit_kwargs == made.fit_kwargs and copied.model is not model and not hasattr(copied, "model_")
    )
    going_on = wrappers.SKLearnRegressor(model, warm_start=True, fit_kwargs={"epochs": 3, **QUIET})
    first = going_on.fit(X, Y).model_
    assert first is model and going_on.fit(X, Y, epochs=1).model_ is first and going_on.epoch_ == 1


def test_errors(monkeypatch):
    model = cnnrs.Sequential([cnnrs.Input((4,)), layers.Dense(1)])
    with pytest.raises(RuntimeError, match="compiled"):
        wrappers.SKLearnRegressor(model).fit(X, Y)
    with pytest.raises(RuntimeError, match="enable_metadata_routing"):
        wrappers.SKLearnRegressor(model).set_fit_request(sample_weight=True)
    with pytest.raises(ValueError, match="Only binary and multiclass"):
        wrappers.SKLearnClassifier(net, model_kwargs=CLASSES).fit(X, Y)
    with pytest.raises(AttributeError, match="did you mean 'SKLearnClassifier'"):
        _ = wrappers.SKLearnClasifier
    monkeypatch.setitem(__import__("sys").modules, "sklearn", None)
    monkeypatch.delitem(__import__("sys").modules, "cnnrs.wrappers.estimators")
    monkeypatch.delattr(wrappers, "estimators", raising=False)
    monkeypatch.delitem(vars(wrappers), "SKLearnRegressor", raising=False)
    with pytest.raises(ImportError, match=r"cnnrs\[sklearn\]"):
        _ = wrappers.SKLearnRegressor
