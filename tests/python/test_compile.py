"""What `compile` is given for each output: names, order and keys. Figures are those of Keras 3.15.1."""

from __future__ import annotations

import functools

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, Model, Sequential, layers, losses, metrics, ops

X = np.ones((4, 2), np.float32)
ZEROS = np.zeros(4, np.float32)
RAMP = np.arange(4, dtype=np.float32)
BOTH = [np.zeros((4, 1)), np.ones((4, 1))]
BY_NAME = {"p": "mse", "q": "mse"}


def one(loss="mse", **arguments):
    """Predicts 2 for every sample, and does not learn."""
    model = Sequential([Input((2,)), layers.Dense(1, kernel_initializer="ones", name="only")])
    model.compile(cnnrs.optimizers.SGD(0.0), loss, **arguments)
    return model


def two(loss=BY_NAME, keyed=False, **arguments):
    """Outputs p, which is 2, and q, which is 0."""
    x = Input((2,))
    p = layers.Dense(1, kernel_initializer="ones", name="p")(x)
    q = layers.Dense(1, kernel_initializer="zeros", name="q")(x)
    model = Model(x, {"q": q, "p": p} if keyed else [p, q])
    model.compile(cnnrs.optimizers.SGD(0.0), loss, **arguments)
    return model


class Pair(Model):
    """The same two outputs, without names."""

    def __init__(self):
        super().__init__()
        self.p = layers.Dense(1, kernel_initializer="ones")
        self.q = layers.Dense(1, kernel_initializer="zeros")

    def call(self, x):
        return [self.p(x), self.q(x)]


def pair(loss, **arguments):
    model = Pair()
    model.compile(cnnrs.optimizers.SGD(0.0), loss, **arguments)
    return model


def logs(model, y, **arguments):
    return model.evaluate(X, y, verbose=0, return_dict=True, **arguments)


# ---- names


def test_a_metric_with_and_without_weights():
    weights = np.array([1, 2, 3, 4], np.float32)
    model = one(metrics=["mae"], weighted_metrics=["mae"])
    assert logs(model, RAMP, sample_weight=weights) == pytest.approx(
        {"loss": 2.5, "mae": 1.0, "weighted_mae": 0.8}
    )
    # Keras lists "mae" twice here.
    assert model.evaluate(X, RAMP, sample_weight=weights, verbose=0) == pytest.approx([2.5, 1.0, 0.8])
    model = one(metrics=["mae", "mae"], weighted_metrics=["mae", "mae"])
    assert logs(model, RAMP, sample_weight=weights) == pytest.approx(
        {"loss": 2.5, "mae": 1.0, "mae_1": 1.0, "weighted_mae": 0.8, "weighted_mae_1": 0.8}
    )


def test_metrics_of_the_same_name_are_all_reported():
    y = (RAMP > 0).astype(np.float32)
    low, high = (metrics.BinaryAccuracy(name="p", threshold=t) for t in (0.5, 2.5))
    model = one(metrics=[low, high])
    assert logs(model, y) == pytest.approx({"loss": 1.75, "p": 0.75, "p_1": 0.25})
    # Keras reports the metric alone.
    model = one(metrics=[metrics.MeanAbsoluteError(name="loss")])
    assert logs(model, RAMP) == pytest.approx({"loss": 1.5, "loss_1": 1.0})


def test_metrics_of_the_same_name_on_several_outputs():
    model = two(metrics={"p": ["mae", "mae"], "q": "mse"}, weighted_metrics={"p": ["mae"]})
    assert logs(model, BOTH) == pytest.approx(
        {
            "loss": 5.0,
            "p_loss": 4.0,
            "p_mae": 2.0,
            "p_mae_1": 2.0,
            "p_weighted_mae": 2.0,
            "q_loss": 1.0,
            "q_mse": 1.0,
        }
    )
    assert model.evaluate(X, BOTH, verbose=0) == pytest.approx([5.0, 4.0, 1.0, 2.0, 2.0, 2.0, 1.0])


def test_outputs_without_names():
    model = pair(["mse", "mae"], metrics=[["mae"], ["mae"]])
    assert logs(model, [ZEROS, ZEROS]) == pytest.approx(
        {"loss": 4.0, "mae": 2.0, "mae_1": 0.0, "mae_loss": 0.0, "mse_loss": 4.0}
    )


def MyDistance(y_true, y_pred):
    return ops.mean(ops.abs(y_true - y_pred))


class OwnMetric:
    def __call__(self, y_true, y_pred):
        return ops.mean(y_true)


def test_metrics_that_are_functions_are_named_as_in_keras():
    functions = [
        MyDistance,
        lambda y_true, y_pred: ops.mean(y_true),
        lambda y_true, y_pred: ops.mean(y_pred),
        functools.partial(MyDistance),
        OwnMetric(),
        metrics.MeanAbsoluteError,
    ]
    assert logs(one(metrics=functions), RAMP) == pytest.approx(
        {
            "lambda": 1.5,
            "lambda_1": 2.0,
            "loss": 1.5,
            "mean_absolute_error": 1.0,
            "my_distance": 1.0,
            "own_metric": 1.5,
            "partial": 1.0,
        }
    )


def test_names_of_losses_give_functions_or_objects_as_in_keras():
    assert losses.get("mse") is losses.get("MSE") is losses.mean_squared_error
    assert losses.get("kld").__name__ == "kl_divergence"
    assert isinstance(losses.get("MeanSquaredError"), losses.MeanSquaredError)
    for name in ("mse", "MeanSquaredError", losses.MeanSquaredError(), lambda y, p: ops.square(y - p)):
        assert one(name).evaluate(X, RAMP, verbose=0) == pytest.approx(1.5)


# ---- order


def test_lists_and_logs_are_in_keras_s_order():
    model = two(metrics={"p": "mae", "q": "mse"})
    names = ["loss", "p_loss", "p_mae", "q_loss", "q_mse"]
    assert list(model.train_on_batch(X, BOTH, return_dict=True)) == names
    assert list(logs(model, BOTH)) == names
    assert list(model.fit(X, BOTH, verbose=0).history) == names
    for values in (
        model.evaluate(X, BOTH, verbose=0),
        model.train_on_batch(X, BOTH),
        model.test_on_batch(X, BOTH),
    ):
        # loss, p_loss, q_loss, p_mae, q_mse
        assert values == pytest.approx([5.0, 4.0, 1.0, 2.0, 1.0])
    model = two(metrics=[["mae", "mse"], ["mae"]], weighted_metrics={"q": "mae"})
    assert model.evaluate(X, BOTH, verbose=0) == pytest.approx([5.0, 4.0, 1.0, 2.0, 4.0, 1.0, 1.0])


def test_one_output_s_metrics_are_listed_as_given():
    model = one(metrics=["mse", "accuracy", "mae"])
    assert model.evaluate(X, RAMP, verbose=0) == pytest.approx([1.5, 1.5, 0.25, 1.0])
    history = model.fit(X, RAMP, validation_split=0.5, verbose=0).history
    assert list(history) == [
        "accuracy", "loss", "mae", "mse", "val_accuracy", "val_loss", "val_mae", "val_mse",
    ]  # fmt: skip
    assert model.metrics_names == ["loss", "compile_metrics"]


# ---- keys


@pytest.mark.parametrize(
    ("loss", "y"), [(["mse", None], BOTH), ({"p": "mse", "q": None}, BOTH), (["mse", None], BOTH[0])]
)
def test_a_single_loss_among_outputs_has_no_name_of_its_own(loss, y):
    assert logs(two(loss), y) == {"loss": pytest.approx(4.0)}


def test_losses_on_a_part_of_the_keys_of_dict_outputs():
    for y in ({"p": ZEROS, "q": ZEROS}, {"p": ZEROS}):
        assert logs(two({"p": "mse"}, keyed=True), y) == {"loss": pytest.approx(4.0)}


GOOD = {"p": ZEROS, "q": ZEROS}


@pytest.mark.parametrize("keyed", [False, True])
@pytest.mark.parametrize(
    ("compiled", "given", "words"),
    [
        ({}, {"y": {"p": ZEROS, "Q": ZEROS}}, ["y:", "'Q'"]),
        ({}, {"y": {"a": ZEROS, "b": ZEROS}}, ["y:", "'a'"]),
        ({}, {"y": {**GOOD, "zz": ZEROS}}, ["y:", "'zz'"]),
        ({}, {"y": {"p": ZEROS}}, ["y:", "without 'q'"]),
        ({}, {"sample_weight": {"pp": ZEROS, "q": ZEROS}}, ["sample_weight:", "'pp'", "did you mean 'p'"]),
        ({}, {"sample_weight": {"p": ZEROS}}, ["sample_weight:", "without 'q'"]),
        ({"loss": {"pp": "mse", "q": "mse"}}, {}, ["compile: loss:", "'pp'", "did you mean 'p'"]),
        ({"loss": {**BY_NAME, "zz": "mse"}}, {}, ["compile: loss:", "'zz'"]),
        ({"loss_weights": {"pp": 2.0}}, {}, ["compile: loss_weights:", "'pp'", "did you mean 'p'"]),
        ({"metrics": {"pp": "mae"}}, {}, ["compile: metrics:", "'pp'", "did you mean 'p'"]),
        ({"weighted_metrics": {"pp": "mae"}}, {}, ["compile: weighted_metrics:", "'pp'"]),
    ],
)
def test_wrong_keys(compiled, given, words, keyed):
    # As in Keras, what is compiled meets the outputs with the first batch.
    model = two(keyed=keyed, **compiled)
    arguments = {"y": GOOD, **given}
    with pytest.raises((KeyError, ValueError)) as error:
        model.evaluate(X, verbose=0, **arguments)
    for word in [*words, "['p', 'q']"]:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("make", "given", "words"),
    [
        (one, {"y": {"typo": ZEROS}}, ["y:", "'typo'", "'only'"]),
        (one, {"y": ZEROS, "sample_weight": {"typo": ZEROS}}, ["sample_weight:", "'typo'", "'only'"]),
        (lambda: one(metrics={"typo": "mae"}), {"y": ZEROS}, ["metrics:", "'typo'", "'only'"]),
        (lambda: two({"p": "mse"}), {"y": BOTH}, ["loss:", "['p', 'q']", "['p']", "None", "'q'"]),
        (lambda: two(metrics=["mae"]), {"y": BOTH}, ["metrics:", "2", "received 1"]),
        (lambda: two(metrics=[["mae"]] * 3), {"y": BOTH}, ["metrics:", "2", "received 3"]),
        (lambda: pair({"p": "mse"}), {"y": BOTH}, ["loss:", "no names", "['p']"]),
        (lambda: pair("mse"), {"y": GOOD}, ["y:", "no names", "['p', 'q']"]),
        (lambda: pair("mse"), {"y": [ZEROS, None]}, ["y:", "output 1", "None"]),
        (two, {"y": [ZEROS] * 3}, ["y:", "2", "received 3"]),
        (two, {"y": ZEROS}, ["y:", "2", "received 1"]),
        (two, {"y": BOTH, "sample_weight": [ZEROS]}, ["sample_weight:", "2", "received 1"]),
    ],
)
def test_what_does_not_fit_the_outputs(make, given, words):
    with pytest.raises(ValueError) as error:
        make().evaluate(X, verbose=0, **given)
    for word in words:
        assert word in str(error.value)


def test_loss_weights_of_a_wrong_kind():
    with pytest.raises(ValueError, match=r"loss_weights.*'a'"):
        two(loss_weights="a")


def test_dicts_by_name_reach_their_outputs():
    weights = {"q": ZEROS + 3, "p": ZEROS}
    for keyed in (False, True):
        model = two(keyed=keyed, loss_weights={"p": 5.0, "q": 2.0}, metrics={"q": ["mae"]})
        values = logs(model, {"q": ZEROS + 1, "p": ZEROS}, sample_weight=weights)
        assert values == pytest.approx({"loss": 6.0, "p_loss": 0.0, "q_loss": 3.0, "q_mae": 1.0})
    assert one().evaluate(X, {"only": RAMP}, verbose=0) == pytest.approx(1.5)


def test_nested_outputs_of_a_dict():
    x = Input((2,))
    ones = [layers.Dense(1, kernel_initializer="ones", name=name)(x) for name in "abc"]
    model = Model(x, {"first": ones[0], "rest": ones[1:]})
    model.compile("sgd", "mse")
    y = {"first": ZEROS, "rest": [ZEROS + 1, ZEROS + 2]}
    assert logs(model, y) == pytest.approx(
        {"loss": 5.0, "first_loss": 4.0, "rest/b_loss": 1.0, "rest/c_loss": 0.0}
    )
    with pytest.raises(ValueError, match=r"y: .*'first', 'rest'.*'first', 'resd'"):
        model.evaluate(X, {"first": ZEROS, "resd": [ZEROS, ZEROS]}, verbose=0)


# ---- weights by class


def test_class_weights_do_not_count_in_validation():
    def last(model, **arguments):
        history = model.fit(X, RAMP, validation_split=0.5, verbose=0, **arguments).history
        return {name: values[-1] for name, values in history.items()}

    weights = {0: 2.0, 3: 10.0}
    assert last(one(), class_weight=weights) == pytest.approx({"loss": 4.5, "val_loss": 0.5})
    assert last(one(weighted_metrics=["mae"]), class_weight=weights) == pytest.approx(
        {"loss": 4.5, "mae": 5 / 3, "val_loss": 0.5, "val_mae": 0.5}
    )
    # Weights of samples do count.
    assert last(one(), sample_weight=RAMP + 1) == pytest.approx({"loss": 3.0, "val_loss": 2.0})


@pytest.mark.parametrize(
    ("y", "weights", "loss"),
    [
        (RAMP - 2, {0: 2.0, -1: 5.0, -2: 0.5}, 15.5),
        (RAMP * 0.6, {0: 2.0, 1: 3.0, 2: 5.0}, 4.0),
        (RAMP, {0: 2.0, 3: 10.0}, 4.75),
    ],
)
def test_class_weights_of_any_integer(y, weights, loss):
    assert one().train_on_batch(X, y, class_weight=weights) == pytest.approx(loss)
    assert one().fit(X, y, class_weight=weights, verbose=0).history["loss"] == pytest.approx([loss])


@pytest.mark.parametrize(
    ("data", "weights", "kind", "words"),
    [
        ((X, RAMP), {"a": 1.0}, ValueError, ["class_weight", "integers", "'a'"]),
        ((X, RAMP), {0: "heavy"}, ValueError, ["class_weight", "number", "'heavy'"]),
        ((X, RAMP), [1.0, 2.0], TypeError, ["class_weight", "dict", "[1.0, 2.0]"]),
        ((X, RAMP, RAMP), {0: 1.0}, ValueError, ["class_weight", "sample_weight"]),
        (([(X, RAMP, RAMP)],), {0: 1.0}, ValueError, ["class_weight", "sample_weight"]),
    ],
)
def test_wrong_class_weights(data, weights, kind, words):
    x, y, sample_weight = (*data, None, None)[:3]
    with pytest.raises(kind) as error:
        one().fit(x, y, sample_weight=sample_weight, class_weight=weights, verbose=0)
    for word in words:
        assert word in str(error.value)
