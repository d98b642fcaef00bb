"""`tf.linalg`, and the products and norms at the root of `tf`.

>>> import cnnrs.compat.tf as tf
>>> a = tf.constant([[1.0, 2.0], [3.0, 4.0]])
>>> tf.matmul(a, a, transpose_b=True).numpy().tolist(), tf.linalg.diag_part(a).numpy().tolist()
([[5.0, 11.0], [11.0, 25.0]], [1.0, 4.0])
>>> clipped, norm = tf.clip_by_global_norm([a], 1.0)
>>> round(float(norm), 4), round(float(tf.norm(clipped[0])), 4)
(5.4772, 1.0)
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import alike, as_float, axis_of, boolean, integer, numbers, tensor
from cnnrs.compat.tf.arrays import eye
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.namespaces import operation, unknown
from cnnrs.compat.tf.reductions import l2_normalize

__all__ = [
    "adjoint",
    "band_part",
    "cholesky",
    "cholesky_solve",
    "clip_by_global_norm",
    "clip_by_norm",
    "cross",
    "det",
    "diag",
    "diag_part",
    "eigh",
    "eigvalsh",
    "einsum",
    "eye",
    "global_norm",
    "inv",
    "l2_normalize",
    "logdet",
    "lstsq",
    "matmul",
    "matrix_rank",
    "matrix_transpose",
    "matvec",
    "norm",
    "normalize",
    "pinv",
    "qr",
    "set_diag",
    "slogdet",
    "solve",
    "svd",
    "tensor_diag",
    "tensor_diag_part",
    "tensordot",
    "trace",
    "triangular_solve",
]


@operation
def matmul(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    transpose_b: bool = False,
    adjoint_a: bool = False,
    adjoint_b: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
    output_type: Any = None,
) -> Any:
    """The product of matrices, of batches of them too.

    Args:
        a: A tensor of shape (..., n, k).
        b: A tensor of shape (..., k, m).
        transpose_a: Whether `a` has the shape (..., k, n).
        transpose_b: Whether `b` has the shape (..., m, k).
        adjoint_a: As `transpose_a`, for real numbers.
        adjoint_b: As `transpose_b`, for real numbers.
        a_is_sparse: Either; zeros are multiplied like other numbers.
        b_is_sparse: Either.
        output_type: Element type of the product; None for that of the tensors.
    """
    x, y = alike("matmul", a, b)
    if x.ndim < 2 or y.ndim < 2:
        raise ValueError(
            f"tf.matmul: expected matrices, received shapes {tuple(x.shape)} and {tuple(y.shape)}"
        )
    boolean(a_is_sparse, "matmul", "a_is_sparse")
    boolean(b_is_sparse, "matmul", "b_is_sparse")
    x = ops.swapaxes(x, -1, -2) if transpose_a or adjoint_a else x
    y = ops.swapaxes(y, -1, -2) if transpose_b or adjoint_b else y
    result = ops.matmul(x, y)
    wanted = x.dtype if output_type is None else as_dtype(output_type)
    return result if result.dtype == wanted else ops.cast(result, wanted.name)


@operation
def matvec(
    a: Any,
    b: Any,
    transpose_a: bool = False,
    adjoint_a: bool = False,
    a_is_sparse: bool = False,
    b_is_sparse: bool = False,
) -> Any:
    """The product of a matrix, or a batch of them, and vectors; arguments are those of `matmul`."""
    return ops.squeeze(
        matmul(
            a,
            ops.expand_dims(tensor(b), -1),
            transpose_a=transpose_a,
            adjoint_a=adjoint_a,
            a_is_sparse=a_is_sparse,
            b_is_sparse=b_is_sparse,
        ),
        -1,
    )


@operation
def einsum(equation: str, *inputs: Any, optimize: str = "greedy") -> Any:
    """Sums of products by Einstein's notation; `optimize` names an order, which a plan chooses."""
    if optimize not in ("greedy", "optimal", "branch-2", "branch-all", "auto"):
        raise ValueError(
            f"tf.einsum: optimize: expected 'greedy', 'optimal' or 'auto', received {optimize!r}"
        )
    return ops.einsum(equation, *alike("einsum", *inputs))


@operation
def tensordot(a: Any, b: Any, axes: Any) -> Any:
    """Sums of products over axes of both: so many of the last and the first, or pairs of lists."""
    x, y = alike("tensordot", a, b)
    if isinstance(axes, (list, tuple, np.ndarray)):
        first, second = axes
        return ops.tensordot(
            x, y, [numbers(first, "tensordot", "axes"), numbers(second, "tensordot", "axes")]
        )
    return ops.tensordot(x, y, integer(axes, "tensordot", "axes"))


@operation
def norm(tensor: Any, ord: Any = "euclidean", axis: Any = None, keepdims: Any = None) -> Any:
    """The norm of vectors along an axis, of matrices along two, or of all elements.

    Args:
        tensor: A tensor of floats.
        ord: "euclidean", "fro" (of matrices), 1, 2, `np.inf` or another number > 0 (of vectors).
        axis: An axis for vectors, two for matrices; None for all elements as one vector.
        keepdims: Whether the axes stay, with extent 1.

    Raises:
        ValueError: There is no such norm.
    """
    x = as_float(tensor, "norm")
    keep = bool(keepdims)
    axes = (
        tuple(range(x.ndim))
        if axis is None
        else tuple(axis_of(a, x.ndim, "norm") for a in numbers(axis, "norm", "axis"))
    )
    matrices = axis is not None and len(axes) == 2
    if axis is not None and len(axes) > 2:
        raise ValueError(f"tf.norm: axis: expected one axis or two, received {axis}")
    if ord == "euclidean" or (ord == "fro" and matrices) or (ord == 2 and not matrices):
        return ops.sqrt(ops.sum(ops.square(x), axes, keep))
    if isinstance(ord, str) or not ord > 0:
        raise ValueError(
            f"tf.norm: ord: expected 'euclidean', 'fro' of matrices or a number > 0, received {ord!r}"
        )
    if not matrices:
        if ord == np.inf:
            return ops.max(ops.abs(x), axes, keep)
        powers = ops.sum(ops.power(ops.abs(x), float(ord)), axes, keep)
        return powers if ord == 1 else ops.power(powers, 1.0 / float(ord))
    if ord not in (1, 2, np.inf):
        raise ValueError(f"tf.norm: ord: expected 1, 2, np.inf or 'fro' of matrices, received {ord!r}")
    return ops.nn.norm(x, ord=ord, axis=axes, keepdims=keep)


@operation
def normalize(tensor: Any, ord: Any = "euclidean", axis: Any = None) -> tuple[Any, Any]:
    """The tensor divided by its norm, and the norm; arguments are those of `norm`."""
    x = as_float(tensor, "linalg.normalize")
    length = norm(x, ord, axis, True)
    return x / length, length


@operation
def global_norm(t_list: Any) -> Any:
    """The root of the sum of squares of all elements of all tensors; None counts as nothing."""
    given = [as_float(t, "global_norm") for t in t_list if t is not None]
    if not given:
        raise ValueError("tf.linalg.global_norm: t_list: expected at least one tensor")
    total = ops.sum(ops.square(given[0]))
    for t in given[1:]:
        total = total + ops.sum(ops.square(t))
    return ops.sqrt(total)


@operation
def clip_by_norm(t: Any, clip_norm: Any, axes: Any = None) -> Any:
    """The tensor made shorter where its norm, of all elements or along axes, exceeds `clip_norm`."""
    x, limit = alike("clip_by_norm", as_float(t, "clip_by_norm"), clip_norm)
    along = (
        None
        if axes is None
        else tuple(axis_of(a, x.ndim, "clip_by_norm") for a in numbers(axes, "clip_by_norm", "axes"))
    )
    squares = ops.sum(ops.square(x), along, keepdims=True)
    # The root has no gradient at 0.
    length = ops.where(
        squares > 0, ops.sqrt(ops.where(squares > 0, squares, ops.ones_like(squares))), squares
    )
    return x * limit / ops.maximum(length, limit)


@operation
def clip_by_global_norm(t_list: Any, clip_norm: Any, use_norm: Any = None) -> tuple[list[Any], Any]:
    """Tensors made shorter by one factor if their norm together exceeds `clip_norm`, and that norm.

    Args:
        t_list: Tensors of floats, and None.
        clip_norm: The greatest norm.
        use_norm: The norm, if it is known.
    """
    length = global_norm(t_list) if use_norm is None else as_float(use_norm, "clip_by_global_norm")
    limit = alike("clip_by_global_norm", length, clip_norm)[1]
    scale = limit * ops.minimum(1.0 / length, ops.divide(ops.ones_like(limit), limit))
    # An infinite norm makes NaN of all, which is seen, where 0 would not be.
    scale = ops.where(ops.isfinite(length), scale, ops.full_like(scale, math.nan))
    return [None if t is None else tensor(t) * ops.cast(scale, tensor(t).dtype) for t in t_list], length


@operation
def matrix_transpose(a: Any, conjugate: bool = False) -> Any:
    """The matrices transposed; real numbers are their own conjugates."""
    x = ops.swapaxes(tensor(a), -1, -2)
    return ops.conj(x) if boolean(conjugate, "matrix_transpose", "conjugate") else x


@operation
def adjoint(matrix: Any) -> Any:
    """The matrices transposed: real numbers are their own conjugates."""
    return ops.swapaxes(tensor(matrix), -1, -2)


def _offset(k: Any, function: str) -> int:
    if np.ndim(k) and len({*np.ravel(np.asarray(k)).tolist()}) > 1:
        raise ValueError(f"tf.linalg.{function}: k: expected one diagonal, received {k}")
    return integer(np.ravel(np.asarray(k))[0], function, "k")


@operation
def diag(diagonal: Any, k: Any = 0, num_rows: int = -1, num_cols: int = -1, padding_value: Any = 0) -> Any:
    """Matrices with vectors on their k-th diagonal.

    Args:
        diagonal: A tensor of shape (..., n).
        k: The diagonal: above the main one if positive.
        num_rows: Rows; -1 for as many as are needed.
        num_cols: Columns; -1 for as many as are needed.
        padding_value: What stands elsewhere.
    """
    x, offset = tensor(diagonal), _offset(k, "diag")
    least = [x.shape[-1] + max(-offset, 0), x.shape[-1] + max(offset, 0)]
    # Neither given, the matrices are square; one given, the other is as small as can be.
    if num_rows == -1 and num_cols == -1:
        least = [max(least)] * 2
    rows, columns = (
        n if given == -1 else given for n, given in zip(least, (num_rows, num_cols), strict=True)
    )
    base = ops.full((*x.shape[:-1], rows, columns), padding_value, x.dtype.name)
    return set_diag(base, x, offset)


@operation
def diag_part(input: Any, k: Any = 0, padding_value: Any = 0) -> Any:
    """The k-th diagonal of matrices; `padding_value` stands for what several of unequal length would lack."""
    if padding_value != 0:
        raise ValueError("tf.linalg.diag_part: padding_value: expected 0, for one diagonal lacks nothing")
    return ops.diagonal(tensor(input), _offset(k, "diag_part"), -2, -1)


@operation
def set_diag(input: Any, diagonal: Any, k: Any = 0) -> Any:
    """Matrices with other elements on their k-th diagonal."""
    x, values = alike("linalg.set_diag", input, diagonal)
    offset = _offset(k, "set_diag")
    rows, columns = x.shape[-2:]
    place = np.arange(rows)[:, None] + offset == np.arange(columns)
    length = int(place.sum())
    if tuple(values.shape) != (*x.shape[:-2], length):
        raise ValueError(
            f"tf.linalg.set_diag: expected a diagonal of shape {(*x.shape[:-2], length)}, received "
            f"{tuple(values.shape)}"
        )
    # Row i has the element i, or i less what stands below the matrix.
    index = np.clip(np.arange(rows) + min(offset, 0), 0, max(length - 1, 0)).astype("int32")
    return ops.where(place, ops.expand_dims(ops.take(values, index, axis=-1), -1), x)


@operation
def band_part(input: Any, num_lower: Any, num_upper: Any) -> Any:
    """Matrices with zeros beyond so many diagonals below and above the main one; -1 keeps all."""
    x = tensor(input)
    below, above = (
        integer(n, "band_part", a) for n, a in ((num_lower, "num_lower"), (num_upper, "num_upper"))
    )
    distance = np.arange(x.shape[-1]) - np.arange(x.shape[-2])[:, None]
    kept = ((below < 0) | (-distance <= below)) & ((above < 0) | (distance <= above))
    return ops.where(kept, x, ops.zeros_like(x))


@operation
def tensor_diag(diagonal: Any) -> Any:
    """A tensor of twice as many axes with the elements where both halves of the indices agree."""
    x = tensor(diagonal)
    return ops.reshape(ops.diag(ops.reshape(x, (-1,))), (*x.shape, *x.shape))


@operation
def tensor_diag_part(input: Any) -> Any:
    """The elements where both halves of the indices agree."""
    x = tensor(input)
    half = x.shape[: x.ndim // 2]
    return ops.reshape(ops.diagonal(ops.reshape(x, (math.prod(half), -1))), half)


@operation
def trace(x: Any) -> Any:
    """The sum of the main diagonal of matrices."""
    x = tensor(x)
    result = ops.trace(x, 0, -2, -1)
    return result if result.dtype == x.dtype else ops.cast(result, x.dtype)


def _of_matrix(name: str, compute: Any, doc: str) -> Any:
    def function(input: Any) -> Any:
        return compute(as_float(input, f"linalg.{name}"))

    function.__name__, function.__doc__ = name, doc
    return operation(function)


cholesky = _of_matrix(
    "cholesky", ops.cholesky, "The lower triangles whose products with themselves matrices are."
)
det = _of_matrix("det", ops.det, "The determinants of matrices.")


@operation
def eigvalsh(tensor: Any) -> Any:
    """The eigenvalues of symmetric matrices in ascending order."""
    return ops.eigh(as_float(tensor, "linalg.eigvalsh"))[0]


@operation
def logdet(matrix: Any) -> Any:
    """The logarithms of the determinants of positive definite matrices."""
    return ops.logdet(as_float(matrix, "linalg.logdet"))


@operation
def eigh(tensor: Any) -> tuple[Any, Any]:
    """The eigenvalues of symmetric matrices in ascending order, and the eigenvectors as columns."""
    values, vectors = ops.eigh(as_float(tensor, "linalg.eigh"))
    return values, vectors


class LogDet(NamedTuple):
    """What `slogdet` gives."""

    sign: Any
    log_abs_determinant: Any


@operation
def slogdet(input: Any) -> LogDet:
    """The signs of determinants, and the logarithms of their absolute values."""
    return LogDet(*ops.slogdet(as_float(input, "linalg.slogdet")))


@operation
def inv(input: Any, adjoint: bool = False) -> Any:
    """The inverses of matrices, or of their transposes."""
    x = as_float(input, "linalg.inv")
    return ops.inv(ops.swapaxes(x, -1, -2) if boolean(adjoint, "linalg.inv", "adjoint") else x)


@operation
def pinv(a: Any, rcond: Any = None, validate_args: bool = False) -> Any:
    """The pseudo-inverses of matrices; singular values below `rcond` of the largest count as 0."""
    boolean(validate_args, "linalg.pinv", "validate_args")
    x = as_float(a, "linalg.pinv")
    eps = float(np.finfo(x.dtype.name).eps) if x.dtype != "bfloat16" else 2.0**-8
    return ops.pinv(x, 10.0 * max(x.shape[-2:]) * eps if rcond is None else float(np.asarray(rcond)))


@operation
def solve(matrix: Any, rhs: Any, adjoint: bool = False) -> Any:
    """x of `matrix @ x = rhs`, or of the transposed matrix."""
    a, b = alike("linalg.solve", matrix, rhs)
    return ops.solve(ops.swapaxes(a, -1, -2) if boolean(adjoint, "linalg.solve", "adjoint") else a, b)


@operation
def triangular_solve(matrix: Any, rhs: Any, lower: bool = True, adjoint: bool = False) -> Any:
    """x of `matrix @ x = rhs` for a triangle, or for the transposed triangle."""
    a, b = alike("linalg.triangular_solve", matrix, rhs)
    below = boolean(lower, "linalg.triangular_solve", "lower")
    if boolean(adjoint, "linalg.triangular_solve", "adjoint"):
        a, below = ops.swapaxes(a, -1, -2), not below
    return ops.solve_triangular(a, b, lower=below)


@operation
def cholesky_solve(chol: Any, rhs: Any) -> Any:
    """x of `a @ x = rhs`, where `chol` is the lower triangle of `a`."""
    a, b = alike("linalg.cholesky_solve", chol, rhs)
    half = ops.solve_triangular(a, b, lower=True)
    return ops.solve_triangular(ops.swapaxes(a, -1, -2), half, lower=False)


@operation
def lstsq(matrix: Any, rhs: Any, l2_regularizer: float = 0.0, fast: bool = True) -> Any:
    """The x that makes `matrix @ x - rhs` shortest.

    Args:
        matrix: A tensor of shape (..., m, n).
        rhs: A tensor of shape (..., m, k).
        l2_regularizer: The weight of the length of x.
        fast: Whether to solve the normal equations; else by the pseudo-inverse.
    """
    a, b = alike("linalg.lstsq", matrix, rhs)
    if not boolean(fast, "linalg.lstsq", "fast"):
        if l2_regularizer:
            raise ValueError("tf.linalg.lstsq: l2_regularizer: expected 0 with fast=False")
        return ops.matmul(ops.pinv(a), b)
    turned = ops.swapaxes(a, -1, -2)
    wide = a.shape[-2] < a.shape[-1]
    square = ops.matmul(a, turned) if wide else ops.matmul(turned, a)
    square = square + float(l2_regularizer) * np.eye(square.shape[-1], dtype=a.dtype.name)
    return ops.matmul(turned, ops.solve(square, b)) if wide else ops.solve(square, ops.matmul(turned, b))


@operation
def matrix_rank(a: Any, tol: Any = None, validate_args: bool = False) -> Any:
    """How many singular values of matrices exceed `tol`."""
    boolean(validate_args, "linalg.matrix_rank", "validate_args")
    return ops.cast(
        ops.matrix_rank(as_float(a, "linalg.matrix_rank"), None if tol is None else float(tol)), "int32"
    )


@operation
def qr(input: Any, full_matrices: bool = False) -> tuple[Any, Any]:
    """Orthogonal matrices and upper triangles whose products matrices are."""
    mode = "complete" if boolean(full_matrices, "linalg.qr", "full_matrices") else "reduced"
    q, r = ops.qr(as_float(input, "linalg.qr"), mode=mode)
    return q, r


@operation
def svd(tensor: Any, full_matrices: bool = False, compute_uv: bool = True) -> Any:
    """The singular values s of matrices, and the u and v of `u @ diag(s) @ transpose(v)`."""
    x = as_float(tensor, "linalg.svd")
    if not boolean(compute_uv, "linalg.svd", "compute_uv"):
        return ops.svd(x, compute_uv=False)
    u, s, vh = ops.svd(x, full_matrices=boolean(full_matrices, "linalg.svd", "full_matrices"))
    return s, u, ops.swapaxes(vh, -1, -2)


@operation
def cross(a: Any, b: Any) -> Any:
    """The vector products along the last axis."""
    return ops.cross(*alike("linalg.cross", a, b))


__getattr__ = unknown(
    "tf.linalg",
    {
        "eig eigvals": "eigenvalues are complex, and tensors are not; use tf.linalg.eigh or numpy",
        "expm logm sqrtm": "use scipy.linalg on x.numpy()",
        "lu lu_solve lu_matrix_inverse lu_reconstruct": "use tf.linalg.solve, inv or det",
        "LinearOperator experimental LinearOperatorDiag LinearOperatorFullMatrix": "multiply matrices",
        "banded_triangular_solve tridiagonal_matmul tridiagonal_solve": "use tf.linalg.solve",
    },
    __all__,
)
