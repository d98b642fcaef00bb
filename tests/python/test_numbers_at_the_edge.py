"""Elementwise functions over zeros, infinities, NaN, huge numbers: against numpy in float64, rounded."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import cnnrs
from cnnrs import _core, config, ops

INF, NAN = float("inf"), float("nan")
GRID = np.array(
    [0.0, -0.0, 0.1, 0.5, -0.5, 1, -1, 2, 3, -3, 7, 88.9, -88.9, 100, 12345.678, 1e-30, -1e-30, 1e-3]
    + [1e5, 16777217, 1e10, 1e30, -1e30, 3e38, -3e38, INF, -INF, NAN],
    np.float32,
)
UNARY = """abs ceil cos cosh deg2rad exp exp2 expm1 floor isfinite isinf isnan log log10 log1p log2 negative
    rad2deg reciprocal round sign sin sinh sqrt square tan tanh trunc""".split()
BINARY = """add divide equal floor_divide greater hypot less logaddexp maximum minimum mod multiply not_equal
    power subtract""".split()


def numpy_gives(name: str, *args: np.ndarray) -> np.ndarray:
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(*(a.astype(np.float64) for a in args))
        if name in ("maximum", "minimum"):
            # Of equal numbers the first one; numpy leaves the sign of a zero to the processor.
            exact = np.where(args[0] == args[1], args[0], exact)
        return np.asarray(exact, np.float64).astype(np.float32)


def check(name: str, got: np.ndarray, expected: np.ndarray, *args: np.ndarray) -> None:
    got = got.astype(np.float32)
    with np.errstate(all="ignore"):
        # Subnormal results count as zero.
        near = np.abs(got - expected) <= 4e-6 * np.abs(expected) + 1.2e-38
        if name in ("sin", "cos", "tan"):
            near |= np.abs(got - expected) <= 2e-7
    wrong = ~(near | (got == expected) | (np.isnan(got) & np.isnan(expected)))
    wrong |= (got == 0) & (expected == 0) & (np.signbit(got) != np.signbit(expected))
    cases = [tuple(map(float, row)) for row in np.stack([*args, got, expected], -1)[wrong]]
    assert not cases, f"{name}: arguments, received, expected: {cases[:8]}"


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name):
    # Whole vectors and a rest.
    x = np.tile(GRID, 5)
    check(name, np.asarray(getattr(ops, name)(x)), numpy_gives(name, x), x)


@pytest.mark.parametrize("name", BINARY)
def test_functions_of_two_numbers(name):
    a, b = (m.ravel() for m in np.meshgrid(GRID, GRID))
    check(name, np.asarray(getattr(ops, name)(a, b)), numpy_gives(name, a, b), a, b)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_periodic_functions_of_large_numbers_have_the_same_bits_beside_any_others(name):
    rng = np.random.default_rng(1)
    x = (rng.standard_normal(4000) * 10.0 ** rng.integers(0, 38, 4000)).astype(np.float32)
    together = np.asarray(getattr(ops, name)(x))
    # tan amplifies the rounding of its argument's sine and cosine near its poles.
    np.testing.assert_allclose(together, numpy_gives(name, x), rtol=3e-6, atol=2e-7)
    small = x[np.abs(x) < 1e9]
    assert (np.asarray(getattr(ops, name)(small)) == together[np.abs(x) < 1e9]).all()


def test_remainders_are_exact_and_quotients_are_of_the_exact_quotient():
    rng = np.random.default_rng(2)
    a, b = (
        rng.standard_normal(5000).astype(np.float32) * 10.0 ** rng.integers(-8, 9, 5000) for _ in range(2)
    )
    a, b = a.astype(np.float32), b.astype(np.float32)
    np.testing.assert_array_equal(np.asarray(ops.mod(a, b)), np.mod(a, b))
    np.testing.assert_array_equal(np.asarray(ops.floor_divide(a, b)), np.floor_divide(a, b))


def test_integers_are_exact_modulo_their_range():
    rng = np.random.default_rng(3)
    x = rng.integers(-(2**31), 2**31, (3, 40), dtype=np.int64).astype(np.int32)
    for axis in (None, 0, 1):
        np.testing.assert_array_equal(np.asarray(ops.cumsum(x, axis)), np.cumsum(x, axis, dtype=np.int32))
        np.testing.assert_array_equal(np.asarray(ops.sum(x, axis)), np.sum(x, axis, dtype=np.int32))
        np.testing.assert_array_equal(np.asarray(ops.prod(x | 1, axis)), np.prod(x | 1, axis, dtype=np.int32))
    np.testing.assert_array_equal(np.asarray(ops.max(x, 1)), x.max(1))
    np.testing.assert_array_equal(np.asarray(ops.argmax(x, 1)), x.argmax(1))
    base, power = np.array([10, 3, -2, 7], np.int32), np.array([10, 20, 31, 0], np.int32)
    np.testing.assert_array_equal(np.asarray(ops.power(base, power)), base**power)
    most = np.full(2**22, 2**31 - 1, np.int32)  # their sum passes the 53 bits of float64
    assert int(ops.sum(np.tile(most, 3))) == (3 * 2**22 * (2**31 - 1) + 2**31) % 2**32 - 2**31
    by = np.array([0, 0, -1, 3], np.int32)
    with np.errstate(divide="ignore", over="ignore"):
        for x in (7, -(2**31)):
            x = np.full(4, x, np.int32)
            np.testing.assert_array_equal(np.asarray(ops.mod(x, by)), np.mod(x, by))
            np.testing.assert_array_equal(np.asarray(ops.floor_divide(x, by)), np.floor_divide(x, by))


def test_running_sums_keep_infinities_where_they_are():
    x = np.array([1, 2, INF, 1, -INF, 5], np.float32)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(np.asarray(ops.cumsum(x)), np.cumsum(x))
    y = np.random.default_rng(4).standard_normal((3, 1000)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(ops.cumsum(y, 1)), np.cumsum(y.astype(np.float64), 1), atol=1e-4)


def test_softmax_of_an_infinite_logit_is_nan_throughout():
    assert np.isnan(np.asarray(ops.softmax(np.array([INF, 1, 2], np.float32)))).all()
    assert np.asarray(ops.softmax(np.array([-INF, 1, 1], np.float32))).tolist() == [0.0, 0.5, 0.5]


@pytest.mark.parametrize("name", ["hypot", "logaddexp"])
def test_gradients_at_equal_arguments_are_shared(name):
    x, y = cnnrs.Variable([1.0, 3.0]), cnnrs.Variable([1.0, 3.0])
    with cnnrs.GradientTape() as tape:
        total = ops.sum(getattr(ops, name)(x, y))
    first, second = (np.asarray(gradient) for gradient in tape.gradient(total, [x, y]))
    np.testing.assert_allclose(first, second, rtol=1e-6)
    np.testing.assert_allclose(first, 0.5 if name == "logaddexp" else 0.5**0.5, rtol=1e-6)


def test_zeros_have_signs():
    zeros = np.array([0.0, -0.0], np.float32)
    for value, signs in ((zeros, [False, True]), (zeros + 0.0, [False, False]), (zeros - 0.0, [False, True])):
        assert np.signbit(value).tolist() == signs
    x = _core.tensor(zeros)
    assert np.signbit((x + 0.0).numpy()).tolist() == [False, False]
    assert np.signbit((x - 0.0).numpy()).tolist() == [False, True]
    padded = ops.pad(np.ones((1, 2), np.float32), ((0, 0), (1, 1)), constant_values=-0.0)
    assert np.signbit(np.asarray(padded))[0].tolist() == [True, False, False, True]


@pytest.mark.parametrize(
    "name",
    "celu elu gelu hard_silu hard_tanh leaky_relu mish selu silu softsign tanh".split(),
)
def test_activations_that_pass_through_zero_keep_its_sign(name):
    x = np.array([0.0, -0.0] * 21, np.float32)
    y = np.asarray(getattr(ops, name)(x))
    assert (y == 0).all() and (np.signbit(y) == np.signbit(x)).all()


def test_activations_at_their_bounds_give_positive_zeros():
    bounds = {"relu": -0.0, "relu6": -1.0, "sigmoid": -INF, "softplus": -INF, "log_sigmoid": INF}
    for name, x in bounds.items():
        y = np.asarray(getattr(ops, name)(np.full(21, x, np.float32)))
        assert (y == 0).all() and not np.signbit(y).any(), name


def test_sums_begin_with_zero_and_running_sums_with_the_first_element():
    rng = np.random.default_rng(8)
    for shape in ((2,), (70,), (5000,), (4, 300), (300, 3), (3, 4, 5)):
        for x in (np.full(shape, -0.0, np.float32), np.where(rng.random(shape) < 0.5, -0.0, 0.0)):
            x = x.astype(np.float32)
            for axis in (None, *range(x.ndim)):
                for name in ("sum", "mean", "prod", "cumsum"):
                    got, expected = (np.asarray(getattr(m, name)(x, axis)) for m in (ops, np))
                    assert (np.signbit(got) == np.signbit(expected)).all(), (name, shape, axis)
    np.testing.assert_array_equal(np.signbit(np.asarray(ops.sum(np.zeros((0, 2), np.float32), 0))), False)


def test_the_extreme_of_zeros_is_the_first_of_them():
    rng = np.random.default_rng(9)
    for shape, axes in (((70,), 0), ((4, 300), 0), ((4, 300), 1), ((6, 5, 7), (0, 2)), ((40000, 3), 0)):
        x = np.where(rng.random(shape) < 0.5, -0.0, 0.0).astype(np.float32)
        reduced = (axes,) if isinstance(axes, int) else axes
        first = x[tuple(0 if a in reduced else slice(None) for a in range(x.ndim))]
        for name in ("max", "min"):
            got = np.asarray(getattr(ops, name)(x, axes))
            assert (np.signbit(got) == np.signbit(first)).all(), (name, shape, axes)


def test_arrays_of_any_layout_are_copied():
    numbers = np.arange(24, dtype=np.float32)
    odd = np.frombuffer(b"\0" + numbers.tobytes(), np.uint8)[1:].view(np.float32)
    assert not odd.flags.aligned
    big = numbers.astype(">f4")
    square = numbers.reshape(4, 6)
    read_only = numbers.copy()
    read_only.flags.writeable = False
    for array in (odd, big, square[::-1, ::2], square.T, read_only, numbers[:0], np.float32(3), numbers[5:6]):
        got = _core.tensor(array)
        assert got.shape == np.shape(array)
        np.testing.assert_array_equal(got.numpy(), np.asarray(array, np.float32))


def test_rows_of_arrays_of_any_layout_and_type_are_gathered():
    with _core.Trace() as trace:
        x = trace.placeholder([2, 6], "float32", "x")
        double = trace.compile([_core.apply("mul", [x, 2.0], {})])
    square = np.arange(24).reshape(4, 6)
    numbers = square.astype(np.float32)
    odd = np.frombuffer(b"\0" + numbers.tobytes(), np.uint8)[1:].view(np.float32).reshape(4, 6)
    assert not odd.flags.aligned
    read_only = numbers.copy()
    read_only.flags.writeable = False
    types = "float16 float64 int8 int32 int64 uint8 uint16 bool >f4 >i8 object".split()
    arrays = [odd, read_only, numbers[::-1, ::-1], np.asfortranarray(numbers), *map(square.astype, types)]
    for array in arrays:
        for indices in (np.array([3, 0, 1, 2]), [3, 0, 1, 2], np.array([3, 0, 1, 2], np.int32)):
            following, (rows,) = double.run_batches([array], indices, 2, 0, 1, 1.0)
            assert following == 1
            np.testing.assert_array_equal(rows.numpy(), np.asarray(array, np.float32)[[3, 0]] * 2)
    for wrong in (numbers.reshape(8, 3), np.float32(3)):
        with pytest.raises(ValueError, match="expected rows for float32|expected an axis of rows"):
            double.run_batches([wrong], [0, 1], 2, 0, 1, 1.0)
    with pytest.raises(TypeError):
        double.run_batches([numbers], np.array([[0, 1]]), 2, 0, 1, 1.0)


def test_indices_mean_what_they_mean_in_numpy_or_are_refused():
    x = np.arange(120, dtype=np.float32).reshape(2, 3, 4, 5)
    t = _core.tensor(x)
    parts = [
        0, -1, 1, True, False, None, ..., slice(None), slice(1, None), slice(None, None, -1), slice(3, 0, -2),
        slice(5, 2), np.array([1, 0]), np.array([[0], [1]]), np.int64(1), slice(-2, None),
        np.array([], np.int32), np.True_, np.array(False),
    ]  # fmt: skip
    rng = np.random.default_rng(5)
    refused = 0
    for _ in range(3000):
        index = tuple(parts[rng.integers(len(parts))] for _ in range(rng.integers(1, 6)))
        try:
            expected = x[index]
        except IndexError:
            expected = None
        try:
            got = t[index].numpy()
        except IndexError:
            refused += 1
            continue
        assert expected is not None, f"{index} is no index of numpy's"
        assert got.shape == expected.shape and (got == expected).all(), index
    assert refused < 2400
    assert t[True].shape == (1, 2, 3, 4, 5) and t[False].shape == (0, 2, 3, 4, 5)
    for one in (_core.tensor(True), ops.any(t > 0), cnnrs.Variable(True, dtype="bool")):
        assert t[one].shape == (1, 2, 3, 4, 5) and t[0, one].shape == (1, 3, 4, 5)
    for far in (2**31, 2**63, -(2**64)):
        with pytest.raises(IndexError, match=f"index {far} is outside axis"):
            t[0, far]
    with pytest.raises(IndexError, match="one ellipsis"):
        t[..., ...]
    with pytest.raises(IndexError, match="joins several index arrays"):
        t[[0, 1], [1, 2]]


@pytest.mark.parametrize("value", [INF, -INF, NAN])
def test_statistics_of_what_is_not_finite_are_nan(value):
    """Also where a convolution measures what it makes."""
    x = np.random.default_rng(7).standard_normal((4, 8, 8, 3)).astype(np.float32)
    x[1, 2, 3, 1] = value
    for before in (lambda x: x, cnnrs.layers.DepthwiseConv2D(1, depthwise_initializer="ones")):
        normalize = cnnrs.layers.BatchNormalization(momentum=0.5)
        y = np.asarray(normalize(before(ops.convert_to_tensor(x)), training=True))
        assert np.isnan(y[..., 1]).all() and np.isfinite(y[..., [0, 2]]).all()
        variance = np.asarray(normalize.moving_variance)
        assert np.isnan(variance[1]) and np.isfinite(variance[[0, 2]]).all()


def test_nan_stays_within_the_tiles_that_read_it():
    rng = np.random.default_rng(6)
    x, w = rng.standard_normal((1, 28, 28, 32)).astype(np.float32), rng.standard_normal((3, 3, 32, 32))
    x[0, 13, 9, 5] = NAN
    before = config.precision()
    try:
        for precision, reach in (("strict", 1), ("fast", 4)):
            config.set_precision(precision)
            y = np.asarray(ops.conv(x, w.astype(np.float32), 1, "same"))
            rows, columns = np.nonzero(np.isnan(y).any(-1)[0])
            assert len(rows) >= 9
            assert abs(rows - 13).max() <= reach and abs(columns - 9).max() <= reach, precision
    finally:
        config.set_precision(before)


@pytest.mark.skipif("CNNRS_ISA" in os.environ, reason="one of the runs that this test starts")
@pytest.mark.parametrize("tier", _core.cpu_info()["tiers"])
def test_all_of_it_on_every_instruction_set(tier):
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__]
    done = subprocess.run(command, env={**os.environ, "CNNRS_ISA": tier}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.parametrize("num", [2**46, 2**62, 2**63 - 1, 2**63, 2**64, 10**30])
def test_more_numbers_than_memory_has_are_named(num):
    for function in (ops.linspace, ops.logspace):
        with pytest.raises(MemoryError, match=f"{function.__name__}: num: no memory for {num:,} values"):
            function(0, 1, num)
    for arguments in ((num,), (-num, 0), (num, 0, -1), (0.0, float(num)), (0, 1, 1 / num)):
        with pytest.raises(MemoryError, match="arange: no memory for so many values"):
            ops.arange(*arguments)
    for call in (ops.eye, ops.identity, ops.tri, ops.zeros, ops.ones, lambda n: ops.full((n,), 1.0)):
        with pytest.raises(MemoryError, match="shape: no memory"):
            call(num)


def test_numbers_of_values_that_are_none_are_named():
    for function in (ops.linspace, ops.logspace):
        for num in (-1, 2.5, "3", True):
            with pytest.raises(ValueError, match=f"{function.__name__}: num: expected an integer >= 0"):
                function(0, 1, num)
    with pytest.raises(ValueError, match="arange: step: expected a number other than 0"):
        ops.arange(0, 1, 0)
    with pytest.raises(ValueError, match="arange: expected finite numbers"):
        ops.arange(np.nan)
    with pytest.raises(ValueError, match="shape: expected extents of at most 63 bits"):
        ops.zeros((0, 2**63))
    with pytest.raises(ValueError, match="eye: k: expected an integer"):
        ops.eye(3, k=0.5)


def test_arange_does_not_wrap_around():
    for arguments in ((2**31, 2**31 + 3), (2**40, 2**40 + 3), (-(2**31), -(2**31) - 2, -1)):
        with pytest.raises(OverflowError, match="arange: expected values within int32"):
            ops.arange(*arguments)
    with pytest.raises(OverflowError, match="arange: expected values within int32"):
        ops.arange(0.0, 4e9, 1e9, dtype="int32")
    assert ops.arange(2**31 - 2, 2**31).tolist() == [2**31 - 2, 2**31 - 1]
    assert ops.arange(-(2**31), 2**31, 2**31).tolist() == [-(2**31), 0]


@pytest.mark.parametrize("k", [-(2**64), -(2**63), -3, 3, 2**31, 2**63, 2**64])
def test_diagonals_outside_of_the_matrix(k):
    near = max(-9, min(k, 9))
    for shape in ((3, 4), (3, None)):
        np.testing.assert_array_equal(ops.eye(*shape, k), np.eye(*shape, near))
        np.testing.assert_array_equal(ops.tri(*shape, k), np.tri(*shape, near))


def test_numbers_of_threads_that_no_machine_has_are_refused():
    for n in (0, -1, 1025, 2**62, 2**63, 2**64, -(2**64)):
        with pytest.raises(ValueError, match=f"num_threads: expected 1 to 1024, received {n}"):
            cnnrs.config.set_num_threads(n)
    for n in (True, 1.0, "2"):
        with pytest.raises(ValueError, match="set_num_threads: n: expected an integer, received"):
            cnnrs.config.set_num_threads(n)


def test_more_steps_than_rows_and_than_floats_count():
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    x = np.ones((3, 2), np.float32)
    for steps in (2**64, 10**400):
        with pytest.warns(UserWarning, match="ran out of data"):
            assert model.predict(x, steps=steps, verbose=0).shape == (3, 1)
        assert model.predict(x, batch_size=steps, verbose=0).shape == (3, 1)
