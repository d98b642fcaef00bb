"""Integers in windows and in random draws, and errors that name an index."""

import numpy as np
import pytest

from cnnrs import ops, random


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
def test_windows_of_integers_are_exact(dtype):
    big = 200 if dtype == "uint8" else 2**24 + 1
    x = np.full((1, 2, 2, 1), big - 1, dtype)
    x[0, 1, 1] = big
    assert ops.max_pool(x, 2).tolist() == [[[[big]]]]
    kernel = np.zeros((2, 2, 1, 1), dtype)
    kernel[1, 1] = 1
    for f in (ops.conv, ops.depthwise_conv):
        y = f(x, kernel)
        assert y.dtype == dtype
        assert y.tolist() == [[[[big]]]]
        assert f(x.astype("float32"), kernel).dtype == "float32"
    assert ops.conv(x, kernel.astype("int64")).dtype == "int64"


def test_randint_of_wide_ranges():
    drawn = random.randint((20000,), -(2**31), 2**31 - 1, seed=3).numpy()
    assert drawn.dtype == np.int32
    assert abs(drawn.astype(float).mean()) < 2**31 * 0.02
    assert len(np.unique(drawn)) > 19990
    assert abs((drawn & 1).mean() - 0.5) < 0.02
    assert (drawn == random.randint((20000,), -(2**31), 2**31 - 1, seed=3).numpy()).all()
    narrow = random.randint((1000,), 5, 5 + 2**25, seed=1).numpy()
    assert narrow.min() >= 5
    assert narrow.max() < 5 + 2**25
    with pytest.raises(ValueError, match="randint: dtype: expected one of"):
        random.randint((2,), 0, 3, dtype="float32")


def test_parameters_of_draws_broadcast():
    low, high = np.array([0.0, 10.0]), ops.convert_to_tensor([1.0, 11.0])
    drawn = random.uniform((1000, 2), low, high, seed=1).numpy()
    assert (drawn.min(0) >= [0, 10]).all()
    assert (drawn.max(0) <= [1, 11]).all()
    for f in (random.normal, random.truncated_normal):
        drawn = f((2000, 2), [0.0, 10.0], np.array([1.0, 3.0]), seed=1).numpy()
        np.testing.assert_allclose(drawn.mean(0), [0, 10], atol=0.25)
        assert f((3,), 2.0, 0.0, seed=1).tolist() == [2.0] * 3
        assert (f((3,), [2.0], [1.5], seed=1).numpy() == f((3,), 2.0, 1.5, seed=1).numpy()).all()


@pytest.mark.parametrize(("index", "named"), [([7], "7"), ([-9], "-9"), ([0, 3], r"\(0, 3\)")])
def test_an_index_outside_is_named(index, named):
    updates = np.ones((1, 3) if len(index) == 1 else (1,), "float32")
    with pytest.raises(ValueError, match=named):
        ops.scatter_update(np.zeros((3, 3), "float32"), [index], updates).numpy()
