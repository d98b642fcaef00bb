"""Loops, choices and functions over slices: on values, in traces, on symbols."""

import numpy as np
import pytest

import cnnrs
from cnnrs import KerasTensor, ops

X = np.arange(12, dtype=np.float32).reshape(4, 3)


def step(carry, row):
    return carry + row, carry * row


@pytest.mark.parametrize("reverse", [False, True])
def test_scan_is_the_loop(reverse):
    carry, outputs = np.zeros(3, np.float32), []
    for row in X[::-1] if reverse else X:
        carry, y = step(carry, row)
        outputs.append(y)
    outputs = outputs[::-1] if reverse else outputs

    def run(xs):
        return ops.scan(step, ops.zeros(3), xs, reverse=reverse)

    for f in (run, cnnrs.function(run)):
        last, stacked = f(ops.array(X))
        np.testing.assert_array_equal(last.numpy(), carry)
        np.testing.assert_array_equal(stacked.numpy(), np.stack(outputs))
    symbols = run(KerasTensor((4, 3)))
    assert symbols[0].shape == (3,) and symbols[1].shape == (4, 3)
    by = cnnrs.grad(lambda xs: ops.sum(run(xs)[0]))(X)
    np.testing.assert_array_equal(by.numpy(), np.ones_like(X))


def test_scan_without_slices_and_with_structures():
    last, ys = ops.scan(lambda c, _: (c * 2, c), ops.array(1), length=5)
    assert int(last) == 32 and ys.tolist() == [1, 2, 4, 8, 16]
    (a, b), ys = ops.scan(
        lambda c, x: ((c[0] + x["u"], c[1]), None), (ops.array(0.0), ops.array(1.0)), {"u": X[:, 0]}
    )
    assert float(a) == X[:, 0].sum() and float(b) == 1.0
    for wrong in (
        lambda: ops.scan(step, ops.zeros(3)),
        lambda: ops.scan(step, ops.zeros(3), X, length=9),
        lambda: ops.scan(step, ops.zeros(3), X, unroll=0),
    ):
        with pytest.raises(ValueError, match="scan"):
            wrong()
    with pytest.raises(TypeError, match="callable"):
        ops.scan(3, ops.zeros(3), X)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("extent", [1, 2, 3, 7, 8])
def test_associative_scan_is_the_running_combination(extent, axis, reverse):
    x = np.random.default_rng(1).normal(size=(extent, extent)).astype(np.float32)

    # Affine maps do not commute: the order counts.
    def then(first, second):
        return first[0] * second[0], first[1] * second[0] + second[1]

    got = ops.associative_scan(then, (ops.array(x), ops.array(x + 1)), reverse=reverse, axis=axis)
    lines = np.moveaxis(x, axis, 0)[:: -1 if reverse else 1]
    state, wanted = None, []
    for line in lines:
        own = (line, line + 1)
        state = own if state is None else then(state, own)
        wanted.append(state)
    for k in range(2):
        stacked = np.stack([w[k] for w in wanted[:: -1 if reverse else 1]])
        np.testing.assert_allclose(got[k].numpy(), np.moveaxis(stacked, 0, axis), rtol=1e-4, atol=1e-5)


def test_choices_on_values_and_in_traces():
    branches = [lambda x: x + 1, lambda x: x * 10, lambda x: -x]
    for index, wanted in ((0, 3.0), (1, 20.0), (2, -2.0), (9, -2.0), (-4, 3.0)):
        assert float(ops.switch(index, branches, ops.array(2.0))) == wanted
        traced = cnnrs.function(lambda i, x: ops.switch(i, branches, x))
        assert float(traced(ops.array(index), ops.array(2.0))) == wanted
    traced = cnnrs.function(lambda x: ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x))
    assert traced(ops.array([-3.0])).tolist() == [3.0]
    assert ops.cond(KerasTensor((), "bool"), lambda: ops.ones((1, 3)), lambda: ops.zeros((1, 3))).shape == (
        1,
        3,
    )
    x = np.arange(6)
    conditions, choices = [x < 2, x > 3], [x, x**2]
    np.testing.assert_array_equal(
        ops.select(conditions, choices, -1).numpy(), np.select(conditions, choices, -1)
    )


def test_while_needs_values():
    assert ops.while_loop(lambda x: ops.sum(x) < 10, lambda x: x * 2, ops.array([1.0, 1.0])).tolist() == [
        8.0,
        8.0,
    ]
    with pytest.raises(RuntimeError, match="run_eagerly"):
        cnnrs.function(lambda x: ops.while_loop(lambda v: v < 10, lambda v: v * 2, x))(ops.array(1.0))
    assert ops.while_loop(lambda v: v < 10, lambda v: v * 2, KerasTensor((None, 3))).shape == (None, 3)
    assert ops.fori_loop(0, 3, lambda i, v: v + i, KerasTensor((None, 2))).shape == (None, 2)


def test_functions_over_slices():
    for f in (ops.map, ops.vectorized_map):
        assert f(lambda row: {"a": row * 2}, KerasTensor((None, 3)))["a"].shape == (None, 3)
        np.testing.assert_array_equal(f(lambda row: row * 2, X).numpy(), X * 2)
    product = ops.vectorize(lambda m, v: ops.matmul(m, v), signature="(m,n),(n)->(m)")
    a, b = np.random.default_rng(2).normal(size=(5, 2, 3)), np.random.default_rng(3).normal(size=3)
    np.testing.assert_allclose(product(a, b).numpy(), a @ b, rtol=1e-5)
    assert ops.vectorize(lambda a, b: a + b, excluded={1})([1, 2, 3], 4).tolist() == [5, 6, 7]
    for wrong in ("m,n->k", "(m)", 3):
        with pytest.raises((ValueError, TypeError)):
            ops.vectorize(np.add, signature=wrong)
    with pytest.raises(ValueError, match="callable"):
        ops.vectorize(3)


@pytest.mark.parametrize(
    ("pattern", "extents", "shape"),
    [
        ("b h w c -> b c h w", {}, (2, 4, 4, 6)),
        ("b h w c -> (b h) w c", {}, (8, 6, 4)),
        ("b h w c -> h (b w) c", {}, (4, 12, 4)),
        ("b (h1 h) (w1 w) c -> b h w (c h1 w1)", {"h1": 2, "w1": 3}, (2, 2, 2, 24)),
    ],
)
def test_rearrange(pattern, extents, shape):
    x = np.arange(2 * 4 * 6 * 4).reshape(2, 4, 6, 4)
    got = ops.rearrange(x, pattern, **extents)
    assert got.shape == shape
    names, after = pattern.replace("(", " ( ").replace(")", " ) ").split("->")
    inverse = ops.rearrange(
        got, f"{after} -> {names}", **{**extents, "b": 2, "h": shape[1] if extents else 4, "c": 4}
    )
    np.testing.assert_array_equal(inverse.numpy(), x)
    for wrong in ("b h w -> b", "b h w c -> b h w", "b h w c"):
        with pytest.raises(ValueError, match="rearrange"):
            ops.rearrange(x, wrong)


def test_a_symbolic_start_leaves_the_axes_that_a_block_does_not_name():
    x, start = cnnrs.Input((5, 6), batch_size=4), cnnrs.Input((), batch_size=1, dtype="int32")
    assert ops.slice(x, start, (2,)).shape == (2, 5, 6)


def test_no_elements_are_named_or_mapped():
    with pytest.raises(ValueError, match="vectorize: expected at least one element"):
        ops.vectorize(lambda x: x + 1)(np.zeros(0))
    assert ops.sparsemax(np.zeros((2, 0), np.float32)).shape == (2, 0)


def test_rearrange_ignores_nothing_that_is_given():
    x = ops.zeros((2, 12))
    with pytest.raises(ValueError, match="rearrange: axes_lengths: expected lengths of axes of"):
        ops.rearrange(x, "b (h w) -> b h w", h=3, depth=7)
    for pattern in ("b, c -> c b", "b ... c -> c b"):
        with pytest.raises(ValueError, match="rearrange: pattern: expected 'axes -> axes'"):
            ops.rearrange(x, pattern)
