"""Classic filters as layers: depthwise convolutions whose kernels are fixed, unless they are set free."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import ops
from cnnrs.base.arguments import choice, flag, number
from cnnrs.layers.base import Layer
from cnnrs.layers.input_spec import InputSpec
from cnnrs.ops.image import gabor_bank, kernels
from cnnrs.ops.image.filtering import OUTPUTS, check_border, filtered, of_slopes
from cnnrs.ops.image.filters import gaussian
from cnnrs.ops.spatial import image_data_format

__all__ = ["GaborBank2D", "GaussianBlur2D", "Laplacian2D", "Prewitt2D", "Scharr2D", "Sobel2D"]


class _Filter2D(Layer):
    """A layer that filters each channel for itself, with kernels of a formula.

    Height and width stay as they are.
    """

    def __init__(
        self, fill_mode: str, fill_value: float, trainable: bool, data_format: str | None, **kwargs: Any
    ):
        super().__init__(trainable=flag(trainable, type(self).__name__, "trainable"), **kwargs)
        self.fill_mode, self.fill_value = fill_mode, check_border(self.name, fill_mode, fill_value)
        self.data_format = image_data_format(data_format, self.name)
        self.input_spec = InputSpec(ndim=4)

    def _kernel(self) -> np.ndarray:
        """The kernels of one channel, (rows, columns, filters)."""
        raise NotImplementedError

    def build(self, input_shape: Any) -> None:
        axis = -1 if self.data_format == "channels_last" else 1
        channels = input_shape[axis]
        if channels is None:
            raise ValueError(
                f"{self.name}: expected a known number of channels, received shape {input_shape}"
            )
        self._add_kernels(channels)
        self.input_spec = InputSpec(ndim=4, axes={axis: channels})

    def _add_kernels(self, channels: int) -> None:
        self.kernel = self._fixed("kernel", self._kernel(), channels)

    def _fixed(self, name: str, kernel: np.ndarray, channels: int) -> Any:
        """A weight of each channel, which starts as the kernel."""
        rows, columns, filters = kernel.shape
        shape = (rows, columns, channels, filters)
        start = np.broadcast_to(kernel[:, :, None], shape).astype(np.float32)
        return self.add_weight(name=name, shape=shape, initializer=lambda shape, dtype=None: start)

    def call(self, inputs: Any) -> Any:
        first = self.data_format == "channels_first"
        x = ops.transpose(inputs, (0, 2, 3, 1)) if first else inputs
        y = self._filtered(x)
        return ops.transpose(y, (0, 3, 1, 2)) if first else y

    def _filtered(self, x: Any) -> Any:
        """The result of images with the channels last."""
        return filtered(self.name, x, ops.convert_to_tensor(self.kernel), self.fill_mode, self.fill_value)

    def get_config(self) -> dict[str, Any]:
        own = {"fill_mode": self.fill_mode, "fill_value": self.fill_value, "data_format": self.data_format}
        return {**super().get_config(), **own}


_OF_DERIVATIVES = """What `ops.image.{name}` computes, as a layer of fixed weights.

    Args:
        output: "magnitude" for `sqrt(x² + y²)`; "direction" for the angle of the steepest rise in radians;
            "x" for the change to the right; "y" for that downwards; "xy" for both, with the channels of x
            before those of y.
        normalize: Whether a ramp that grows by 1 a pixel has a derivative of 1, instead of whole numbers in
            the kernels.
        fill_mode: What lies beyond the borders: "reflect", "mirror", "nearest", "wrap" or "constant", as in
            `ops.image.{name}`.
        fill_value: That, with "constant".
        trainable: Whether the kernels are trained from there on.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        **kwargs: As for `Layer`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width).

    Output shape:
        That of the input; twice the channels with "xy".

    Weights: kernel (3, 3, channels, 2), for x and y of each channel; not trainable by default.

    Raises:
        ValueError: An argument is none of these.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> ramp = np.arange(9.0, dtype="float32").reshape(1, 3, 3, 1)
    >>> layers.{kind}("x", normalize=True)(ramp)[0, 1, 1, 0].item()
    1.0
    """


class _Derivative2D(_Filter2D):
    """A layer of two derivatives."""

    _name_of_filter = ""

    def __init_subclass__(cls, **kwargs: Any):
        super().__init_subclass__(**kwargs)
        cls.__doc__ = _OF_DERIVATIVES.format(name=cls._name_of_filter, kind=cls.__name__)

    def __init__(
        self,
        output: str = "magnitude",
        normalize: bool = False,
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        trainable: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, fill_value, trainable, data_format, **kwargs)
        choice(output, self.name, "output", OUTPUTS)
        self.output_kind = output
        self.normalize = flag(normalize, self.name, "normalize")

    def _kernel(self) -> np.ndarray:
        return kernels.derivative(self._name_of_filter, self.normalize)

    def _filtered(self, x: Any) -> Any:
        kernel = ops.convert_to_tensor(self.kernel)
        return of_slopes(self.name, x, kernel, self.output_kind, self.fill_mode, self.fill_value)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "output": self.output_kind, "normalize": self.normalize}


class Sobel2D(_Derivative2D):
    _name_of_filter = "sobel"


class Scharr2D(_Derivative2D):
    _name_of_filter = "scharr"


class Prewitt2D(_Derivative2D):
    _name_of_filter = "prewitt"


class Laplacian2D(_Filter2D):
    """The sum of differences of each pixel's neighbours from it, as a layer of fixed weights.

    Args:
        neighbors: 4, or 8 for the diagonal ones, too.
        fill_mode: What lies beyond the borders: "reflect", "mirror", "nearest", "wrap" or "constant", as in
            `ops.image.sobel`.
        fill_value: That, with "constant".
        trainable: Whether the kernels are trained from there on.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        **kwargs: As for `Layer`.

    Input and output shape:
        (batch, height, width, channels), or (batch, channels, height, width).

    Weights: kernel (3, 3, channels, 1), not trainable by default.

    Raises:
        ValueError: An argument is none of these.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> spot = np.zeros((1, 3, 3, 1), "float32")
    >>> spot[0, 1, 1] = 1.0
    >>> layers.Laplacian2D(8)(spot)[0, :, :, 0].tolist()
    [[1.0, 1.0, 1.0], [1.0, -8.0, 1.0], [1.0, 1.0, 1.0]]
    """

    def __init__(
        self,
        neighbors: int = 4,
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        trainable: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, fill_value, trainable, data_format, **kwargs)
        if isinstance(neighbors, bool) or neighbors not in (4, 8):
            raise ValueError(f"{self.name}: neighbors: expected 4 or 8, received {neighbors!r}")
        self.neighbors = neighbors

    def _kernel(self) -> np.ndarray:
        return kernels.laplacian_kernel(self.neighbors)[:, :, None]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "neighbors": self.neighbors}


class GaussianBlur2D(_Filter2D):
    """The mean of each pixel's neighbours, weighted by a Gaussian, as a layer of fixed weights.

    Two filters of one row and one column do it. Before a layer with steps it keeps what is finer than these
    from coming back as something coarser (Zhang 2019, "Making Convolutional Networks Shift-Invariant Again",
    arXiv:1904.11486). `RandomGaussianBlur` is the augmentation.

    Args:
        sigma: Standard deviation in pixels, above 0.
        truncate: How many deviations the filters reach to each side, above 0.
        fill_mode: What lies beyond the borders: "reflect", "mirror", "nearest", "wrap" or "constant", as in
            `ops.image.sobel`.
        fill_value: That, with "constant".
        trainable: Whether the kernels are trained from there on.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        **kwargs: As for `Layer`.

    Input and output shape:
        (batch, height, width, channels), or (batch, channels, height, width).

    Weights: vertical_kernel (size, 1, channels, 1), horizontal_kernel (1, size, channels, 1), where the size
    is `2 floor(truncate · sigma + ½) + 1`; not trainable by default.

    Raises:
        ValueError: An argument is none of these.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> spot = np.zeros((1, 9, 9, 1), "float32")
    >>> spot[0, 4, 4] = 1.0
    >>> print(layers.GaussianBlur2D(1.0)(spot)[0, 4, 3:6, 0].numpy().round(4))
    [0.0965 0.1592 0.0965]
    """

    def __init__(
        self,
        sigma: float = 1.0,
        truncate: float = 4.0,
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        trainable: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, fill_value, trainable, data_format, **kwargs)
        self.sigma = number(sigma, self.name, "sigma", above=0)
        self.truncate = number(truncate, self.name, "truncate", above=0)
        self._radius = kernels.reach(self.sigma, self.truncate, self.name)

    def _add_kernels(self, channels: int) -> None:
        weights = gaussian(2 * self._radius + 1, self.sigma)
        self.vertical_kernel = self._fixed("vertical_kernel", weights[:, None, None], channels)
        self.horizontal_kernel = self._fixed("horizontal_kernel", weights[None, :, None], channels)

    def _filtered(self, x: Any) -> Any:
        for kernel in (self.vertical_kernel, self.horizontal_kernel):
            x = filtered(self.name, x, ops.convert_to_tensor(kernel), self.fill_mode, self.fill_value)
        return x

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "sigma": self.sigma, "truncate": self.truncate}


class GaborBank2D(_Filter2D):
    """Waves under a Gaussian of several frequencies and directions, as a layer of fixed weights.

    First layers of networks that see photographs learn filters like these.

    Args:
        frequencies: Cycles a pixel, above 0 and up to 0.5: one number or several.
        orientations: How many directions, evenly over half a turn, or their angles in radians from the right
            downwards.
        bandwidth: Width of the spectrum at half of its height in octaves, above 0.
        aspect: Deviation along the wave over that across, above 0.
        phase: Of the wave at the centre in radians.
        kernel_size: Rows and columns, an integer or two; None for 3 deviations on each side of the widest
            filter.
        output: "real" for the filters with the cosine, "imaginary" for those with the sine, or "magnitude",
            which hardly depends on where stripes lie.
        fill_mode: What lies beyond the borders: "reflect", "mirror", "nearest", "wrap" or "constant", as in
            `ops.image.sobel`.
        fill_value: That, with "constant".
        trainable: Whether the kernels are trained from there on.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        **kwargs: As for `Layer`.

    Input shape:
        (batch, height, width, channels), or (batch, channels, height, width).

    Output shape:
        The same with `channels * filters` channels: for each one all directions of the first frequency, and
        so on.

    Weights: kernel (rows, columns, channels, filters), with "magnitude" also odd_kernel of that shape; not
    trainable by default.

    Raises:
        ValueError: An argument is none of these.

    Reference:
        Daugman 1985, "Uncertainty relation for resolution in space, spatial frequency, and orientation
        optimized by two-dimensional visual cortical filters", JOSA A 2(7).

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> bank = layers.GaborBank2D(frequencies=(0.1, 0.2), orientations=4, kernel_size=15)
    >>> bank(np.zeros((1, 32, 32, 3), "float32")).shape
    (1, 32, 32, 24)
    """

    def __init__(
        self,
        frequencies: Any = (0.125, 0.25),
        orientations: Any = 4,
        bandwidth: float = 1.0,
        aspect: float = 1.0,
        phase: float = 0.0,
        kernel_size: Any = None,
        output: str = "real",
        fill_mode: str = "reflect",
        fill_value: float = 0.0,
        trainable: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(fill_mode, fill_value, trainable, data_format, **kwargs)
        choice(output, self.name, "output", gabor_bank.OUTPUTS)
        self.output_kind = output
        self._given = {
            "frequencies": _plain(frequencies),
            "orientations": _plain(orientations),
            "bandwidth": bandwidth,
            "aspect": aspect,
            "phase": phase,
            "kernel_size": _plain(kernel_size),
        }
        self._bank = gabor_bank.bank(**self._given, owner=self.name)

    def _add_kernels(self, channels: int) -> None:
        even, odd = self._bank
        self.kernel = self._fixed("kernel", odd if self.output_kind == "imaginary" else even, channels)
        self.odd_kernel = None
        if self.output_kind == "magnitude":
            self.odd_kernel = self._fixed("odd_kernel", odd, channels)

    def _filtered(self, x: Any) -> Any:
        y = super()._filtered(x)
        if self.odd_kernel is None:
            return y
        odd = filtered(self.name, x, ops.convert_to_tensor(self.odd_kernel), self.fill_mode, self.fill_value)
        return gabor_bank.energy(y, odd)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._given, "output": self.output_kind}


def _plain(value: Any) -> Any:
    """A number, or a list of numbers."""
    return np.asarray(value).tolist() if isinstance(value, (list, tuple, np.ndarray)) else value
