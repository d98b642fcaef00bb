"""Linear algebra against numpy in double precision: values, gradients, dtypes, traces and errors."""

from __future__ import annotations

import math

import numpy as np
import pytest

import cnnrs
from cnnrs import Input, ops

pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")

SHAPES = [(1, 1), (3, 3), (2, 4, 4), (2, 0, 3, 3)]


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def definite(*shape: int, seed: int = 0) -> np.ndarray:
    x = drawn(*shape, seed=seed)
    return (x @ x.swapaxes(-1, -2) + np.eye(shape[-1], dtype=np.float32)).astype(np.float32)


def spread(*shape: int, seed: int = 0) -> np.ndarray:
    """Matrices whose eigenvalues and singular values lie apart."""
    m, n = shape[-2:]
    return (0.3 * drawn(*shape, seed=seed) + np.eye(m, n) * (2 + 2 * np.arange(n))).astype(np.float32)


def close(result, expected, tolerance=1e-4):
    np.testing.assert_allclose(np.asarray(result), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("name", ["cholesky", "inv", "det"])
def test_square_matrices_give_what_numpy_gives(name, shape):
    x = definite(*shape)
    close(getattr(ops, name)(x), getattr(np.linalg, name)(x.astype(np.float64)), 1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_determinants_in_logarithms(shape):
    x = drawn(*shape)
    sign, log = ops.slogdet(x)
    expected = np.linalg.slogdet(x.astype(np.float64))
    close(sign, expected[0])
    close(log, expected[1])
    close(ops.logdet(x), expected[1])


@pytest.mark.parametrize("upper", [False, True])
def test_cholesky_factors_and_the_inverse_that_they_make(upper):
    x = definite(3, 4, 4)
    factor = ops.cholesky(x, upper=upper)
    lower = np.linalg.cholesky(x.astype(np.float64))
    close(factor, lower.swapaxes(-1, -2) if upper else lower)
    close(ops.cholesky_inverse(factor, upper=upper), np.linalg.inv(x.astype(np.float64)), 1e-3)


@pytest.mark.parametrize("mode", ["reduced", "complete"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 2), (1, 3)])
def test_qr_has_the_signs_of_lapack(shape, mode):
    x = drawn(*shape)
    for made, expected in zip(ops.qr(x, mode), np.linalg.qr(x.astype(np.float64), mode), strict=True):
        close(made, expected)


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 3, 30, 20)])
def test_singular_values_and_vectors(shape, full):
    x = drawn(*shape)
    u, s, v = (t.numpy() for t in ops.svd(x, full_matrices=full))
    k = min(shape[-2:])
    for made, expected in zip((u, s, v), np.linalg.svd(x, full_matrices=full), strict=True):
        assert made.shape == expected.shape
    close((u[..., :k] * s[..., None, :]) @ v[..., :k, :], x)
    close(s, np.linalg.svd(x, compute_uv=False))
    close(ops.svd(x, compute_uv=False), s)
    close(u.swapaxes(-1, -2) @ u, np.broadcast_to(np.eye(u.shape[-1]), (*shape[:-2], *[u.shape[-1]] * 2)))


def test_eigenvalues_and_vectors():
    x = definite(3, 5, 5)
    values, vectors = (t.numpy() for t in ops.eigh(x))
    close(values, np.linalg.eigvalsh(x.astype(np.float64)), 1e-3)
    close(x @ vectors, vectors * values[..., None, :], 1e-3)
    x = spread(3, 5, 5)
    values, vectors = (t.numpy() for t in ops.eig(x))
    close(np.sort(values), np.sort(np.linalg.eigvals(x.astype(np.float64)).real), 1e-3)
    close(x @ vectors, vectors * values[..., None, :], 1e-3)
    close(np.sum(vectors**2, axis=-2), np.ones((3, 5)))


@pytest.mark.parametrize("shape", [(4, 4), (4, 3), (2, 3, 4)])
def test_lu_factors_make_the_matrix(shape):
    x = drawn(*shape)
    factors, exchanges = (t.numpy() for t in ops.lu_factor(x))
    m, n = shape[-2:]
    for index in np.ndindex(*shape[:-2]):
        rows = np.arange(m)
        for i, p in enumerate(exchanges[index]):
            rows[[i, p]] = rows[[p, i]]
        lower = np.tril(factors[index][:, : min(m, n)], -1) + np.eye(m, min(m, n))
        close(lower @ np.triu(factors[index][: min(m, n)]), x[index][rows])
    assert exchanges.dtype == np.int32


@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize("lead_a, lead_b", [((), ()), ((3,), (3,)), ((2, 1), (1, 3)), ((), (3,))])
def test_systems_are_solved(lead_a, lead_b, vector):
    if vector and len(lead_a) != len(lead_b):
        pytest.skip("a right side has as many axes in front as the matrices")
    a = definite(*lead_a, 4, 4)
    b = drawn(*lead_b, 4) if vector else drawn(*lead_b, 4, 2)
    right = b[..., None] if vector else b
    wide = np.broadcast_shapes(a.shape[:-2], right.shape[:-2])
    whole = np.broadcast_to(a, (*wide, 4, 4)).astype(np.float64)
    expected = np.linalg.solve(whole, np.broadcast_to(right, (*wide, *right.shape[-2:])))
    close(ops.solve(a, b), expected[..., 0] if vector else expected, 1e-3)
    for lower, cut in ((True, np.tril), (False, np.triu)):
        expected = np.linalg.solve(cut(whole), np.broadcast_to(right, (*wide, *right.shape[-2:])))
        close(ops.solve_triangular(a, b, lower), expected[..., 0] if vector else expected, 1e-3)


@pytest.mark.parametrize("shape", [(5, 3), (3, 5), (4, 4)])
def test_least_squares_and_pseudo_inverses(shape):
    a, b = drawn(*shape), drawn(shape[0], 2, seed=1)
    close(ops.pinv(a), np.linalg.pinv(a.astype(np.float64)), 1e-3)
    close(ops.lstsq(a, b), np.linalg.lstsq(a, b, rcond=None)[0], 1e-3)
    close(ops.lstsq(a, b[:, 0]), np.linalg.lstsq(a, b[:, 0], rcond=None)[0], 1e-3)
    singular = np.outer(drawn(shape[0]), drawn(shape[1], seed=2)).astype(np.float32)
    close(ops.pinv(singular), np.linalg.pinv(singular, rcond=1e-5), 1e-3)
    assert int(ops.matrix_rank(singular)) == 1 and int(ops.matrix_rank(a)) == min(shape)
    assert ops.matrix_rank(np.stack([a, singular])).tolist() == [min(shape), 1]
    assert int(ops.matrix_rank(a, tol=1e6)) == 0


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 7])
def test_powers_of_matrices(n):
    x = spread(2, 3, 3) / 4
    close(ops.matrix_power(x, n), np.linalg.matrix_power(x.astype(np.float64), n), 1e-3)


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("ord", [None, "fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
@pytest.mark.parametrize("axis", [None, (0, 1), (1, 0), (-1, 0)])
def test_norms_of_matrices(ord, axis, keepdims):
    x = drawn(4, 5)
    close(ops.norm(x, ord, axis, keepdims), np.linalg.norm(x.astype(np.float64), ord, axis, keepdims))
    if axis is not None:
        x = drawn(3, 4, 5)
        close(ops.norm(x, ord, axis, keepdims), np.linalg.norm(x.astype(np.float64), ord, axis, keepdims))


GRADIENTS = {
    "cholesky": (lambda x: ops.cholesky(x), np.linalg.cholesky, definite(3, 3)),
    "inv": (lambda x: ops.inv(x), np.linalg.inv, spread(2, 3, 3)),
    "det": (lambda x: ops.det(x), np.linalg.det, drawn(2, 3, 3)),
    "logdet": (lambda x: ops.logdet(x), lambda x: np.linalg.slogdet(x)[1], spread(3, 3)),
    "pinv": (lambda x: ops.pinv(x), np.linalg.pinv, drawn(4, 3)),
    "eigenvalues": (lambda x: ops.eigh(x)[0], np.linalg.eigvalsh, definite(4, 4)),
    "singular values": (
        lambda x: ops.svd(x, compute_uv=False), lambda x: np.linalg.svd(x, compute_uv=False), spread(4, 3)
    ),
    "qr": (lambda x: ops.qr(x)[1], lambda x: np.linalg.qr(x)[1], spread(4, 3)),
    "nuclear norm": (lambda x: ops.norm(x, "nuc"), lambda x: np.linalg.norm(x, "nuc"), spread(3, 4)),
    "power": (lambda x: ops.matrix_power(x, 3), lambda x: np.linalg.matrix_power(x, 3), drawn(3, 3)),
}  # fmt: skip


@pytest.mark.parametrize("name", GRADIENTS)
def test_gradients_are_differences(name):
    function, reference, x = GRADIENTS[name]
    direction = drawn(*x.shape, seed=7).astype(np.float64)
    direction = (direction + direction.swapaxes(-1, -2)) / 2 if x.shape[-1] == x.shape[-2] else direction
    wide = x.astype(np.float64)
    slope = (reference(wide + 1e-6 * direction) - reference(wide - 1e-6 * direction)) / 2e-6
    _, derivative = ops.jvp(function, [x], [direction.astype(np.float32)])
    close(derivative, slope, 2e-3)


def test_the_gradient_of_a_singular_determinant_exists():
    x = cnnrs.Variable(np.array([[1.0, 2.0], [2.0, 4.0]], np.float32))
    with cnnrs.GradientTape() as tape:
        y = ops.det(x)
    close(tape.gradient(y, x), [[4.0, -2.0], [-2.0, 1.0]])


def test_second_derivatives_exist():
    x = cnnrs.Variable(np.array([[2.0]], np.float32))
    with cnnrs.GradientTape() as outer:
        with cnnrs.GradientTape() as inner:
            y = ops.sum(ops.inv(x))
        slope = inner.gradient(y, x)
    close(outer.gradient(slope, x), [[2.0 / 2.0**3]])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_halves_stay_halves(dtype):
    x = ops.cast(definite(3, 3), dtype)
    results = [
        ops.cholesky(x),
        ops.inv(x),
        ops.det(x),
        *ops.svd(x),
        *ops.qr(x),
        *ops.eigh(x),
        ops.solve(x, x),
    ]
    assert {str(y.dtype) for y in results} == {dtype}
    close(ops.cast(ops.solve(x, x), "float32"), np.eye(3), 0.05)


def test_traced_functions_and_models_of_unknown_batch():
    x = Input((3, 3))
    model = cnnrs.Model(x, [ops.inv(x), ops.det(x), *ops.svd(x, full_matrices=False)])
    assert [y.shape for y in model.outputs] == [(None, 3, 3), (None,), (None, 3, 3), (None, 3), (None, 3, 3)]
    data = definite(5, 3, 3)
    made = model.predict(data, verbose=0)
    close(made[0], np.linalg.inv(data), 1e-3)
    close(made[1], np.linalg.det(data.astype(np.float64)), 1e-3)


def test_a_model_learns_through_a_solution():
    """The gradient of an inverse flows in fit."""

    class Solving(cnnrs.layers.Layer):
        def build(self, shape):
            self.matrix = self.add_weight(shape=(3, 3), initializer="ones", name="m")

        def call(self, x):
            return ops.matmul(x, ops.inv(ops.eye(3) * 4.0 + self.matrix))

    model = cnnrs.Sequential([Input((3,)), Solving()])
    model.compile(optimizer=cnnrs.optimizers.Adam(0.1), loss="mse")
    x = drawn(64, 3)
    losses = model.fit(x, x * 0.5, epochs=20, batch_size=32, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize(
    "name", ["cholesky", "inv", "det", "eig", "eigh", "logdet", "slogdet", "cholesky_inverse"]
)
@pytest.mark.parametrize("shape", [(3,), (2, 3), (4, 3, 4)])
def test_what_is_no_square_matrix_is_refused(name, shape):
    with pytest.raises(ValueError, match=f"{name}: x: expected"):
        getattr(ops, name)(np.ones(shape))
    with pytest.raises(ValueError, match=f"{name}: x: expected"):
        getattr(ops, name)(cnnrs.KerasTensor(shape))


def test_a_matrix_without_the_result_is_named():
    singular, indefinite = np.ones((2, 2)), np.array([[1.0, 2.0], [2.0, 1.0]])
    both = np.stack([np.eye(2), singular])
    for call, message in (
        (lambda: ops.inv(both), "matrix 1 is singular"),
        (lambda: ops.solve(singular, np.ones(2)), "matrix 0 is singular"),
        (lambda: ops.solve_triangular(np.zeros((2, 2)), np.ones(2)), "matrix 0 is singular"),
        (lambda: ops.cholesky(np.stack([np.eye(2), indefinite])), "matrix 1 is not positive definite"),
        (lambda: ops.eig([[0.0, 1.0], [-1.0, 0.0]]), "matrix 0 has complex eigenvalues"),
    ):
        with pytest.raises(ValueError, match=message):
            call()


def test_wrong_arguments_are_refused():
    for call, message in (
        (lambda: ops.qr(np.ones((2, 2)), "full"), "qr: mode"),
        (lambda: ops.solve(np.eye(2), np.ones((3, 1))), "solve: b"),
        (lambda: ops.solve(np.eye(2), 1.0), "solve: b"),
        (lambda: ops.lstsq(np.eye(2), np.ones(3)), "lstsq: b"),
        (lambda: ops.lstsq(np.ones((1, 2, 2)), np.ones(2)), "lstsq: a"),
        (lambda: ops.norm(np.ones((2, 2)), 3), "norm: ord"),
        (lambda: ops.norm(np.ones((2, 2, 2)), 2), "norm: ord"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    with pytest.raises(TypeError, match="matrix_power: n"):
        ops.matrix_power(np.eye(2), 0.5)


def test_jvp_of_structures():
    def function(x, pair):
        return {"a": x * pair[0], "b": ops.sum(pair[1])}, "aux"

    primals = [ops.array([3.0, 4.0]), [ops.array(2.0), ops.array([5.0, 6.0])]]
    tangents = [ops.array([1.0, 0.0]), [ops.array(1.0), ops.array([1.0, 1.0])]]
    value, slope, aux = ops.jvp(function, primals, tangents, has_aux=True)
    assert value["a"].tolist() == [6.0, 8.0] and slope["a"].tolist() == [5.0, 4.0]
    assert float(slope["b"]) == 2.0 and aux == "aux"
    assert float(ops.linalg.jvp(lambda x: 7.0 * ops.stop_gradient(x), [1.0], [1.0])[1]) == 0.0
    with pytest.raises(ValueError, match="jvp: tangents"):
        ops.jvp(ops.sin, [1.0], [[1.0]])
    with pytest.raises(TypeError, match="jvp: primals"):
        ops.jvp(ops.sin, 1.0, [1.0])


def test_distances():
    x, y = drawn(2, 4, 3), drawn(2, 5, 3, seed=1)
    expected = np.sqrt(np.sum((x[:, :, None] - y[:, None]) ** 2, -1))
    close(ops.cdist(x, y), expected)
    points = cnnrs.Variable(x[0])
    with cnnrs.GradientTape() as tape:
        total = ops.sum(ops.cdist(points, points))
    assert np.isfinite(tape.gradient(total, points).numpy()).all()
    assert ops.cdist(np.ones((0, 2)), np.ones((3, 2))).shape == (0, 3)


def test_doubles_are_computed_as_doubles():
    x = definite(3, 3).astype(np.float64)
    t = ops.convert_to_tensor(x, dtype="float64")
    np.testing.assert_allclose(ops.inv(t).numpy(), np.linalg.inv(x), rtol=1e-12)
    np.testing.assert_allclose(ops.norm(t, "nuc").numpy(), np.linalg.norm(x, "nuc"), rtol=1e-12)
    np.testing.assert_allclose(ops.rfft(t)[0].numpy(), np.fft.rfft(x).real, rtol=1e-12)
    np.testing.assert_allclose(ops.einsum("ij,jk->ik", t, t).numpy(), x @ x, rtol=1e-12)
    columns = ops.unfold(ops.reshape(t, (1, 1, 3, 3)), 2)
    np.testing.assert_allclose(ops.fold(columns, 3, 2).numpy()[0, 0, 1, 1], 4 * x[1, 1], rtol=1e-12)
    for y in (*ops.svd(t), *ops.qr(t), *ops.eigh(t), ops.det(t), ops.pinv(t), ops.matrix_power(t, 0)):
        assert y.dtype == "float64"
