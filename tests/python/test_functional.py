"""GradientTape, value_and_grad, function, and ops against numpy."""

from __future__ import annotations

import numpy as np
import pytest

import cnnrs
from cnnrs import ops


def sample(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


A, B = sample(3, 4), sample(3, 4, seed=1)
SQUARE = sample(4, 4, seed=2)

CASES = [
    ("add", (A, B), np.add),
    ("divide", (A, B), np.divide),
    ("floor_divide", (A, B), np.floor_divide),
    ("mod", (A, B), np.mod),
    ("power", (np.abs(A), B), np.power),
    ("maximum", (A, B), np.maximum),
    ("exp2", (A,), np.exp2),
    ("log10", (np.abs(A),), np.log10),
    ("logaddexp", (A, B), np.logaddexp),
    ("sinh", (A,), np.sinh),
    ("tan", (A,), np.tan),
    ("trunc", (A * 3,), np.trunc),
    ("hypot", (A, B), np.hypot),
    ("isclose", (A, A + 1e-9), np.isclose),
    ("logical_xor", (A > 0, B > 0), np.logical_xor),
    ("std", (A, 1), np.std),
    ("var", (A,), np.var),
    ("ptp", (A, 0), np.ptp),
    ("prod", (A, 1), np.prod),
    ("count_nonzero", (A > 0, 1), np.count_nonzero),
    ("argmax", (A, 1), np.argmax),
    ("argmin", (A,), np.argmin),
    ("dot", (A, SQUARE), np.dot),
    ("inner", (A, B), np.inner),
    ("outer", (A[0], B[0]), np.outer),
    ("tensordot", (A, B, ([0], [0])), np.tensordot),
    ("swapaxes", (A, 0, 1), np.swapaxes),
    ("moveaxis", (A[None], 0, -1), np.moveaxis),
    ("hstack", ([A, B],), np.hstack),
    ("vstack", ([A, B],), np.vstack),
    ("stack", ([A, B], 1), np.stack),
    ("roll", (A, 1, 1), np.roll),
    ("roll", (A, 5), np.roll),
    ("flip", (A, 1), np.flip),
    ("tile", (A, (2, 1)), np.tile),
    ("repeat", (A, 3, 1), np.repeat),
    ("take", (A, np.array([2, -1]), 0), np.take),
    ("take_along_axis", (A, A.argsort(1), 1), np.take_along_axis),
    ("diagonal", (SQUARE, 1), np.diagonal),
    ("trace", (SQUARE,), np.trace),
    ("tril", (SQUARE, -1), np.tril),
    ("triu", (SQUARE, 1), np.triu),
    ("diff", (A,), np.diff),
    ("cumsum", (A, 1), np.cumsum),
    ("average", (A, 1), np.average),
    ("clip", (A, -0.5, 0.5), np.clip),
    ("round", (A, 1), np.round),
    ("linspace", (0, 1, 7), np.linspace),
    ("arange", (2, 11, 3), np.arange),
    ("eye", (3, 4, 1), np.eye),
    ("full", ((2, 3), 7.0), np.full),
]


@pytest.mark.parametrize(
    ("name", "arguments", "reference"), CASES, ids=lambda c: c if isinstance(c, str) else ""
)
def test_op_against_numpy(name, arguments, reference):
    actual = getattr(ops, name)(*arguments).numpy()
    expected = np.asarray(reference(*arguments))
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=2e-5, atol=1e-6)


@pytest.mark.parametrize("mode", ["constant", "reflect", "symmetric", "edge"])
def test_pad(mode):
    np.testing.assert_array_equal(
        ops.pad(A, ((1, 2), (0, 3)), mode).numpy(), np.pad(A, ((1, 2), (0, 3)), mode)
    )


def test_meshgrid_split_unstack():
    for indexing in ("xy", "ij"):
        grids = ops.meshgrid(np.arange(3), np.arange(2), indexing=indexing)
        for mine, theirs in zip(
            grids, np.meshgrid(np.arange(3), np.arange(2), indexing=indexing), strict=True
        ):
            np.testing.assert_array_equal(mine.numpy(), theirs)
    assert [p.shape for p in ops.split(A, [1, 3], axis=1)] == [(3, 1), (3, 2), (3, 1)]
    np.testing.assert_array_equal(ops.unstack(A, axis=1)[2].numpy(), A[:, 2])


def test_extract_patches_gives_windows():
    x = sample(2, 6, 6, 3)
    patches = ops.image.extract_patches(x, 3).numpy()
    assert patches.shape == (2, 2, 2, 27)
    np.testing.assert_allclose(patches[1, 1, 0], x[1, 3:6, :3].reshape(-1), atol=1e-6)


def test_softmax_over_several_axes():
    x = sample(2, 3, 4)
    y = ops.softmax(x, axis=[1, 2]).numpy()
    np.testing.assert_allclose(y.sum((1, 2)), 1, rtol=1e-5)


def test_attention_is_a_weighted_mean():
    q, k, v = (sample(2, 5, 3, 4, seed=i) for i in range(3))
    actual = ops.dot_product_attention(q, k, v, is_causal=True).numpy()
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / 2
    scores = np.where(np.tri(5, dtype=bool), scores, -np.inf)
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(actual, np.einsum("bhqk,bkhd->bqhd", weights, v), atol=1e-5)


def test_cross_entropy_after_softmax_is_computed_from_logits():
    logits = np.array([[100.0, 0.0], [0.0, 100.0]], np.float32)
    loss = ops.sparse_categorical_crossentropy([1, 1], ops.softmax(logits)).numpy()
    np.testing.assert_allclose(loss, [100, 0], atol=1e-5)


def test_tape_gradient_of_a_polynomial():
    x = cnnrs.Variable([1.0, 2.0, 3.0])
    with cnnrs.GradientTape() as tape:
        y = ops.sum(x * x * x)
    np.testing.assert_allclose(tape.gradient(y, x).numpy(), [3, 12, 27])


def test_tape_watches_constants_and_keeps_structure():
    a, b = ops.array([2.0]), ops.array([5.0])
    with cnnrs.GradientTape() as tape:
        tape.watch([a, b])
        y = a * b
    gradients = tape.gradient(y, {"a": a, "b": b})
    assert gradients["a"].tolist() == [5.0] and gradients["b"].tolist() == [2.0]


def test_persistent_and_nested_tapes():
    x = cnnrs.Variable(2.0)
    with cnnrs.GradientTape(persistent=True) as outer:
        with cnnrs.GradientTape() as inner:
            y = x * x * x
        first = inner.gradient(y, x)
    second = outer.gradient(first, x)
    assert (float(first), float(second), float(outer.gradient(y, x))) == (12.0, 12.0, 12.0)
    with pytest.raises(RuntimeError, match="persistent"):
        inner.gradient(y, x)


def test_unconnected_gradients():
    x, z = cnnrs.Variable(2.0), cnnrs.Variable([1.0, 1.0])
    with cnnrs.GradientTape(persistent=True) as tape:
        y = x * x
    assert tape.gradient(y, z) is None
    assert tape.gradient(y, z, unconnected_gradients="zero").tolist() == [0.0, 0.0]


def test_output_gradients_weigh():
    x = cnnrs.Variable([1.0, 2.0])
    with cnnrs.GradientTape() as tape:
        y = x * x
    assert tape.gradient(y, x, output_gradients=ops.array([1.0, 10.0])).tolist() == [2.0, 40.0]


def test_value_and_grad_forms():
    w = cnnrs.Variable([1.0, 2.0])
    value, grad = cnnrs.value_and_grad(lambda x: ops.sum(x * x))(np.array([3.0, 4.0]))
    assert float(value) == 25.0 and grad.tolist() == [6.0, 8.0]
    (value, aux), grads = cnnrs.value_and_grad(lambda s: (ops.sum(w) * s, "aux"), wrt=[w], has_aux=True)(2.0)
    assert (float(value), aux, grads[0].tolist()) == (6.0, "aux", [2.0, 2.0])
    layer = cnnrs.layers.Dense(1)
    layer.build((None, 2))
    _, grads = cnnrs.value_and_grad(lambda x: ops.sum(layer(x)), wrt=layer)(np.ones((3, 2), np.float32))
    assert [g.shape for g in grads] == [(2, 1), (1,)]


def test_backward_adds_into_grad():
    x = ops.array([1.0, 2.0])
    x.requires_grad = True
    ops.sum(x * x).backward()
    ops.sum(x).backward()
    assert x.grad.tolist() == [3.0, 5.0]


def test_function_records_once_per_signature():
    calls = []

    @cnnrs.function
    def f(x, power, scale=1.0):
        calls.append(x.shape)
        return {"y": x**power * scale, "n": power}

    np.testing.assert_allclose(f(np.full(2, 3.0), 2)["y"].numpy(), [9, 9])
    np.testing.assert_allclose(f(np.full(2, 4.0), 2, 0.5)["y"].numpy(), [8, 8])
    assert calls == [(2,)]
    assert f(np.full(2, 4.0), 3)["n"] == 3
    f(np.full(3, 4.0), 3)
    assert f.traces == len(calls) == 3


def test_function_updates_variables():
    count = cnnrs.Variable(0.0)

    @cnnrs.function
    def step(x):
        count.assign(count + ops.sum(x))
        return count * 2

    assert [float(step(np.ones(3))) for _ in range(3)] == [6.0, 12.0, 18.0]
    assert float(count) == 9.0


def test_function_trains():
    w = cnnrs.Variable(np.zeros(3, np.float32))
    optimizer = cnnrs.optimizers.SGD(0.1)
    optimizer.build([w])

    @cnnrs.function
    def step(x, y):
        with cnnrs.GradientTape() as tape:
            loss = ops.mean(ops.square(ops.matmul(x, ops.reshape(w, (3, 1))) - y))
        optimizer.apply(tape.gradient(loss, [w]), [w])
        return loss

    x = sample(32, 3)
    y = x @ np.array([[1.0], [-2.0], [0.5]], np.float32)
    losses = [float(step(x, y)) for _ in range(200)]
    assert losses[-1] < 1e-3 and step.traces == 1
    np.testing.assert_allclose(w.numpy(), [1, -2, 0.5], atol=0.05)


def test_function_as_method():
    class Scale:
        def __init__(self, factor):
            self.factor = cnnrs.Variable(factor)

        @cnnrs.function
        def times(self, x):
            return x * self.factor

    two, three = Scale(2.0), Scale(3.0)
    assert two.times(np.ones(1)).tolist() == [2.0] and three.times(np.ones(1)).tolist() == [3.0]


def test_many_recordings_warn():
    @cnnrs.function
    def f(x, n):
        return x * n

    with pytest.warns(RuntimeWarning, match="9 signatures"):
        for n in range(9):
            f(np.ones(1), n)


def test_cond_records_both_sides():
    @cnnrs.function
    def f(x):
        return ops.cond(ops.sum(x) > 0, lambda: x, lambda: -x)

    assert f(np.array([1.0])).tolist() == [1.0] and f(np.array([-3.0])).tolist() == [3.0]
