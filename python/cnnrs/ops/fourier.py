"""Discrete Fourier transforms. A complex tensor is a pair of its real and its imaginary part."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.base.dtypes import FLOATS
from cnnrs.ops.creation import zeros_like
from cnnrs.ops.dispatch import apply, as_float, as_tensor, in_float32, op
from cnnrs.ops.movement import pad

__all__ = [
    "extract_sequences",
    "fft",
    "fft2",
    "ifft2",
    "irfft",
    "istft",
    "rfft",
    "stft",
]

Pair = tuple[Any, Any]


def _pair(x: Any, name: str, rank: int) -> Pair:
    """The real and the imaginary part."""
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ValueError(f"{name}: x: expected a pair of real and imaginary parts, received {x!r}")
    real, imaginary = as_float(x[0]), as_float(x[1])
    if real.shape != imaginary.shape:
        raise ValueError(
            f"{name}: x: expected real and imaginary parts of one shape, received {real.shape} and "
            f"{imaginary.shape}"
        )
    if real.ndim < rank:
        raise ValueError(f"{name}: x: expected at least {rank} axes, received shape {real.shape}")
    return real, imaginary


def _axes(x: Any, name: str, rank: int) -> Any:
    x = as_float(x)
    if x.ndim < rank:
        raise ValueError(f"{name}: x: expected at least {rank} axis, received shape {x.shape}")
    return x


def _transform(x: Pair, inverse: bool = False) -> Pair:
    """The transform along the last axis; the inverse one is not divided."""
    y = apply("fft", apply("stack", *x, axis=-1), inverse=inverse)
    return y[..., 0], y[..., 1]


def _resized(x: Any, n: int) -> Any:
    """The last axis cut, or extended by zeros, to `n`."""
    have = x.shape[-1]
    if have >= n:
        return x if have == n else x[..., :n]
    return apply("pad", x, paddings=[[0, 0]] * (x.ndim - 1) + [[0, n - have]], value=0.0)


def _both_axes(x: Pair, inverse: bool) -> Pair:
    for _ in range(2):
        x = _transform(x, inverse)
        rank = x[0].ndim
        perm = [*range(rank - 2), rank - 1, rank - 2]
        x = (apply("transpose", x[0], perm=perm), apply("transpose", x[1], perm=perm))
    return x


def _length(fft_length: Any, name: str) -> int:
    return integer(fft_length, name, "fft_length", least=1)


@op
@in_float32
def fft(x: Any) -> Any:
    """Computes the discrete Fourier transform along the last axis.

    Element k is the sum of `x[j] * exp(-2j * pi * j * k / n)`.

    Args:
        x: Pair of tensors of shape (..., n), the real and the imaginary part; other dtypes are converted to
            float32.

    Returns:
        Pair of float32 tensors of the same shape.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` is no pair of tensors of one shape with at least one axis.

    Example:
        >>> from cnnrs import ops
        >>> real, imaginary = ops.fft(([1.0, 2.0, 3.0, 4.0], [0.0, 0.0, 0.0, 0.0]))
        >>> real.tolist(), imaginary.tolist()
        ([10.0, -2.0, -2.0, -2.0], [0.0, 2.0, 0.0, -2.0])
    """
    return _transform(_pair(x, "fft", 1))


@op
@in_float32
def fft2(x: Any) -> Any:
    """Computes the discrete Fourier transform along the last two axes.

    Args:
        x: Pair of tensors of shape (..., m, n), the real and the imaginary part; other dtypes are converted
            to float32.

    Returns:
        Pair of float32 tensors of the same shape.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` is no pair of tensors of one shape with at least two axes.

    Example:
        >>> from cnnrs import ops
        >>> real, _ = ops.fft2(([[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]))
        >>> real.tolist()
        [[10.0, -2.0], [-4.0, 0.0]]
    """
    return _both_axes(_pair(x, "fft2", 2), inverse=False)


@op
@in_float32
def ifft2(x: Any) -> Any:
    """Computes the inverse of `fft2`.

    Args:
        x: Pair of tensors of shape (..., m, n), the real and the imaginary part; other dtypes are converted
            to float32.

    Returns:
        Pair of float32 tensors of the same shape.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` is no pair of tensors of one shape with at least two axes.

    Example:
        >>> from cnnrs import ops
        >>> real, _ = ops.ifft2(([[10.0, -2.0], [-4.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]))
        >>> real.tolist()
        [[1.0, 2.0], [3.0, 4.0]]
    """
    real, imaginary = _pair(x, "ifft2", 2)
    many = max(real.shape[-1] * real.shape[-2], 1)
    y = _both_axes((real, imaginary), inverse=True)
    return apply("mul", y[0], 1.0 / many), apply("mul", y[1], 1.0 / many)


@op
@in_float32
def rfft(x: Any, fft_length: int | None = None) -> Any:
    """Computes the half of the discrete Fourier transform of real numbers that says all of it.

    Args:
        x: Tensor of shape (..., n); other dtypes are converted to float32.
        fft_length: To which length the last axis is cut or extended by zeros, an integer >= 1; None, the
            default, for that which it has.

    Returns:
        Pair of float32 tensors of shape (..., fft_length // 2 + 1): the real and the imaginary part.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no axis, or `fft_length` is no integer >= 1.

    Example:
        >>> from cnnrs import ops
        >>> real, imaginary = ops.rfft([1.0, 2.0, 3.0, 4.0])
        >>> real.tolist(), imaginary.tolist()
        ([10.0, -2.0, -2.0], [0.0, 2.0, 0.0])
    """
    x = _axes(x, "rfft", 1)
    n = x.shape[-1] if fft_length is None else _length(fft_length, "rfft")
    x = _resized(x, n)
    real, imaginary = _transform((x, zeros_like(x)))
    return real[..., : n // 2 + 1], imaginary[..., : n // 2 + 1]


@op
@in_float32
def irfft(x: Any, fft_length: int | None = None) -> Any:
    """Computes the inverse of `rfft`.

    Args:
        x: Pair of tensors of shape (..., m), the real and the imaginary part; other dtypes are converted to
            float32.
        fft_length: How many numbers there are, an integer >= 1: x is cut or extended by zeros to half of
            that. None, the default, means `2 * (m - 1)`.

    Returns:
        float32 tensor of shape (..., fft_length).

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` is no pair of tensors of one shape with at least one axis, or `fft_length` is no
            integer >= 1.

    Example:
        >>> from cnnrs import ops
        >>> ops.irfft(([10.0, -2.0, -2.0], [0.0, 2.0, 0.0])).tolist()
        [1.0, 2.0, 3.0, 4.0]
    """
    real, imaginary = _pair(x, "irfft", 1)
    n = 2 * (real.shape[-1] - 1) if fft_length is None else fft_length
    n = _length(n, "irfft")
    half = n // 2 + 1
    real, imaginary = _resized(real, half), _resized(imaginary, half)
    # The other half mirrors this one. What the result's imaginary part would be is left out.
    rest = (n + 1) // 2
    mirrored = [apply("flip", part[..., 1 : max(rest, 1)], axes=[-1]) for part in (real, imaginary)]
    whole = (
        apply("concat", real, mirrored[0], axis=-1),
        apply("concat", imaginary, apply("neg", mirrored[1]), axis=-1),
    )
    return apply("mul", _transform(whole, inverse=True)[0], 1.0 / n)


@op
def extract_sequences(x: Any, sequence_length: int, sequence_stride: int) -> Any:
    """Cuts the last axis into sequences that may overlap.

    Args:
        x: Tensor of shape (..., n), of any dtype.
        sequence_length: Elements of a sequence, an integer >= 1.
        sequence_stride: Distance between the begins of two sequences, an integer >= 1.

    Returns:
        Tensor of shape (..., 1 + (n - sequence_length) // sequence_stride, sequence_length), of the dtype of
        `x`.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` has no axis or is shorter than a sequence, or another argument is no integer >= 1.

    Example:
        >>> from cnnrs import ops
        >>> ops.extract_sequences([1, 2, 3, 4, 5, 6], 3, 2).tolist()
        [[1, 2, 3], [3, 4, 5]]
    """
    x = as_tensor(x)
    length = integer(sequence_length, "extract_sequences", "sequence_length", least=1)
    stride = integer(sequence_stride, "extract_sequences", "sequence_stride", least=1)
    if x.ndim < 1 or x.shape[-1] < length:
        raise ValueError(
            f"extract_sequences: x: expected at least {length} elements along the last axis, received shape "
            f"{x.shape}"
        )
    return apply("gather", x, _places(x.shape[-1], length, stride), axis=-1)


def _places(n: int, length: int, stride: int) -> np.ndarray[Any, Any]:
    """The index of each element of each sequence."""
    return np.arange(0, n - length + 1, stride, dtype=np.int32)[:, None] + np.arange(length, dtype=np.int32)


def _window(window: Any, length: int, fft_length: int, name: str, dtype: str) -> Any:
    """Weights of a sequence in a type, with zeros on both sides up to `fft_length`."""
    before = (fft_length - length) // 2
    if window is None:
        return as_tensor(np.ones(fft_length, dtype))
    if isinstance(window, str):
        if window not in ("hann", "hamming"):
            raise ValueError(
                f"{name}: window: expected 'hann', 'hamming', a tensor or None, received {window!r}"
            )
        share = 0.5 if window == "hann" else 0.54
        turn = 2.0 * np.pi * np.arange(length) / length
        window = (share - (1.0 - share) * np.cos(turn)).astype(dtype)
    weights = as_tensor(window).astype(dtype)
    if weights.shape != (length,):
        raise ValueError(f"{name}: window: expected shape ({length},), received {weights.shape}")
    return apply("pad", weights, paddings=[[before, fft_length - length - before]], value=0.0)


def _lengths(name: str, sequence_length: Any, sequence_stride: Any, fft_length: Any) -> tuple[int, int, int]:
    stride = integer(sequence_stride, name, "sequence_stride", least=1)
    length = integer(sequence_length, name, "sequence_length", least=1)
    whole = _length(fft_length, name)
    if whole < length:
        raise ValueError(
            f"{name}: fft_length: expected at least {length} (sequence_length), received {whole}"
        )
    return length, stride, whole


@op
@in_float32
def stft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """Computes Fourier transforms of short sequences that overlap.

    Args:
        x: Floats, a tensor of shape (..., n).
        sequence_length: Elements of a sequence, an integer >= 1.
        sequence_stride: Distance between the begins of two sequences, an integer >= 1.
        fft_length: To which length a sequence is extended by zeros on both sides, an integer >=
            `sequence_length`.
        window: Weights of a sequence: "hann", the default, "hamming", a tensor of shape (sequence_length), or
            None for ones.
        center: Whether sequence t lies around place `t * sequence_stride`, with the ends of `x` mirrored;
            otherwise it begins there. True by default.

    Returns:
        Pair of float32 tensors of shape (..., sequences, fft_length // 2 + 1): the real and the imaginary
        part.

    Raises:
        TypeError: `x` has no floats.
        ValueError: A length or `window` is none of the above, or `x` is too short.

    Example:
        >>> from cnnrs import ops
        >>> real, _ = ops.stft([0.0, 1.0, 2.0, 3.0, 4.0], 3, 2, 3)
        >>> print(real.numpy().round(3))
        [[ 0.75  -0.375]
         [ 3.75  -1.875]
         [ 5.25  -2.625]]
    """
    length, stride, whole = _lengths("stft", sequence_length, sequence_stride, fft_length)
    x = as_tensor(x)
    if x.dtype not in FLOATS:
        raise TypeError(f"stft: x: expected floats, received {x.dtype}")
    weights = _window(window, length, whole, "stft", x.dtype)
    if center:
        x = pad(x, [[0, 0]] * (x.ndim - 1) + [[whole // 2, whole // 2]], mode="reflect")
    return rfft(apply("mul", extract_sequences(x, whole, stride), weights))


@op
@in_float32
def istft(
    x: Any,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: Any = "hann",
    center: bool = True,
) -> Any:
    """Computes the inverse of `stft` called with the same arguments.

    Sequences are weighted by the window and added up, and the sum is divided by that of the squared windows.

    Args:
        x: Pair of tensors of shape (..., sequences, fft_length // 2 + 1), the real and the imaginary part;
            other dtypes are converted to float32.
        sequence_length: Elements of a sequence, an integer >= 1.
        sequence_stride: Distance between the begins of two sequences, an integer >= 1.
        fft_length: The length of the transforms, an integer >= `sequence_length`.
        length: How many elements are given; None, the default, for all.
        window: Weights of a sequence: "hann", the default, "hamming", a tensor of shape (sequence_length), or
            None for ones.
        center: Whether sequence t lies around place `t * sequence_stride`; otherwise it begins there. True by
            default.

    Returns:
        float32 tensor of shape (..., n), where n is `length`, or `fft_length + (sequences - 1) *
        sequence_stride` less, with `center`, `fft_length // 2` at both ends.

    Raises:
        TypeError: `x` is not numeric.
        ValueError: `x` is no pair of tensors of one shape with at least two axes, or another argument is none
            of the above.

    Example:
        >>> from cnnrs import ops
        >>> x = ops.array([0.0, 1.0, 2.0, 3.0, 4.0])
        >>> print(ops.istft(ops.stft(x, 4, 1, 4), 4, 1, 4).numpy().round(3))
        [0. 1. 2. 3. 4.]
    """
    size, stride, whole = _lengths("istft", sequence_length, sequence_stride, fft_length)
    real, imaginary = _pair(x, "istft", 2)
    weights = _window(window, size, whole, "istft", real.dtype)
    sequences = irfft((real, imaginary), whole)
    many = sequences.shape[-2]
    n = whole + stride * (many - 1)
    places = _places(n, whole, stride)
    added = apply("mul", sequences, weights)
    lead = list(added.shape[:-2])
    # (..., sequences, whole) onto (..., n), an axis of places first.
    total = apply("scatter", added, places, shape=[*lead, n], axis=-1, kind="add")
    square = apply("broadcast_to", apply("square", weights), shape=[many, whole])
    norm = apply("scatter", square, places, shape=[n], axis=-1, kind="add")
    # Where no window reaches, nothing was added.
    covered = apply("greater", norm, 1e-10)
    y = apply("div", total, apply("where", covered, norm, 1.0))
    start = whole // 2 if center else 0
    if length is not None:
        stop = start + integer(length, "istft", "length", least=0)
    else:
        stop = n - whole // 2 if center else n
    return y[..., start : min(stop, n)]
