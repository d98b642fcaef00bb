"""The initializer of short-time Fourier transforms as convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs.initializers.initializer import Initializer

__all__ = ["STFT"]

# The windows that are sums of cosines: their coefficients, with alternating signs.
_COSINES = {
    "blackman": (0.42, 0.5, 0.08),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "boxcar": (1.0,),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
    "hamming": (0.54, 0.46),
    "hann": (0.5, 0.5),
    "hanning": (0.5, 0.5),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
}
# The others: functions of the distance from the middle, which is 1 at the ends.
_TAPERS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "barthann": lambda x: 0.62 - 0.24 * x + 0.38 * np.cos(np.pi * x),
    "bartlett": lambda x: 1.0 - x,
    "bohman": lambda x: (1.0 - x) * np.cos(np.pi * x) + np.sin(np.pi * x) / np.pi,
    "lanczos": np.sinc,
    "tukey": lambda x: np.where(x <= 0.5, 1.0, 0.5 - 0.5 * np.cos(2.0 * np.pi * x)),
}


class STFT(Initializer):
    """Kernels (frame, 1, frequencies) of a 1-D convolution that is a short-time Fourier transform.

    Args:
        side: "real" or "imag": the cosines or the sines.
        window: "hann", "hamming", "blackman", "blackmanharris", "nuttall", "flattop", "bartlett", "barthann",
            "bohman", "lanczos", "tukey" or "boxcar", an array of the length of a frame, or None.
        scaling: "density" divides by the root of the window's energy, "spectrum" by its sum, None by nothing.
        periodic: Whether the window is one period, instead of symmetric.

    Raises:
        ValueError: An argument is none of these; or, at the call, the shape does not have three axes or the
            window another length than the first.

    >>> from cnnrs import initializers
    >>> initializers.STFT("real", None)((4, 1, 3))[:, 0, 1].round(4).tolist()
    [1.0, 0.0, -1.0, -0.0]
    """

    def __init__(
        self,
        side: str = "real",
        window: Any = "hann",
        scaling: str | None = "density",
        periodic: bool = False,
    ):
        if side not in ("real", "imag"):
            raise ValueError(f"STFT: side: expected 'real' or 'imag', received {side!r}")
        if scaling not in ("density", "spectrum", None):
            raise ValueError(f"STFT: scaling: expected 'density', 'spectrum' or None, received {scaling!r}")
        self.side, self.window, self.scaling, self.periodic = side, window, scaling, periodic
        if isinstance(window, str) and window not in _COSINES and window not in _TAPERS:
            known = sorted([*_COSINES, *_TAPERS])
            raise ValueError(f"STFT: window: expected one of {known}, an array or None, received {window!r}")

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        if len(shape) != 3:
            raise ValueError(f"STFT: shape: expected (frame, 1, frequencies), received {tuple(shape)}")
        frame, _, frequencies = shape
        turns = np.arange(frequencies) / max(2 * (frequencies - 1), 1) * np.arange(frame)[:, None, None]
        kernel = (np.cos if self.side == "real" else np.sin)(-2.0 * np.pi * turns)
        if self.window is not None:
            window = self._window(frame)
            energy = {"density": np.sqrt((window**2).sum()), "spectrum": np.abs(window).sum(), None: 1.0}
            kernel = kernel * window[:, None, None] / energy[self.scaling]
        return np.broadcast_to(kernel, shape).astype(dtype or "float32")

    def _window(self, frame: int) -> np.ndarray:
        if not isinstance(self.window, str):
            window = np.asarray(self.window, np.float64)
            if window.shape != (frame,):
                raise ValueError(f"STFT: window: expected the shape ({frame},), received {window.shape}")
            return window
        count = frame if self.periodic else frame - 1
        if count == 0:
            return np.ones(1)
        place = np.arange(frame) / count
        if self.window in _TAPERS:
            return _TAPERS[self.window](np.abs(2.0 * place - 1.0))
        terms = enumerate(_COSINES[self.window])
        return np.sum([(-1) ** k * a * np.cos(2.0 * np.pi * k * place) for k, a in terms], axis=0)

    def get_config(self) -> dict[str, Any]:
        window = self.window
        plain = window if window is None or isinstance(window, str) else np.asarray(window).tolist()
        own = {"side": self.side, "window": plain, "scaling": self.scaling}
        return {**own, "periodic": self.periodic}
