"""GradientTape, value_and_grad, function, and ops against numpy."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, ops


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


def test_grad_forms():
    w = cnnrs.Variable([1.0, 2.0])
    x = np.array([3.0, 4.0])
    assert cnnrs.grad(lambda x: ops.sum(x * x))(x).tolist() == [6.0, 8.0]
    assert cnnrs.grad(lambda x: ops.sum(w * x), wrt=w)(x).tolist() == [3.0, 4.0]
    gradients, aux = cnnrs.grad(lambda s: (ops.sum(w) * s, "aux"), wrt=[w], has_aux=True)(2.0)
    assert gradients[0].tolist() == [2.0, 2.0] and aux == "aux"
    layer = layers.Dense(1)
    layer.build((None, 2))
    assert len(cnnrs.grad(lambda x: ops.sum(layer(x)), wrt=layer)(np.ones((3, 2), np.float32))) == 2
    nested = cnnrs.grad(lambda d: ops.sum(d["a"] * d["b"]))({"a": x, "b": 2 * x})
    assert nested["a"].tolist() == [6.0, 8.0] and nested["b"].tolist() == [3.0, 4.0]
    value, same = cnnrs.value_and_grad(lambda x: ops.sum(x * x * x))(x)
    assert cnnrs.grad(lambda x: ops.sum(x * x * x))(x).tolist() == same.tolist()


def test_grad_of_grad():
    inner = cnnrs.grad(lambda z: ops.sum(z * z * z))
    assert cnnrs.grad(lambda x: ops.sum(inner(x)))(np.array([1.0, 2.0])).tolist() == [6.0, 12.0]
    recorded = cnnrs.function(cnnrs.grad(lambda x: ops.sum(inner(x))))
    assert recorded(np.array([1.0, 2.0])).tolist() == [6.0, 12.0]


def test_grad_names_itself_in_errors():
    with pytest.raises(TypeError, match="^grad: expected an argument"):
        cnnrs.grad(lambda: 1.0)()
    with pytest.raises(ValueError, match=r"^grad: expected a scalar .* \(2,\)"):
        cnnrs.grad(lambda x: x)(np.ones(2))
    with pytest.raises(TypeError, match="^grad: function: expected a function"):
        cnnrs.grad(3.0)
    with pytest.raises(TypeError, match=r"^value_and_grad: has_aux: expected \(value, aux\)"):
        cnnrs.value_and_grad(lambda x: ops.sum(x), has_aux=True)(np.ones(2))
    with pytest.raises(TypeError, match="^grad: unexpected argument 'hasaux'.*'has_aux'"):
        cnnrs.grad(lambda x: x, hasaux=True)


# ---- methods of tensors

EXPRESSIONS = [
    "a.sum()", "a.sum(0)", "a.sum(axis=(0, 1))", "a.sum(1, keepdims=True)", "a.mean()", "a.mean(axis=-1)",
    "a.max()", "a.max(0)", "a.min(axis=1)", "a.argmax()", "a.argmax(-1)", "a.argmin(0)", "a.prod(1)",
    "a.std()",    "a.var(0)", "(a > 2).all()", "(a > 2).any(0)", "a.T", "a.transpose()", "a.transpose(1, 0)",
    "a.transpose((1, 0))", "a.transpose(None)", "a.reshape(3, 2)", "a.reshape((3, 2))", "a.reshape(-1)",
    "a.reshape([6, -1])", "a.flatten()", "a.reshape(1, 2, 1, 3).squeeze()", "a.reshape(1, 2, 3).squeeze(0)",
    "a.astype('int32')", "a[0, 1].item()", "a.tolist()", "a.T.sum(0)", "a.reshape(1, 2, 3).T",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_methods_of_tensors_are_those_of_numpy(expression):
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    expected = eval(expression, {"a": array})
    for value in (ops.array(array), cnnrs.Variable(array)):
        found = eval(expression, {"a": value})
        np.testing.assert_allclose(np.asarray(found), np.asarray(expected), rtol=1e-6)
        assert np.shape(found) == np.shape(expected)


def test_methods_of_symbolic_tensors_are_nodes():
    x = cnnrs.Input((4, 6))
    model = cnnrs.Model(x, x.mean(axis=1).reshape((-1, 3, 2)).transpose(0, 2, 1).flatten())
    assert model.output_shape == (None,)
    array = np.arange(48, dtype=np.float32).reshape(2, 4, 6)
    expected = array.mean(1).reshape(-1, 3, 2).transpose(0, 2, 1).flatten()
    np.testing.assert_allclose(model(array).numpy(), expected)
    again = cnnrs.Model.from_config(model.get_config())
    np.testing.assert_allclose(again(array).numpy(), expected)


def test_methods_are_differentiable():
    assert cnnrs.grad(lambda x: (x * x).T.reshape(-1).mean())(np.ones((2, 2))).tolist() == [[0.5, 0.5]] * 2


@pytest.mark.parametrize(
    "make",
    [
        "cnnrs.Variable([1.0]).value",
        "cnnrs.random.uniform((2,), seed=1)",
        "cnnrs.losses.mean_squared_error([1.0], [2.0])",
        "cnnrs.metrics.Mean()([1.0])",
        "cnnrs.regularizers.L2(0.5)([1.0])",
        "cnnrs.constraints.NonNeg()([1.0])",
        "cnnrs.optimizers.schedules.CosineDecay(0.1, 3)(1)",
        "cnnrs.activations.relu([1.0])",
        "cnnrs.ops.zeros(2)",
        "cnnrs.Tensor",
    ],
)
def test_every_first_tensor_of_a_process_has_the_methods(make):
    code = f"import cnnrs; t = {make}; assert hasattr(t, 'sum') and hasattr(t, 'T')"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_model_may_be_cut_from_the_input_of_its_input_layer():
    inputs = cnnrs.Input((3,), name="image")
    model = cnnrs.Model(inputs, cnnrs.layers.Dense(1)(cnnrs.layers.Dense(2, name="inner")(inputs)))
    assert model.get_layer("image").input is model.get_layer("image").output
    part = cnnrs.Model(model.get_layer("image").input, model.get_layer("inner").output)
    assert part.output_shape == (None, 2)
