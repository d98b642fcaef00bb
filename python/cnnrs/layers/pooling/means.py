"""Means of powers, between the mean and the maximum: Lp pooling and the generalized mean."""

from __future__ import annotations

import math
from typing import Any

from cnnrs import initializers, ops
from cnnrs.base.arguments import choice, flag, number
from cnnrs.layers.pooling.everywhere import GlobalPooling
from cnnrs.layers.pooling.weights import channel_weights, channels_of
from cnnrs.layers.pooling.windows import Pooling
from cnnrs.ops.roots import root

__all__ = ["GeMPooling2D", "GlobalGeMPooling2D", "GlobalLpPooling2D", "LpPooling2D"]


def _order(p: Any, layer: str) -> float:
    """The order of a norm: a number of at least 1, or infinity."""
    if isinstance(p, (int, float)) and p == math.inf:
        return math.inf
    try:
        return number(p, layer, "p", least=1)
    except ValueError:
        raise ValueError(f"{layer}: p: expected a number >= 1, or infinity, received {p!r}") from None


# The least normal float32: means of powers below it are 0, whose logarithm is infinite.
_LEAST = 1.1754944e-38
# Products are faster than exponentials and logarithms, and these than powers.
_LARGEST_PRODUCT = 8


def _power(x: Any, p: float) -> Any:
    """`abs(x) ** p`."""
    if not p.is_integer() or p > _LARGEST_PRODUCT:
        return _beside_zero(ops.abs(x), p)
    square, n = ops.square(x), int(p)
    power = ops.abs(x) if n % 2 else None
    for _ in range(n // 2):
        power = square if power is None else power * square
    return power


def _root(x: Any, p: float) -> Any:
    """`x ** (1 / p)` of what is not negative. Its gradient at 0 is 0."""
    if p == 1:
        return x
    return root(x) if p == 2 else _beside_zero(x, 1.0 / p)


def _beside_zero(x: Any, exponent: float) -> Any:
    """`x ** exponent` of what is not negative; the logarithm never sees 0."""
    zero = ops.equal(x, 0.0)
    return ops.where(zero, 0.0, ops.exp(ops.log(ops.where(zero, 1.0, x)) * exponent))


class LpPooling2D(Pooling):
    """The Lp norm of each window: `sum(abs(x)^p)^(1/p)`, or with `mean` that of the mean in place of the sum.

    With p = 1 it is the sum of magnitudes, with infinity the largest magnitude. Where all elements are 0 the
    gradient is 0. Powers are computed in float32: `abs(x)^p` must not exceed 3.4e38.

    Args:
        p: The order, a number of at least 1 or `math.inf`.
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same"; what is beyond the border does not count.
        mean: Whether sums are divided by the number of elements, so that the result does not grow with the
            window.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    Input shape: (batch, height, width, channels). Output shape: that of `MaxPooling2D`.

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Sermanet, Chintala and LeCun 2012, "Convolutional neural networks applied to house numbers digit
        classification", arXiv:1204.3968, section 2.2, with equal weights. With the mean: Gulcehre, Cho,
        Pascanu and Bengio 2014, "Learned-norm pooling for deep feedforward and recurrent neural networks",
        arXiv:1311.1780, equation 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.array([3.0, 0.0, -4.0, 0.0]).reshape(1, 2, 2, 1)
    >>> layers.LpPooling2D(2)(x).item(), layers.LpPooling2D(2, mean=True)(x).item()
    (5.0, 2.5)
    """

    # Powers are larger than 16 bits hold.
    _widens = True

    def __init__(
        self,
        p: float = 2.0,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        mean: bool = False,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.p = _order(p, self.name)
        self.mean = flag(mean, self.name, "mean")

    def call(self, inputs: Any) -> Any:
        if self.p == math.inf:
            return ops.max_pool(ops.abs(inputs), *self._window())
        powers = _power(inputs, self.p)
        means = ops.average_pool(powers, *self._window(), count_include_pad=not self.mean)
        return _root(means if self.mean else means * math.prod(self.pool_size), self.p)

    def get_config(self) -> dict[str, Any]:
        return {"p": self.p, **super().get_config(), "mean": self.mean}


class GlobalLpPooling2D(GlobalPooling):
    """The Lp norm of each channel over all places, or with `mean` that of the mean in place of the sum.

    Args:
        p: The order, a number of at least 1 or `math.inf`.
        mean: Whether sums are divided by the number of places, so that the result does not grow with the
            image.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        keepdims: Whether height and width stay, with extent 1.

    Input shape: (batch, height, width, channels). Output shape: (batch, channels).

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        As for `LpPooling2D`, with all places as one window.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.GlobalLpPooling2D()(np.array([3.0, 0.0, -4.0, 0.0]).reshape(1, 2, 2, 1)).tolist()
    [[5.0]]
    """

    _widens = True

    def __init__(
        self,
        p: float = 2.0,
        mean: bool = False,
        data_format: str | None = None,
        keepdims: bool = False,
        **kwargs: Any,
    ):
        super().__init__(data_format, keepdims, **kwargs)
        self.p = _order(p, self.name)
        self.mean = flag(mean, self.name, "mean")

    def call(self, inputs: Any) -> Any:
        if self.p == math.inf:
            return ops.max(ops.abs(inputs), self._axes(), self.keepdims)
        reduce = ops.mean if self.mean else ops.sum
        return _root(reduce(_power(inputs, self.p), self._axes(), self.keepdims), self.p)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "p": self.p, "mean": self.mean}


class _GeneralizedMean:
    """`mean(max(x, epsilon)^p)^(1/p)`, with p a weight or a number."""

    name: str
    data_format: str

    def _take_exponent(self, p: Any, per: Any, learn_p: Any, epsilon: Any) -> None:
        self.p = number(p, self.name, "p", above=0)
        self.per = choice(per, self.name, "per", ("layer", "channel"))
        self.learn_p = flag(learn_p, self.name, "learn_p")
        self.epsilon = number(epsilon, self.name, "epsilon", above=0)
        if self.per == "channel" and not self.learn_p:
            raise ValueError(f"{self.name}: per: expected 'layer' where p is not learnt, received 'channel'")
        self.exponent: Any = None

    def build(self: Any, input_shape: Any) -> None:
        channels = channels_of(self, input_shape)
        if self.learn_p:
            self.exponent = self.add_weight(
                shape=(channels if self.per == "channel" else 1,),
                initializer=initializers.Constant(self.p),
                name="p",
            )

    def _generalized(self, inputs: Any, mean: Any) -> Any:
        """The generalized mean, for `mean` that gives those of powers."""
        base = ops.maximum(inputs, self.epsilon)
        # Powers of shares of the channel's largest element do not overflow.
        places = (1, 2) if self.data_format == "channels_last" else (2, 3)
        largest = ops.stop_gradient(ops.max(base, places, keepdims=True))
        shares = base / largest
        if self.exponent is None:
            return largest * _root(mean(_power(shares, self.p)), self.p)
        # What exponentials and logarithms do for positive numbers takes a third of the time of powers.
        p = channel_weights(self.exponent, self.data_format)
        powers = ops.maximum(mean(ops.exp(ops.log(shares) * p)), _LEAST)
        return largest * ops.exp(ops.log(powers) / p)

    def _exponent_config(self) -> dict[str, Any]:
        return {"p": self.p, "per": self.per, "learn_p": self.learn_p, "epsilon": self.epsilon}


class GeMPooling2D(_GeneralizedMean, Pooling):
    """The generalized mean of each window: `mean(x^p)^(1/p)`, with a learnt p.

    With p = 1 it is the mean, and the larger p, the closer it is to the maximum. Powers are those of shares
    of the channel's largest element, and means of them below 1.2e-38 count as that.

    Args:
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same"; what is beyond the border does not count.
        p: Where the exponent starts, a number > 0.
        per: What has an exponent of its own: the "layer", or each "channel".
        learn_p: Whether the exponent is a weight.
        epsilon: What smaller elements count as: powers need positive numbers.
        data_format: "channels_last" or "channels_first"; None takes the configured one.

    Input shape: (batch, height, width, channels). Output shape: that of `AveragePooling2D`.

    Weights: p, of shape (1,) or (channels,), if it is learnt.

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Radenovic, Tolias and Chum 2018, "Fine-tuning CNN image retrieval with no human annotation",
        arXiv:1711.02512, equation 3, here window by window.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 2, 1)
    >>> print(round(layers.GeMPooling2D()(x).item(), 4))
    2.924
    """

    _widens = True

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        p: float = 3.0,
        per: str = "layer",
        learn_p: bool = True,
        epsilon: float = 1e-6,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self._take_exponent(p, per, learn_p, epsilon)

    def call(self, inputs: Any) -> Any:
        return self._generalized(inputs, lambda powers: ops.average_pool(powers, *self._window()))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._exponent_config()}


class GlobalGeMPooling2D(_GeneralizedMean, GlobalPooling):
    """The generalized mean of each channel over all places: `mean(x^p)^(1/p)`, with a learnt p.

    Descriptors of images that are compared or retrieved come of it: it weighs a few strong places more than
    the mean, and more of them than the maximum.

    Args:
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        keepdims: Whether height and width stay, with extent 1.
        p: Where the exponent starts, a number > 0.
        per: What has an exponent of its own: the "layer", or each "channel".
        learn_p: Whether the exponent is a weight.
        epsilon: What smaller elements count as: powers need positive numbers.

    Input shape: (batch, height, width, channels). Output shape: (batch, channels).

    Weights: p, of shape (1,) or (channels,), if it is learnt.

    Raises:
        ValueError: An argument is none of the above.

    Reference:
        Radenovic, Tolias and Chum 2018, "Fine-tuning CNN image retrieval with no human annotation",
        arXiv:1711.02512, equation 3.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 2, 2, 1)
    >>> print(layers.GlobalGeMPooling2D()(x).numpy().round(4))
    [[2.924]]
    """

    _widens = True

    def __init__(
        self,
        data_format: str | None = None,
        keepdims: bool = False,
        p: float = 3.0,
        per: str = "layer",
        learn_p: bool = True,
        epsilon: float = 1e-6,
        **kwargs: Any,
    ):
        super().__init__(data_format, keepdims, **kwargs)
        self._take_exponent(p, per, learn_p, epsilon)

    def call(self, inputs: Any) -> Any:
        outputs = self._generalized(inputs, lambda powers: ops.mean(powers, self._axes(), True))
        return outputs if self.keepdims else ops.squeeze(outputs, tuple(self._axes()))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._exponent_config()}
