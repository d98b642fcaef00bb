"""The initializer of short-time Fourier transforms as convolutions."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.initializers.initializer import Initializer

__all__ = ["STFT"]

# The windows that are sums of cosines: their coefficients, with alternating signs.
_COSINES = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hanning": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
}


class STFT(Initializer):
    """Kernels (frame, 1, frequencies) of a 1-D convolution that is a short-time Fourier transform.

    Args:
        side: "real" or "imag": the cosines or the sines.
        window: "hann", "hamming", "blackman" or "boxcar", another window of `scipy.signal` if that is there,
            an array of the length of a frame, or None.
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
        if isinstance(window, str):
            self._window(8)

    def __call__(self, shape: Any, dtype: Any = None) -> np.ndarray:
        if len(shape) != 3:
            raise ValueError(f"STFT: shape: expected (frame, 1, frequencies), received {tuple(shape)}")
        frame, _, frequencies = shape
        turns = np.arange(frequencies) / (2 * (frequencies - 1)) * np.arange(frame)[:, None, None]
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
        if self.window not in _COSINES:
            return self._of_scipy(frame)
        angle = 2.0 * np.pi * np.arange(frame) / max(frame if self.periodic else frame - 1, 1)
        terms = enumerate(_COSINES[self.window])
        return np.sum([(-1) ** k * a * np.cos(k * angle) for k, a in terms], axis=0)

    def _of_scipy(self, frame: int) -> np.ndarray:
        try:
            from scipy import signal  # type: ignore[import-untyped,unused-ignore]
        except ImportError:
            raise ValueError(
                f"STFT: window: expected one of {sorted(_COSINES)}, of which scipy has more, "
                f"received {self.window!r}"
            ) from None
        try:
            return np.asarray(signal.get_window(self.window, frame, self.periodic))
        except ValueError as error:
            raise ValueError(f"STFT: window: {self.window!r}: {error}") from error

    def get_config(self) -> dict[str, Any]:
        window = self.window
        plain = window if window is None or isinstance(window, str) else np.asarray(window).tolist()
        own = {"side": self.side, "window": plain, "scaling": self.scaling}
        return {**own, "periodic": self.periodic}
