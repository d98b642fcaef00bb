"""Linear algebra of dense matrices, which lie along the last two axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base import context
from cnnrs.ops.dispatch import apply, as_float, in_float32, op
from cnnrs.ops.shapes import broadcast_to, swapaxes

__all__ = [
    "cholesky",
    "cholesky_inverse",
    "det",
    "eig",
    "eigh",
    "inv",
    "logdet",
    "lstsq",
    "lu_factor",
    "matrix_power",
    "matrix_rank",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
]


def _epsilon(x: Any) -> float:
    """The distance of 1 from the next number of the type of `x`."""
    return float(np.finfo(np.float64 if x.dtype == "float64" else np.float32).eps)


def _matrices(x: Any, name: str, argument: str = "x", square: bool = False) -> Any:
    """`x` as matrices of floats."""
    x = as_float(x)
    if x.ndim < 2:
        raise ValueError(f"{name}: {argument}: expected shape (..., rows, columns), received {x.shape}")
    if square and x.shape[-1] != x.shape[-2]:
        raise ValueError(f"{name}: {argument}: expected square matrices, received shape {x.shape}")
    return x


def _at_once(y: Any) -> Any:
    """A result that may not exist: outside of a trace, the caller is told there."""
    if not context.is_tracing():
        _core.realise([y])
    return y


def _unpacked(packed: Any, *shapes: tuple[int, ...]) -> tuple[Any, ...]:
    """What lies one behind the other along the last axis."""
    lead, parts, start = list(packed.shape[:-1]), [], 0
    for shape in shapes:
        stop = start + int(np.prod(shape))
        starts, stops = [0] * len(lead) + [start], [*lead, stop]
        part = apply("slice", packed, starts=starts, stops=stops, steps=[1] * len(stops))
        parts.append(apply("reshape", part, shape=[*lead, *shape]))
        start = stop
    return tuple(parts)


@op
@in_float32
def cholesky(x: Any, upper: bool = False) -> Any:
    """Computes the Cholesky factor L of symmetric positive definite matrices `L @ L.T`.

    Only the lower triangle is read (Golub and Van Loan, "Matrix computations", algorithm 4.2.1).

    Args:
        x: Tensor of shape (..., n, n); other dtypes are converted to float32.
        upper: Whether the transposed factor is given, an upper triangle; False by default.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no square matrices, or one is not positive definite.

    Example:
        >>> from cnnrs import ops
        >>> ops.cholesky([[4.0, 2.0], [2.0, 5.0]]).tolist()
        [[2.0, 0.0], [1.0, 2.0]]
    """
    lower = _at_once(apply("cholesky", _matrices(x, "cholesky", square=True)))
    return swapaxes(lower, -1, -2) if upper else lower


@op
@in_float32
def cholesky_inverse(x: Any, upper: bool = False) -> Any:
    """Computes the inverse of `L @ L.T` from its Cholesky factor L.

    Args:
        x: Tensor of shape (..., n, n), the factors; other dtypes are converted to float32.
        upper: Whether they are upper triangles, the transposed factors; False by default.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no square matrices, or one has a 0 on its diagonal.

    Example:
        >>> from cnnrs import ops
        >>> ops.cholesky_inverse([[2.0, 0.0], [0.0, 4.0]]).tolist()
        [[0.25, 0.0], [0.0, 0.0625]]
    """
    x = _matrices(x, "cholesky_inverse", square=True)
    identity = broadcast_to(np.eye(x.shape[-1], dtype=np.float32), x.shape)
    half = _at_once(apply("solve_triangular", x, identity, lower=not upper))
    left, right = (half, swapaxes(half, -1, -2)) if upper else (swapaxes(half, -1, -2), half)
    return apply("matmul", left, right)


@op
@in_float32
def det(x: Any) -> Any:
    """Computes the determinants of square matrices.

    Args:
        x: Tensor of shape (..., n, n); other dtypes are converted to float32.

    Returns:
        float32 tensor of shape (...).

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no square matrices.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.det([[1.0, 2.0], [3.0, 4.0]]))
        -2.0
    """
    return apply("determinant", _matrices(x, "det", square=True))


@op
@in_float32
def slogdet(x: Any) -> Any:
    """Computes the sign and the logarithm of the absolute value of determinants.

    Args:
        x: Tensor of shape (..., n, n); other dtypes are converted to float32.

    Returns:
        Pair of float32 tensors of shape (...): the signs, 0 for singular matrices, and the logarithms.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no square matrices.

    Example:
        >>> from cnnrs import ops
        >>> sign, log = ops.slogdet([[0.0, 1.0], [1.0, 0.0]])
        >>> float(sign), float(log)
        (-1.0, 0.0)
    """
    return _unpacked(apply("log_determinant", _matrices(x, "slogdet", square=True)), (), ())


@op
@in_float32
def logdet(x: Any) -> Any:
    """Computes the logarithm of the absolute value of determinants.

    Args:
        x: Tensor of shape (..., n, n); other dtypes are converted to float32.

    Returns:
        float32 tensor of shape (...), -inf for singular matrices.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no square matrices.

    Example:
        >>> from cnnrs import ops
        >>> float(ops.logdet([[1.0, 0.0], [0.0, 1.0]]))
        0.0
    """
    return _unpacked(apply("log_determinant", _matrices(x, "logdet", square=True)), (), ())[1]


@op
@in_float32
def eig(x: Any) -> Any:
    """Computes eigenvalues and eigenvectors of matrices that have real ones.

    Args:
        x: Tensor of shape (..., n, n); other dtypes are converted to float32.

    Returns:
        Pair of float32 tensors: the eigenvalues, of shape (..., n), and the eigenvectors of length 1 in
        columns, of shape (..., n, n).

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no square matrices, or one has complex eigenvalues: there are no complex numbers.

    Example:
        >>> from cnnrs import ops
        >>> values, vectors = ops.eig([[2.0, 0.0], [0.0, 3.0]])
        >>> values.tolist(), vectors.tolist()
        ([2.0, 3.0], [[1.0, 0.0], [0.0, 1.0]])
    """
    x = _matrices(x, "eig", square=True)
    n = x.shape[-1]
    return _unpacked(_at_once(apply("eig", x)), (n,), (n, n))


@op
@in_float32
def eigh(x: Any) -> Any:
    """Computes eigenvalues and eigenvectors of symmetric matrices, of which the lower triangle is read.

    Where eigenvalues are equal, the gradient leaves out what turns their vectors into each other.

    Args:
        x: Tensor of shape (..., n, n); other dtypes are converted to float32.

    Returns:
        Pair of float32 tensors: the eigenvalues in ascending order, of shape (..., n), and the eigenvectors
        of length 1 in columns, of shape (..., n, n).

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no square matrices.

    Example:
        >>> from cnnrs import ops
        >>> values, _ = ops.eigh([[2.0, 1.0], [1.0, 2.0]])
        >>> print(values.numpy().round(4))
        [1. 3.]
    """
    x = _matrices(x, "eigh", square=True)
    n = x.shape[-1]
    return _unpacked(apply("eigh", x), (n,), (n, n))


@op
@in_float32
def inv(x: Any) -> Any:
    """Computes the inverses of square matrices.

    Args:
        x: Tensor of shape (..., n, n); other dtypes are converted to float32.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no square matrices, or one is singular.

    Example:
        >>> from cnnrs import ops
        >>> ops.inv([[2.0, 0.0], [0.0, 4.0]]).tolist()
        [[0.5, 0.0], [0.0, 0.25]]
    """
    return _at_once(apply("inverse", _matrices(x, "inv", square=True)))


@op
@in_float32
def lu_factor(x: Any) -> Any:
    """Factors matrices, with exchanged rows, into a lower and an upper triangle.

    There is no gradient; `solve`, `inv` and `det` have one.

    Args:
        x: Tensor of shape (..., m, n); other dtypes are converted to float32.

    Returns:
        A float32 tensor of the shape of `x`, with the upper triangle and, below it, the lower one without its
        diagonal of ones; and an int32 tensor of shape (..., min(m, n)): row i was exchanged with row
        `pivots[i]`, in this order.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no matrices.

    Example:
        >>> from cnnrs import ops
        >>> lu, pivots = ops.lu_factor([[1.0, 2.0], [2.0, 2.0]])
        >>> lu.tolist(), pivots.tolist()
        ([[2.0, 2.0], [0.5, 1.0]], [1, 1])
    """
    x = _matrices(x, "lu_factor")
    m, n = x.shape[-2:]
    lu, pivots = _unpacked(apply("lu", x), (m, n), (min(m, n),))
    return lu, pivots.astype("int32")


@op
@in_float32
def qr(x: Any, mode: str = "reduced") -> Any:
    """Factors matrices into orthonormal columns and an upper triangle.

    The signs are LAPACK's. The gradient needs a triangle without 0 on its diagonal, and `mode` "reduced" for
    matrices with more rows than columns.

    Args:
        x: Tensor of shape (..., m, n); other dtypes are converted to float32.
        mode: "reduced", the default, for k = min(m, n) columns, or "complete" for k = m.

    Returns:
        Pair of float32 tensors of shapes (..., m, k) and (..., k, n).

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no matrices, or `mode` is none of these words.

    Example:
        >>> from cnnrs import ops
        >>> q, r = ops.qr([[3.0, 1.0], [4.0, 2.0]])
        >>> print(r.numpy().round(4))
        [[-5.  -2.2]
         [ 0.   0.4]]
    """
    if mode not in ("reduced", "complete"):
        raise ValueError(f"qr: mode: expected 'reduced' or 'complete', received {mode!r}")
    x = _matrices(x, "qr")
    m, n = x.shape[-2:]
    k = m if mode == "complete" else min(m, n)
    return _unpacked(apply("qr", x, complete=mode == "complete"), (m, k), (k, n))


@op
@in_float32
def svd(x: Any, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """Computes the singular value decomposition `u @ diag(s) @ v`.

    Of matrices that are not square, u and v have a gradient with `full_matrices` False. Where singular values
    are equal, it leaves out what turns their vectors into each other.

    Args:
        x: Tensor of shape (..., m, n); other dtypes are converted to float32.
        full_matrices: Whether u and v are square, the default; otherwise both have k = min(m, n) vectors.
        compute_uv: Whether u and v are given, too; True by default.

    Returns:
        float32 tensors u of shape (..., m, m) or (..., m, k), s of shape (..., k), in descending order, and v
        of shape (..., n, n) or (..., k, n); s alone if `compute_uv` is false.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no matrices.

    Example:
        >>> from cnnrs import ops
        >>> ops.svd([[3.0, 0.0], [0.0, -4.0]], compute_uv=False).tolist()
        [4.0, 3.0]
    """
    x = _matrices(x, "svd")
    if not compute_uv:
        return apply("singular_values", x)
    m, n = x.shape[-2:]
    k = min(m, n)
    rows, columns = (m, n) if full_matrices else (k, k)
    return _unpacked(apply("svd", x, full=bool(full_matrices)), (m, rows), (k,), (columns, n))


def _system(a: Any, b: Any, name: str) -> tuple[Any, Any, bool]:
    """Matrices of a system with as many right sides, and whether these are vectors."""
    a, b = _matrices(a, name, "a", square=True), as_float(b)
    vectors = b.ndim == a.ndim - 1
    right = apply("expand_dims", b, axis=-1) if vectors else b
    if b.ndim == 0 or right.ndim < 2 or right.shape[-2] != a.shape[-1]:
        raise ValueError(
            f"{name}: b: expected shape (..., {a.shape[-1]}, columns) or (..., {a.shape[-1]}) for a of shape "
            f"{a.shape}, received {b.shape}"
        )
    lead = np.broadcast_shapes(a.shape[:-2], right.shape[:-2])
    a, right = (apply("broadcast_to", x, shape=[*lead, *x.shape[-2:]]) for x in (a, right))
    return a, right, vectors


@op
@in_float32
def solve(a: Any, b: Any) -> Any:
    """Solves systems of linear equations `a @ x = b`.

    Args:
        a: Tensor of shape (..., n, n); other dtypes are converted to float32.
        b: Tensor of shape (..., n, k), or (..., n) for one right side; converted likewise.

    Returns:
        float32 tensor of the shape of `b`.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, or a matrix is singular.

    Example:
        >>> from cnnrs import ops
        >>> ops.solve([[2.0, 0.0], [1.0, 1.0]], [4.0, 3.0]).tolist()
        [2.0, 1.0]
    """
    a, b, vectors = _system(a, b, "solve")
    x = _at_once(apply("solve", a, b))
    return apply("squeeze", x, axis=-1) if vectors else x


@op
@in_float32
def solve_triangular(a: Any, b: Any, lower: bool = False) -> Any:
    """Solves systems of linear equations `a @ x = b`, where `a` counts as triangular.

    Args:
        a: Tensor of shape (..., n, n), of which one triangle is read; other dtypes are converted to float32.
        b: Tensor of shape (..., n, k), or (..., n) for one right side; converted likewise.
        lower: Whether it is the lower triangle; False by default.

    Returns:
        float32 tensor of the shape of `b`.

    Raises:
        TypeError: An argument is not numeric.
        ValueError: The shapes do not fit, or there is a 0 on a diagonal.

    Example:
        >>> from cnnrs import ops
        >>> ops.solve_triangular([[2.0, 9.0], [1.0, 1.0]], [4.0, 3.0], lower=True).tolist()
        [2.0, 1.0]
    """
    a, b, vectors = _system(a, b, "solve_triangular")
    x = _at_once(apply("solve_triangular", a, b, lower=bool(lower)))
    return apply("squeeze", x, axis=-1) if vectors else x


@op
@in_float32
def pinv(x: Any, rcond: float | None = None) -> Any:
    """Computes the pseudo-inverses of Moore and Penrose.

    The gradient is that for matrices whose rank stays (Golub and Pereyra, 1973).

    Args:
        x: Tensor of shape (..., m, n); other dtypes are converted to float32.
        rcond: Singular values up to this part of the largest count as 0; None, the default, means
            `10 * max(m, n) * eps`.

    Returns:
        float32 tensor of shape (..., n, m).

    Raises:
        TypeError: `x` is not numeric, or `rcond` is no number.
        ValueError: `x` has no matrices.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.pinv([[2.0], [0.0]]).numpy().round(4))
        [[0.5 0. ]]
    """
    x = _matrices(x, "pinv")
    limit = 10.0 * max(x.shape[-2:]) * _epsilon(x) if rcond is None else float(rcond)
    return apply("pinv", x, rcond=limit)


@op
@in_float32
def lstsq(a: Any, b: Any, rcond: float | None = None) -> Any:
    """Computes the x of least norm for which the norm of `a @ x - b` is least.

    Args:
        a: Tensor of shape (m, n); other dtypes are converted to float32.
        b: Tensor of shape (m, k), or (m) for one right side; converted likewise.
        rcond: Singular values up to this part of the largest count as 0; None, the default, means
            `max(m, n) * eps`.

    Returns:
        float32 tensor of shape (n, k), or (n).

    Raises:
        TypeError: An argument is not numeric, or `rcond` is no number.
        ValueError: The shapes do not fit.

    Example:
        >>> from cnnrs import ops
        >>> print(ops.lstsq([[1.0], [1.0]], [1.0, 3.0]).numpy().round(4))
        [2.]
    """
    a, b = as_float(a), as_float(b)
    if a.ndim != 2:
        raise ValueError(f"lstsq: a: expected shape (m, n), received {a.shape}")
    if b.ndim not in (1, 2) or b.shape[0] != a.shape[0]:
        m = a.shape[0]
        raise ValueError(f"lstsq: b: expected shape ({m},) or ({m}, k), received {b.shape}")
    limit = max(a.shape) * _epsilon(a) if rcond is None else float(rcond)
    return apply("matmul", apply("pinv", a, rcond=limit), b)


@op
@in_float32
def matrix_rank(x: Any, tol: float | None = None) -> Any:
    """Counts the singular values of matrices that are not 0.

    Args:
        x: Tensor of shape (..., m, n); other dtypes are converted to float32.
        tol: Singular values up to this count as 0; None, the default, means `max(m, n) * eps` times the
            largest.

    Returns:
        int32 tensor of shape (...).

    Raises:
        TypeError: `x` is not numeric, or `tol` is no number.
        ValueError: `x` has no matrices.

    Example:
        >>> from cnnrs import ops
        >>> int(ops.matrix_rank([[1.0, 2.0], [2.0, 4.0]]))
        1
    """
    x = _matrices(x, "matrix_rank")
    values = apply("singular_values", x)
    if tol is None:
        largest = apply("max", values, axes=[-1], keepdims=True)
        limit = apply("mul", largest, max(x.shape[-2:]) * _epsilon(x))
    else:
        limit = float(tol)
    return apply("sum", apply("greater", values, limit).astype("int32"), axes=[-1], keepdims=False)


@op
@in_float32
def matrix_power(x: Any, n: int) -> Any:
    """Multiplies square matrices with themselves.

    Args:
        x: Tensor of shape (..., m, m); other dtypes are converted to float32.
        n: How many factors, an integer: 0 for the identity, below 0 for powers of the inverse.

    Returns:
        float32 tensor of the shape of `x`.

    Raises:
        TypeError: `x` is not numeric, or `n` is no integer.
        ValueError: `x` has no square matrices, or `n` is below 0 and one is singular.

    Example:
        >>> from cnnrs import ops
        >>> ops.matrix_power([[1.0, 1.0], [0.0, 1.0]], 5).tolist()
        [[1.0, 5.0], [0.0, 1.0]]
    """
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise TypeError(f"matrix_power: n: expected an integer, received {n!r}")
    x = _matrices(x, "matrix_power", square=True)
    if n == 0:
        return broadcast_to(np.eye(x.shape[-1], dtype=np.float32), x.shape).astype(x.dtype)
    square = inv(x) if n < 0 else x
    power, rest = None, abs(int(n))
    while rest:
        if rest & 1:
            power = square if power is None else apply("matmul", power, square)
        rest >>= 1
        square = apply("matmul", square, square) if rest else square
    return power
