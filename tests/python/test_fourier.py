"""Fourier transforms against numpy and scipy, their gradients, and errors."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

import cnnrs
from cnnrs import Input, ops

pytestmark = pytest.mark.filterwarnings("ignore:.*plans have been compiled:RuntimeWarning")

LENGTHS = [1, 2, 3, 8, 15, 16, 17]


def drawn(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def close(pair, expected, tolerance=1e-4):
    real, imaginary = pair
    assert real.shape == imaginary.shape == expected.shape
    np.testing.assert_allclose(real.numpy(), expected.real, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(imaginary.numpy(), expected.imag, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("lead", [(), (3,), (2, 0)])
@pytest.mark.parametrize("n", LENGTHS)
def test_transforms_are_numpys(n, lead):
    real, imaginary = drawn(*lead, n), drawn(*lead, n, seed=1)
    close(ops.fft((real, imaginary)), np.fft.fft(real + 1j * imaginary))
    close(ops.rfft(real), np.fft.rfft(real))
    if lead:
        close(
            ops.fft2((real, imaginary)) if lead[-1] else ops.fft((real, imaginary)),
            (np.fft.fft2(real + 1j * imaginary) if lead[-1] else np.fft.fft(real + 1j * imaginary)),
        )
    if lead == (3,):
        close(ops.ifft2((real, imaginary)), np.fft.ifft2(real + 1j * imaginary))


@pytest.mark.parametrize("length", [None, 1, 4, 5, 8, 13])
@pytest.mark.parametrize("m", [2, 5, 8])
def test_lengths_cut_and_extend(m, length):
    x = drawn(2, m)
    close(ops.rfft(x, length), np.fft.rfft(x, length))
    half = np.fft.rfft(drawn(2, 2 * m - 2))
    result = ops.irfft((half.real.astype(np.float32), half.imag.astype(np.float32)), length)
    np.testing.assert_allclose(result.numpy(), np.fft.irfft(half, length), atol=1e-4)


@pytest.mark.parametrize("center", [False, True])
@pytest.mark.parametrize("window", ["hann", "hamming", None, "own"])
@pytest.mark.parametrize("length, stride, whole", [(8, 4, 8), (6, 3, 8), (5, 1, 16)])
def test_short_transforms_and_back(length, stride, whole, window, center):
    x = drawn(2, 40)
    own = np.hanning(length + 2)[1:-1].astype(np.float32) if window == "own" else window
    weights = (
        own if window == "own" else scipy.signal.get_window(window, length) if window else np.ones(whole)
    )
    if window:
        before = (whole - length) // 2
        weights = np.pad(weights, (before, whole - length - before))
    signal = np.pad(x, [(0, 0), (whole // 2,) * 2], mode="reflect") if center else x
    starts = range(0, signal.shape[-1] - whole + 1, stride)
    expected = np.stack([np.fft.rfft(signal[:, s : s + whole] * weights) for s in starts], axis=1)
    made = ops.stft(x, length, stride, whole, own, center)
    close(made, expected)
    back = ops.istft(made, length, stride, whole, length=None, window=own, center=center).numpy()
    inner = slice(whole, back.shape[-1] - whole)
    np.testing.assert_allclose(back[:, inner], x[:, : back.shape[-1]][:, inner], atol=1e-3)
    assert ops.istft(made, length, stride, whole, length=20, window=own, center=center).shape == (2, 20)


def test_gradients_are_the_transposed_transforms():
    """For a linear map A, the gradient of sum(w * A x) by x is the same for all x."""
    x, w = cnnrs.Variable(drawn(3, 9)), drawn(3, 5, seed=1)
    with cnnrs.GradientTape() as tape:
        real, imaginary = ops.rfft(x)
        total = ops.sum(real * w + imaginary * w[::-1])
    basis = np.fft.rfft(np.eye(9))
    expected = w @ basis.real.T + w[::-1] @ basis.imag.T
    np.testing.assert_allclose(tape.gradient(total, x).numpy(), expected, atol=1e-4)
    value, slope = ops.jvp(
        lambda v: ops.istft(ops.stft(v, 4, 2, 4), 4, 2, 4), [drawn(12)], [drawn(12, seed=2)]
    )
    np.testing.assert_allclose(slope.numpy(), drawn(12, seed=2)[: slope.shape[0]], atol=1e-4)


@pytest.mark.parametrize("length, stride, n", [(3, 2, 7), (4, 4, 9), (1, 3, 5), (5, 1, 5)])
def test_sequences_are_windows(length, stride, n):
    x = np.arange(2 * n, dtype=np.int32).reshape(2, n)
    expected = np.lib.stride_tricks.sliding_window_view(x, length, axis=1)[:, ::stride]
    result = ops.extract_sequences(x, length, stride)
    assert result.dtype == "int32"
    np.testing.assert_array_equal(result.numpy(), expected)


def test_models_of_unknown_batch():
    x = Input((16,))
    model = cnnrs.Model(x, list(ops.stft(x, 8, 4, 8)))
    assert [y.shape for y in model.outputs] == [(None, 5, 5)] * 2
    made = model.predict(drawn(3, 16), verbose=0)
    close([ops.array(y) for y in made], np.asarray(made[0]) + 1j * np.asarray(made[1]))


def test_halves_stay_halves():
    x = ops.cast(drawn(2, 8), "float16")
    assert {y.dtype for y in [*ops.rfft(x), *ops.fft((x, x)), ops.irfft((x, x))]} == {"float16"}


def test_complex_numbers_lie_in_numpys_arrays():
    pairs = drawn(2, 3, 2)
    values = ops.view_as_complex(pairs)
    assert values.dtype == np.complex64
    np.testing.assert_array_equal(ops.view_as_real(values).numpy(), pairs)
    np.testing.assert_array_equal(ops.view_as_real([1.0, 2.0]).numpy(), [[1.0, 0.0], [2.0, 0.0]])
    np.testing.assert_allclose(ops.polar(np.abs(values), np.angle(values)), values, rtol=1e-5)

    @cnnrs.function
    def traced(x):
        return ops.view_as_complex(x)

    with pytest.raises(TypeError, match="view_as_complex: there are no complex tensors"):
        traced(ops.array(pairs))


@pytest.mark.parametrize("call, message", [
    (lambda: ops.fft(np.ones(4)), "fft: x"),
    (lambda: ops.fft((np.ones(4), np.ones(3))), "fft: x"),
    (lambda: ops.fft2((np.ones(4), np.ones(4))), "fft2: x"),
    (lambda: ops.rfft(1.0), "rfft: x"),
    (lambda: ops.rfft(np.ones(4), 0), "rfft: fft_length"),
    (lambda: ops.stft(np.ones(9), 4, 0, 4), "sequence_stride"),
    (lambda: ops.stft(np.ones(9), 4, 2, 3), "fft_length"),
    (lambda: ops.stft(np.ones(9), 4, 2, 4, "kaiser"), "window"),
    (lambda: ops.stft(np.ones(9), 4, 2, 4, np.ones(3)), "window"),
    (lambda: ops.view_as_complex([1.0]), "must be size 2"),
    (lambda: ops.extract_sequences(np.ones(3), 4, 1), "extract_sequences: x"),
    (lambda: ops.istft((np.ones(3), np.ones(3)), 4, 2, 4), "istft: x"),
])  # fmt: skip
def test_wrong_arguments_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
