"""One element of each window, drawn by the size of the activations."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.layers.pooling.taps import channels_first, channels_last, taps
from cnnrs.layers.pooling.windows import Pooling
from cnnrs.ops import raw
from cnnrs.random import SeedGenerator

__all__ = ["StochasticPooling2D"]


class StochasticPooling2D(Pooling):
    """One element of each window, drawn with a probability in proportion to its activation.

    In training, element i of a window is its output with probability `p_i = a_i / (a_1 + ... + a_k)`, and
    the gradient goes to the drawn element. In inference the output is the expectation, `sum(p_i * a_i)`,
    which is `sum(a_i^2) / sum(a_i)`. Activations are those of a ReLU: what is negative counts as 0, and is
    never drawn. A window without a positive element gives 0.

    Windows draw independently of one another, also where they overlap.

    Args:
        pool_size: Height and width of the window, a number or a pair.
        strides: Step of the window; None for the window's size.
        padding: "valid" or "same"; what is beyond the border is never drawn.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.

    Input shape: (batch, height, width, channels). Output shape: that of `MaxPooling2D`.

    Raises:
        ValueError: An argument is none of the above, or the window does not fit into the image.

    Reference:
        Zeiler and Fergus 2013, "Stochastic pooling for regularization of deep convolutional neural
        networks", arXiv:1301.3557, equations 4 to 6.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.StochasticPooling2D(seed=1)
    >>> x = np.array([[1.0, 3.0], [0.0, -5.0]]).reshape(1, 2, 2, 1)
    >>> layer(x).item()
    2.5
    >>> drawn = [layer(x, training=True).item() for _ in range(100)]
    >>> sorted(set(drawn)), 60 < drawn.count(3.0) < 90
    ([1.0, 3.0], True)
    """

    # Sums of squares are larger than 16 bits hold.
    _widens = True

    def __init__(
        self,
        pool_size: Any = (2, 2),
        strides: Any = None,
        padding: str = "valid",
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(pool_size, strides, padding, data_format, **kwargs)
        self.seed = seed
        self.seed_generator = SeedGenerator(seed)

    def call(self, inputs: Any, training: Any = False) -> Any:
        activations = ops.relu(inputs)
        return self._drawn(activations) if training else self._expected(activations)

    def _expected(self, activations: Any) -> Any:
        squares, plain = (
            ops.average_pool(a, *self._window()) for a in (ops.square(activations), activations)
        )
        return squares / ops.where(plain > 0, plain, 1.0)

    def _drawn(self, activations: Any) -> Any:
        """The first element at which the running sum exceeds a random part of the whole."""
        images = channels_last(activations, self.data_format)
        seen = taps(images, self.pool_size, self.strides, self.padding, 0.0)
        running = [seen[0]]
        for element in seen[1:]:
            running.append(running[-1] + element)
        draws = raw.random_uniform(self.seed_generator.next(), shape=list(seen[0].shape))
        limit = draws * running[-1]
        drawn = seen[-1]
        for element, sum_so_far in list(zip(seen, running, strict=True))[-2::-1]:
            drawn = ops.where(sum_so_far > limit, element, drawn)
        return channels_first(drawn, self.data_format)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "seed": self.seed}
