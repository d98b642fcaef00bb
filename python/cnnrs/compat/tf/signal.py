"""`tf.signal`: transforms over the last axes; their results are `ComplexTensor`.

>>> import cnnrs.compat.tf as tf
>>> spectrum = tf.signal.fft2d(tf.cast(tf.ones((2, 2)), tf.complex64))
>>> tf.cast(spectrum, tf.float32).numpy().tolist()
[[4.0, 0.0], [0.0, 0.0]]
>>> tf.signal.stft(tf.ones(16), frame_length=8, frame_step=4).shape.as_list()
[3, 5]
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.compat.tf.arguments import as_float, axis_of, boolean, integer, numbers
from cnnrs.compat.tf.complex_tensors import ComplexTensor, parts
from cnnrs.compat.tf.dtypes import as_dtype, float32
from cnnrs.compat.tf.namespaces import operation, unknown

__all__ = [
    "fft",
    "fft2d",
    "fftshift",
    "frame",
    "hamming_window",
    "hann_window",
    "ifft",
    "ifft2d",
    "ifftshift",
    "irfft",
    "rfft",
    "stft",
]


@operation
def fft(input: Any) -> ComplexTensor:
    """The discrete Fourier transform along the last axis."""
    return ComplexTensor(*ops.fft(parts(input)))


@operation
def ifft(input: Any) -> ComplexTensor:
    """The inverse of `fft`: its conjugate of the conjugate, divided by the length."""
    real, imag = parts(input)
    a, b = ops.fft((real, -imag))
    return ComplexTensor(a / float(real.shape[-1]), -b / float(real.shape[-1]))


@operation
def fft2d(input: Any) -> ComplexTensor:
    """The discrete Fourier transform along the last two axes."""
    return ComplexTensor(*ops.fft2(parts(input)))


@operation
def ifft2d(input: Any) -> ComplexTensor:
    """The inverse of `fft2d`."""
    return ComplexTensor(*ops.ifft2(parts(input)))


def _fitted(x: Any, length: int) -> Any:
    """The last axis cut, or with zeros behind, to a length."""
    if x.shape[-1] >= length:
        return x[..., :length]
    return ops.pad(x, [[0, 0]] * (x.ndim - 1) + [[0, length - x.shape[-1]]])


def _length(fft_length: Any, default: int, function: str) -> int:
    return default if fft_length is None else numbers(fft_length, function, "fft_length")[0]


@operation
def rfft(input_tensor: Any, fft_length: Any = None) -> ComplexTensor:
    """The transform of real numbers along the last axis: the half that determines the other."""
    x = as_float(input_tensor, "signal.rfft")
    return ComplexTensor(*ops.rfft(_fitted(x, _length(fft_length, x.shape[-1], "signal.rfft"))))


@operation
def irfft(input_tensor: Any, fft_length: Any = None) -> Any:
    """The inverse of `rfft`."""
    real, imag = parts(input_tensor)
    many = _length(fft_length, 2 * (real.shape[-1] - 1), "signal.irfft")
    half = many // 2 + 1
    return ops.irfft((_fitted(real, half), _fitted(imag, half)), many)


def _window(kind: str, length: Any, periodic: bool, dtype: Any) -> Any:
    many = integer(length, f"signal.{kind}_window", "window_length")
    share = 0.5 if kind == "hann" else 0.54
    # A periodic window is one sample short of a symmetric one; an odd one is symmetric in TensorFlow.
    whole = many - 1 + (1 if boolean(periodic, "signal.window", "periodic") and many % 2 == 0 else 0)
    if many == 1:
        return ops.ones((1,), as_dtype(dtype).name)
    values = share - (1 - share) * np.cos(2 * np.pi * np.arange(many) / whole)
    return ops.array(values.astype(as_dtype(dtype).name))


@operation
def hann_window(window_length: Any, periodic: bool = True, dtype: Any = float32) -> Any:
    """A raised cosine."""
    return _window("hann", window_length, periodic, dtype)


@operation
def hamming_window(window_length: Any, periodic: bool = True, dtype: Any = float32) -> Any:
    """A raised cosine that does not reach 0."""
    return _window("hamming", window_length, periodic, dtype)


@operation
def frame(
    signal: Any, frame_length: Any, frame_step: Any, pad_end: bool = False, pad_value: Any = 0, axis: Any = -1
) -> Any:
    """Windows of a signal, along a new axis behind which they lie.

    Args:
        signal: A tensor.
        frame_length: Samples of a window.
        frame_step: Samples between windows.
        pad_end: Whether windows may reach beyond the end, where `pad_value` stands.
        pad_value: What stands there.
        axis: The axis of the samples.
    """
    x = ops.convert_to_tensor(signal)
    place = axis_of(axis, x.ndim, "signal.frame")
    length, step = (integer(n, "signal.frame", "frame_length") for n in (frame_length, frame_step))
    extent = x.shape[place]
    if boolean(pad_end, "signal.frame", "pad_end"):
        many = -(-extent // step)
        missing = max((many - 1) * step + length - extent, 0)
        pairs = [[0, missing if i == place else 0] for i in range(x.ndim)]
        x = ops.pad(x, pairs, mode="constant", constant_values=pad_value)
    else:
        many = max((extent - length) // step + 1, 0)
    index = np.arange(many)[:, None] * step + np.arange(length)
    return ops.take(x, index.astype("int32"), axis=place)


@operation
def stft(
    signals: Any,
    frame_length: Any,
    frame_step: Any,
    fft_length: Any = None,
    window_fn: Any = hann_window,
    pad_end: bool = False,
) -> ComplexTensor:
    """The transforms of windows of a signal.

    Args:
        signals: A tensor of shape (..., samples).
        frame_length: Samples of a window.
        frame_step: Samples between windows.
        fft_length: Length of the transform; the next power of 2 if None.
        window_fn: Function of a length and `dtype` that gives weights; None for none.
        pad_end: Whether windows may reach beyond the end.
    """
    x = as_float(signals, "signal.stft")
    length = integer(frame_length, "signal.stft", "frame_length")
    frames = frame(x, length, frame_step, pad_end)
    if window_fn is not None:
        frames = frames * window_fn(length, dtype=x.dtype)
    return rfft(frames, [1 << (length - 1).bit_length() if fft_length is None else fft_length])


def _shifted(x: Any, axes: Any, inverse: bool) -> Any:
    if isinstance(x, ComplexTensor):
        return ComplexTensor(_shifted(x.real, axes, inverse), _shifted(x.imag, axes, inverse))
    made = ops.convert_to_tensor(x)
    given = range(made.ndim) if axes is None else numbers(axes, "signal.fftshift", "axes")
    for axis in (axis_of(a, made.ndim, "signal.fftshift") for a in given):
        extent = made.shape[axis]
        made = ops.roll(made, -(extent // 2) if inverse else extent // 2, axis=axis)
    return made


@operation
def fftshift(x: Any, axes: Any = None) -> Any:
    """The element of frequency 0 in the middle."""
    return _shifted(x, axes, False)


@operation
def ifftshift(x: Any, axes: Any = None) -> Any:
    """The inverse of `fftshift`."""
    return _shifted(x, axes, True)


__getattr__ = unknown(
    "tf.signal",
    {
        "inverse_stft inverse_stft_window_fn": "use cnnrs.ops.istft",
        "fft3d ifft3d rfft2d irfft2d rfft3d irfft3d fftnd ifftnd rfftnd irfftnd": "use numpy.fft",
        "dct idct mdct inverse_mdct kaiser_bessel_derived_window kaiser_window vorbis_window "
        "overlap_and_add linear_to_mel_weight_matrix mfccs_from_log_mel_spectrograms": "use scipy.signal",
    },
    __all__,
)
