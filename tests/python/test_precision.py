"""`config.set_precision`: what it changes, when, and what it refuses."""

import numpy as np
import pytest

import cnnrs
from cnnrs import config, layers, ops


@pytest.fixture(autouse=True)
def restored():
    yield
    config.set_precision("fast")


def operands():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(4, 16, 16, 64)).astype("float32")
    return x, rng.normal(size=(3, 3, 64, 64)).astype("float32") / 24


def convolve(x, w):
    return ops.conv(x, w, padding="same")


def exact(x, w):
    padded = np.pad(x.astype("float64"), ((0, 0), (1, 1), (1, 1), (0, 0)))
    taps = [(i, j) for i in range(3) for j in range(3)]
    return sum(padded[:, i : i + 16, j : j + 16] @ w[i, j].astype("float64") for i, j in taps)


def test_fast_is_the_default_and_both_are_close():
    assert config.precision() == "fast"
    x, w = operands()
    fast = convolve(x, w).numpy()
    config.set_precision("strict")
    assert config.precision() == "strict"
    strict = convolve(x, w).numpy()
    assert (fast != strict).any()
    want = exact(x, w)
    assert np.abs(strict - want).max() < np.abs(fast - want).max() < 1e-5
    config.set_precision("fast")
    np.testing.assert_array_equal(convolve(x, w).numpy(), fast)


def test_functions_and_models_follow_the_setting():
    x, w = operands()
    function = cnnrs.function(convolve)
    layer = layers.Conv2D(64, 3, padding="same", use_bias=False)
    model = cnnrs.Sequential([layers.Input(x.shape[1:]), layer])
    layer.set_weights([w])
    results = {}
    for precision in ("fast", "strict", "fast"):
        config.set_precision(precision)
        values = convolve(x, w).numpy(), function(x, w).numpy(), np.asarray(model.predict(x, verbose=0))
        for value in values[1:]:
            np.testing.assert_array_equal(value, values[0])
        np.testing.assert_array_equal(results.setdefault(precision, values[0]), values[0])
    assert function.traces == 2
    assert (results["fast"] != results["strict"]).any()


@pytest.mark.parametrize("value", ["exact", "Fast", "", None, 1])
def test_unknown_precisions_are_refused(value):
    with pytest.raises(ValueError, match=r"expected 'strict' or 'fast', received "):
        config.set_precision(value)
    assert config.precision() == "fast"


def test_strict_keeps_special_values_where_filters_meet_them():
    x, w = operands()
    x[1, 8, 8, 5] = np.nan
    reached = {}
    for precision in ("fast", "strict"):
        config.set_precision(precision)
        reached[precision] = np.isnan(convolve(x, w).numpy())
    assert reached["strict"].sum() == 9 * 64 and reached["strict"][1, 7:10, 7:10].all()
    # As the documentation of the setting says: more of that image, and none of the others.
    assert reached["fast"].sum() > reached["strict"].sum() and not reached["fast"][[0, 2, 3]].any()
