"""Rows of Einstein's sums and of linear algebra."""

from __future__ import annotations

import autograd.numpy as np
import numpy

from fuzz.pointwise import lift
from fuzz.rounding import noisy, r, value
from fuzz.table import Call, row

SUMS = [
    "ij,jk->ik", "ij,kj->ki", "bij,bjk->bik", "abc,cd->abd", "abc,acd->bd", "bij,bkj->ikb", "i,j->ij",
    "ij,ij->j", "ij->j", "ij,jk,k->i", "...ij,jk->...ik",
]  # fmt: skip


def _draw_einsum(d):
    text = d.choose(SUMS)
    size = {letter: d.extent(17) for letter in sorted(set(text)) if letter.isalpha()}
    shapes = [[size[c] for c in spec.replace("...", "")] for spec in text.split("->")[0].split(",")]
    if "..." in text:
        shapes[0].insert(0, d.small())
    return Call([text, *(d.fresh(tuple(shape), "small") for shape in shapes)])


def _einsum(text, *operands):
    operands = [lift(x) for x in operands]
    summed = max(1, *(n for x in operands for n in value(x).shape))
    more = max(1.0, summed**0.5 / 4)
    return r(np.einsum(text, *(noisy(x, more) for x in operands)), more)


row("ops.einsum", _draw_einsum, _einsum, often=2)


def _matrix(d, rows=None, columns=None, kind="dominant"):
    n = d.choose([1, 2, 3, 5, 8, 17])
    lead = d.choose([(), (2,), (3, 2)])
    return d.fresh((*lead, rows or n, columns or rows or n), kind)


def _of_square(name, function, kind="dominant", **flags):
    row(f"ops.{name}", lambda d: Call([_matrix(d, kind=kind)]), lambda x: function(noisy(lift(x))), **flags)


_of_square("inv", lambda x: r(np.linalg.inv(x), 4.0))
_of_square("det", lambda x: r(np.linalg.det(x), 4.0))
_of_square("logdet", lambda x: r(np.linalg.slogdet(x)[1], 4.0))
_of_square("slogdet", lambda x: tuple(r(y, 4.0) for y in np.linalg.slogdet(x)), grad=False)
_of_square("cholesky", lambda x: r(np.linalg.cholesky(x), 8.0), kind="definite", grad=False)
_of_square("cholesky_inverse", lambda x: _inverse_of_product(x), grad=False)
_of_square("pinv", lambda x: r(np.linalg.inv(x), 8.0))
_of_square(
    "matrix_rank", lambda x: numpy.asarray(numpy.linalg.matrix_rank(value(x)), numpy.int32), grad=False
)


def _inverse_of_product(x):
    lower = np.tril(x)
    return r(np.linalg.inv(np.matmul(lower, np.swapaxes(lower, -1, -2))), 16.0)


def _draw_system(d):
    a = _matrix(d)
    *lead, n, _ = d.shape(a)
    return Call([a, d.fresh((*lead, n, d.small()), "normal")], {})


row("ops.solve", _draw_system, lambda a, b: r(np.linalg.solve(noisy(lift(a)), noisy(lift(b))), 8.0))


def _draw_triangular(d):
    call = _draw_system(d)
    call.kwargs = d.maybe(lower=True)
    return call


def _solve_triangular(a, b, lower=False):
    cut = np.tril(lift(a)) if lower else np.triu(lift(a))
    return r(np.linalg.solve(noisy(cut), noisy(lift(b))), 8.0)


row("ops.solve_triangular", _draw_triangular, _solve_triangular)


def _draw_lstsq(d):
    n = d.choose([1, 3, 6])
    a = d.fresh((n, n), "dominant")
    return Call([a, d.fresh(d.choose([(n,), (n, 2)]), "normal")])


def _lstsq(a, b):
    a, b = noisy(lift(a)), noisy(lift(b))
    return r(np.matmul(np.linalg.inv(a), b), 16.0)


row("ops.lstsq", _draw_lstsq, _lstsq)


def _power(x, n):
    x = lift(x)
    y = np.eye(value(x).shape[-1]) * np.ones(value(x).shape)
    for _ in range(abs(n)):
        y = r(np.matmul(noisy(y, 2.0), noisy(np.linalg.inv(x) if n < 0 else x, 2.0)), 4.0)
    return y


row("ops.matrix_power", lambda d: Call([_matrix(d, kind="dominant"), d.choose([-2, -1, 0, 1, 2, 3])]), _power)


def _pair(x):
    return np.real(x), np.imag(x)


def _draw_pair(d, rank=1):
    shape = (*d.choose([(), (2,)]), *(d.choose([1, 2, 3, 5, 8, 12]) for _ in range(rank)))
    return Call([[d.fresh(shape, "normal"), d.fresh(shape, "normal")]])


def _complex(pair):
    return noisy(lift(pair[0])) + 1j * noisy(lift(pair[1]))


row("ops.fft", _draw_pair, lambda x: tuple(r(y, 4.0) for y in _pair(np.fft.fft(_complex(x)))))
row(
    "ops.fft2",
    lambda d: _draw_pair(d, 2),
    lambda x: tuple(r(y, 4.0) for y in _pair(np.fft.fft2(_complex(x)))),
)
row(
    "ops.ifft2",
    lambda d: _draw_pair(d, 2),
    lambda x: tuple(r(y, 4.0) for y in _pair(np.fft.ifft2(_complex(x)))),
)


def _rfft(x):
    x = noisy(lift(x))
    half = value(x).shape[-1] // 2 + 1
    return tuple(r(y[..., :half], 4.0) for y in _pair(np.fft.fft(x)))


row("ops.rfft", lambda d: Call([d.fresh((d.small(), d.choose([1, 2, 5, 8, 9])), "normal")]), _rfft)


def _irfft(x):
    whole = np.concatenate([_complex(x), np.conj(_complex(x))[..., -2:0:-1]], axis=-1)
    return r(np.real(np.fft.ifft(whole)), 4.0)


def _draw_irfft(d):
    shape = (d.small(), d.choose([2, 3, 5]))
    return Call([[d.fresh(shape, "normal"), d.fresh(shape, "normal")]])


row("ops.irfft", _draw_irfft, _irfft, grad=False)


def _windows(x, length, stride):
    n = value(x).shape[-1]
    return np.stack([x[..., s : s + length] for s in range(0, n - length + 1, stride)], axis=-2)


def _draw_sequences(d):
    length = d.choose([1, 2, 3, 4])
    return Call([d.fresh((d.small(), length + d.below(9))), length, d.choose([1, 2, 3])])


row("ops.extract_sequences", _draw_sequences, lambda x, length, stride: _windows(lift(x), length, stride))
row(
    "ops.stft",
    lambda d: Call([d.fresh((d.small(), 12 + d.below(9)), "normal"), 4, d.choose([1, 2, 4]), 4, None, False]),
    lambda x, length, stride, *_: _rfft(_windows(lift(x), length, stride)),
)
row(
    "ops.view_as_real",
    lambda d: Call([d.tensor()]),
    lambda x: np.stack([lift(x), numpy.zeros(value(x).shape)], axis=-1),
    grad=False,
)


def _draw_distances(d):
    k = d.small()
    return Call([d.fresh((d.small(), k), "normal"), d.fresh((d.small(), k), "normal")])


def _cdist(x, y):
    gap = r(noisy(lift(x))[:, None] - noisy(lift(y))[None])
    return r(np.sqrt(np.sum(noisy(gap * gap, 4.0), axis=-1)), 4.0)


row("ops.cdist", _draw_distances, _cdist, kinks=True)


def _sparsemax(x):
    x = lift(x)
    n = value(x).shape[-1]
    falling = -np.sort(-value(x), axis=-1)
    counts = np.arange(1, n + 1)
    size = np.sum(falling > (np.cumsum(falling, axis=-1) - 1) / counts, axis=-1, keepdims=True)
    support = value(x) >= np.take_along_axis(falling, size - 1, axis=-1)
    t = (np.sum(noisy(np.where(support, x, 0.0), 4.0), axis=-1, keepdims=True) - 1) / size
    return r(np.maximum(x - t, 0.0), 4.0)


row("ops.sparsemax", lambda d: Call([d.fresh((d.small(), d.small()), "normal")]), _sparsemax, kinks=True)


def _draw_windows(d):
    x = d.fresh((d.small(), d.small(), 3 + d.below(4), 3 + d.below(4)))
    return Call(
        [x, d.choose([1, 2, [3, 2]])], d.maybe(padding=d.choose([1, [0, 2]]), stride=d.choose([2, [1, 3]]))
    )


def _unfold(x, size, padding=0, stride=1):
    size, padding, stride = ([n, n] if isinstance(n, int) else n for n in (size, padding, stride))
    x = np.pad(lift(x), [(0, 0), (0, 0), *((p, p) for p in padding)])
    batch, channels, height, width = value(x).shape
    out = [(n - k) // s + 1 for n, k, s in zip((height, width), size, stride, strict=True)]
    seen = [
        x[
            :,
            :,
            i : i + (out[0] - 1) * stride[0] + 1 : stride[0],
            j : j + (out[1] - 1) * stride[1] + 1 : stride[1],
        ]
        for i in range(size[0])
        for j in range(size[1])
    ]
    return np.reshape(np.stack(seen, axis=2), (batch, channels * size[0] * size[1], out[0] * out[1]))


row("ops.unfold", _draw_windows, _unfold)


def _draw_fold(d):
    height, width, k = 4 + d.below(3), 4 + d.below(3), d.choose([1, 2, 3])
    many = (height - k + 1) * (width - k + 1)
    return Call([d.fresh((d.small(), d.small() * k * k, many), "normal"), [height, width], k])


def _fold(x, size, k):
    x = lift(x)
    batch, channels = value(x).shape[0], value(x).shape[1] // (k * k)
    rows, columns = size[0] - k + 1, size[1] - k + 1
    taps = np.reshape(x, (batch, channels, k, k, rows, columns))
    y = 0.0
    for i in range(k):
        for j in range(k):
            sides = [(0, 0), (0, 0), (i, k - 1 - i), (j, k - 1 - j)]
            y = y + np.pad(noisy(taps[:, :, i, j], 2.0), sides)
    return r(y, 2.0)


row("ops.fold", _draw_fold, _fold)


def _draw_grid(d):
    n = 3 + d.below(9)
    return Call([d.fresh((d.small(), n, d.small()), "normal"), 1 + d.below(n)])


def _grid(reduce):
    def pooled(x, size):
        x = lift(x)
        n = value(x).shape[1]
        cells = [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
        return np.stack([reduce(x[:, a:b]) for a, b in cells], axis=1)

    return pooled


row("ops.adaptive_average_pool", _draw_grid, _grid(lambda x: r(np.mean(noisy(x, 2.0), axis=1), 2.0)))
row("ops.adaptive_max_pool", _draw_grid, _grid(lambda x: np.max(x, axis=1)), kinks=True)
