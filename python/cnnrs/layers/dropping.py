"""What residual networks leave out in training: blocks of feature maps, and whole branches."""

from __future__ import annotations

from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import flag, integer, integers, number
from cnnrs.layers.input_spec import InputSpec
from cnnrs.layers.regularization import _Random
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float
from cnnrs.ops.spatial import image_data_format
from cnnrs.optimizers import schedules

__all__ = ["DropBlock2D", "ShakeDrop", "StochasticDepth"]


def keep_branches(inputs: Any, draws: Any, kept: Any) -> Any:
    """`inputs / kept` where a draw of 0..1 is below `kept`, and 0 elsewhere.

    Args:
        inputs: Float tensor.
        draws: Uniform in 0..1, of a shape that broadcasts to that of `inputs`.
        kept: The share that stays, a number or a scalar tensor.
    """
    # No draw is below 0: the quotient of a share of 0 is never taken.
    factor = 1.0 / raw.maximum(kept, 1e-7)
    stays = draws < kept
    # 0 times an infinity is NaN: the factor alone does not drop a branch that overflowed.
    return raw.where(stays, inputs * raw.where(stays, factor, 0.0).astype(inputs.dtype), 0.0).astype(
        inputs.dtype
    )


class _ScheduledRate(_Random):
    """A layer whose rate is a number, or changes with the calls in training, which a weight then counts."""

    # Whether everything may be dropped.
    _all_may_go = True

    def __init__(self, rate: Any, ramp_steps: Any, seed: Any, **kwargs: Any):
        super().__init__(seed, **kwargs)
        self._schedule: schedules.LearningRateSchedule | None = None
        self.ramp_steps = (
            None if ramp_steps is None else integer(ramp_steps, self.name, "ramp_steps", least=1)
        )
        if isinstance(rate, schedules.LearningRateSchedule):
            if ramp_steps is not None:
                raise ValueError(
                    f"{self.name}: ramp_steps: expected None beside a schedule, received {ramp_steps!r}"
                )
            self.rate: Any = rate
            self._schedule = rate
        else:
            bound: dict[str, Any] = {"most": 1} if self._all_may_go else {"below": 1}
            self.rate = number(rate, self.name, "rate", least=0, **bound)
            if self.ramp_steps is not None:
                self._schedule = schedules.PolynomialDecay(0.0, self.ramp_steps, self.rate)
        if self._schedule is not None:
            self.step = self.add_weight(
                shape=(), initializer="zeros", dtype="int32", trainable=False, name="step"
            )

    def _is_idle(self, training: Any) -> bool:
        return not training or (self._schedule is None and self.rate == 0.0)

    def _rate_now(self) -> Any:
        if self._schedule is None:
            return self.rate
        return raw.clip(self._schedule(self.step.value).astype("float32"), min=0.0, max=1.0)

    def _next_rate(self, inputs: Any) -> Any:
        """The rate of this call in training; the next one is a step further, unless there are no samples."""
        rate = self._rate_now()
        if self._schedule is not None and inputs.shape[0] != 0:
            self.step.assign(self.step.value + 1)
        return rate

    def get_config(self) -> dict[str, Any]:
        fixed = not isinstance(self.rate, schedules.LearningRateSchedule)
        rate = self.rate if fixed else schedules.serialize(self.rate)
        return {**super().get_config(), "rate": rate, "ramp_steps": self.ramp_steps}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer with these arguments."""
        if isinstance(config.get("rate"), dict):
            config = {**config, "rate": schedules.deserialize(config["rate"])}
        return super().from_config(config)


class DropBlock2D(_ScheduledRate):
    """In training, sets square blocks of feature maps to 0 and scales the rest so that the mean stays.

    Neighbours in a feature map tell the same: what `Dropout` takes out at single places, a convolution reads
    beside them. Whole blocks take a feature away. With `γ = rate / b² · h w / ((h - b + 1)(w - b + 1))` each
    place where a block of b × b fits into a map of h × w is the corner of a dropped block. What is left is
    divided by the share of places that were kept in the batch. Blocks overlap, so that somewhat less than
    `rate` is dropped.

    Args:
        rate: The part that shall be dropped, from 0 to below 1; or a schedule of `optimizers.schedules`, of
            the calls in training so far, which are counted in the weight `step`.
        block_size: Sides of the blocks in pixels, an integer or a (height, width) pair.
        ramp_steps: Calls in training over which the rate rises linearly from 0 to `rate`, as the paper's
            scheduled DropBlock; None for the whole rate from the first call on.
        shared: Whether all channels of a sample lose the same blocks. The paper found blocks of their own for
            each channel, the default, to be better.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        seed: Integer; None draws one.
        **kwargs: As for `Layer`.

    Input and output: (batch, height, width, channels), or channels first. Weights: `step`, if the rate
    changes.

    Raises:
        ValueError: An argument is none of the above, or a block is larger than the map it meets.

    Reference:
        Ghiasi, Lin and Le 2018, "DropBlock: A regularization method for convolutional networks",
        arXiv:1810.12890, algorithm 1 and equation 1.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> x = np.ones((8, 12, 12, 16))
    >>> y = layers.DropBlock2D(0.25, block_size=3, seed=1)(x, training=True).numpy()
    >>> bool(abs(y.mean() - 1) < 1e-4), bool(0.15 < (y == 0).mean() < 0.25)
    (True, True)
    >>> ramped = layers.DropBlock2D(0.25, block_size=3, ramp_steps=1000)
    >>> bool((ramped(x, training=True).numpy() == 1).all()), int(ramped.step)
    (True, 1)
    """

    _all_may_go = False

    def __init__(
        self,
        rate: Any,
        block_size: Any = 7,
        ramp_steps: int | None = None,
        shared: bool = False,
        data_format: str | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(rate, ramp_steps, seed, **kwargs)
        sides = integers(block_size, self.name, "block_size", least=1)
        if len(sides) > 2:
            raise ValueError(
                f"{self.name}: block_size: expected an integer or a pair of them, received {block_size!r}"
            )
        self.block_size = (sides[0], sides[-1])
        self.shared = flag(shared, self.name, "shared")
        self.data_format = image_data_format(data_format, self.name)
        self.input_spec = InputSpec(ndim=4)

    def build(self, input_shape: Any) -> None:
        self._check_sides(input_shape)
        self.built = True

    def _check_sides(self, shape: Any) -> tuple[int, int]:
        height, width = shape[1:3] if self.data_format == "channels_last" else shape[2:4]
        for name, side, block in (("height", height, 0), ("width", width, 1)):
            if side is not None and side < self.block_size[block]:
                raise ValueError(
                    f"{self.name}: block_size: expected at most the {name} of the feature map, {side}, "
                    f"received {self.block_size[block]} for an input of shape {tuple(shape)}"
                )
        return height, width

    def call(self, inputs: Any, training: Any = False) -> Any:
        height, width = self._check_sides(inputs.shape)
        if self._is_idle(training):
            return inputs
        inputs = as_float(inputs)
        mask = self._kept(inputs, height, width)
        size = float(inputs.shape[0] * mask.shape[1] * mask.shape[2] * mask.shape[3])
        return inputs * (mask * (size / raw.maximum(raw.sum(mask), 1.0))).astype(inputs.dtype)

    def _kept(self, inputs: Any, height: int, width: int) -> Any:
        """1 at places that stay, and 0 in blocks."""
        down, across = self.block_size
        rows, columns = height - down + 1, width - across + 1
        probability = self._next_rate(inputs) * (height * width / (down * across * rows * columns))
        last = self.data_format == "channels_last"
        batch, channels = inputs.shape[0], 1 if self.shared else inputs.shape[-1 if last else 1]

        def images(rows: Any, columns: Any, ends: tuple[Any, Any]) -> list[Any]:
            return [ends[0], rows, columns, ends[1]] if last else [ends[0], ends[1], rows, columns]

        shape = images(rows, columns, (batch, channels))
        corners = raw.random_uniform(self.seed_generator.next(), shape=shape) < probability
        # Each place asks the corners of the blocks that would cover it.
        around = images((down - 1, down - 1), (across - 1, across - 1), ((0, 0), (0, 0)))
        blocks = ops.pad(corners.astype("float32"), around)
        for window in ((1, across), (down, 1)):
            if max(window) > 1:
                blocks = ops.max_pool(blocks, window, 1, "valid", self.data_format)
        return 1.0 - blocks

    def get_config(self) -> dict[str, Any]:
        own = {"block_size": self.block_size, "shared": self.shared, "data_format": self.data_format}
        return {**super().get_config(), **own}


class _Branch(_ScheduledRate):
    """A layer at the end of a residual branch that draws once for each sample, or once for the batch."""

    def __init__(self, rate: Any, per_sample: bool, ramp_steps: Any, seed: Any, **kwargs: Any):
        super().__init__(rate, ramp_steps, seed, **kwargs)
        self.per_sample = flag(per_sample, self.name, "per_sample")

    def _draws(self, inputs: Any) -> Any:
        batch = inputs.shape[0] if self.per_sample else 1
        return raw.random_uniform(self.seed_generator.next(), shape=[batch, *[1] * (inputs.ndim - 1)])

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "per_sample": self.per_sample}


class StochasticDepth(_Branch):
    """In training, drops a residual branch at random and divides it by `1 - rate` where it stays.

    It stands at the end of the branch: `x + StochasticDepth(rate)(branch(x))`. Where the branch is dropped,
    the network is a block less deep. The division keeps the mean, so that inference needs no factor: there
    the paper multiplies by the share kept. It lets the rate rise with depth: block l of L has
    `rate · l / L`.

    Args:
        rate: The part of the branches that is dropped, from 0 to 1; or a schedule, as for `DropBlock2D`.
        per_sample: Whether each sample has a draw of its own, as networks since EfficientNet have it; False
            for one draw for the batch, as the paper has it.
        ramp_steps: As for `DropBlock2D`.
        seed: Integer; None draws one.
        **kwargs: As for `Layer`.

    Input and output: (batch, ...). Weights: `step`, if the rate changes.

    Reference:
        Huang, Sun, Liu, Sedra and Weinberger 2016, "Deep networks with stochastic depth", arXiv:1603.09382.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> y = layers.StochasticDepth(0.5, seed=2)(np.ones((6, 2)), training=True)
    >>> sorted(set(map(tuple, y.tolist())))
    [(0.0, 0.0), (2.0, 2.0)]
    """

    def __init__(
        self,
        rate: Any,
        per_sample: bool = True,
        ramp_steps: int | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(rate, per_sample, ramp_steps, seed, **kwargs)

    def call(self, inputs: Any, training: Any = False) -> Any:
        if self._is_idle(training):
            return inputs
        inputs = as_float(inputs)
        return keep_branches(inputs, self._draws(inputs), 1.0 - self._next_rate(inputs))


class ShakeDrop(_Branch):
    """In training, disturbs a residual branch: other random factors forward than backward.

    With b of 0 or 1, which is 0 with probability `rate`, α and β uniform in their ranges, the branch is
    multiplied by `b + α - bα` and its gradient by `b + β - bβ`: where b is 1, nothing happens; where it is
    0, the branch gets the factor α and the gradient β. In inference it is multiplied by the mean,
    `1 - rate + rate · (α_min + α_max) / 2`. The paper lets the rate rise with depth as `StochasticDepth`.

    Args:
        rate: The probability of a disturbance, from 0 to 1; or a schedule, as for `DropBlock2D`, from whose
            value at the step reached inference takes its mean. The paper's last blocks have 0.5.
        alpha: Range of the factor forward, a pair of numbers.
        beta: Range of the factor of the gradient, a pair of numbers.
        per_sample: Whether each sample has draws of its own; False for one for the batch.
        ramp_steps: As for `DropBlock2D`.
        seed: Integer; None draws one.
        **kwargs: As for `Layer`.

    Input and output: (batch, ...). Weights: `step`, if the rate changes.

    Reference:
        Yamada, Iwamura, Akiba and Kise 2018, "ShakeDrop regularization for deep residual learning",
        arXiv:1802.02375, equation 6.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layer = layers.ShakeDrop(0.5, seed=1)
    >>> layer(np.ones((1, 2))).tolist()
    [[0.5, 0.5]]
    >>> factors = layer(np.ones((100, 1)), training=True).numpy()
    >>> bool(factors.min() >= -1), bool(0.3 < (factors == 1).mean() < 0.7)
    (True, True)
    """

    def __init__(
        self,
        rate: Any = 0.5,
        alpha: Any = (-1.0, 1.0),
        beta: Any = (0.0, 1.0),
        per_sample: bool = True,
        ramp_steps: int | None = None,
        seed: Any = None,
        **kwargs: Any,
    ):
        super().__init__(rate, per_sample, ramp_steps, seed, **kwargs)
        self.alpha = self._range(alpha, "alpha")
        self.beta = self._range(beta, "beta")

    def _range(self, given: Any, argument: str) -> tuple[float, float]:
        if not isinstance(given, (list, tuple)) or len(given) != 2:
            raise ValueError(f"{self.name}: {argument}: expected a pair of numbers, received {given!r}")
        low, high = (number(value, self.name, argument) for value in given)
        if low > high:
            raise ValueError(f"{self.name}: {argument}: expected a pair (least, most), received {given!r}")
        return low, high

    def call(self, inputs: Any, training: Any = False) -> Any:
        if training:
            if self._is_idle(training):
                return inputs
            inputs = as_float(inputs)
            stays = self._draws(inputs) >= self._next_rate(inputs)
            forward, backward = (
                raw.where(stays, 1.0, self._draws(inputs) * (high - low) + low).astype(inputs.dtype)
                for low, high in (self.alpha, self.beta)
            )
            return _with_factors(inputs, forward, backward)
        inputs = as_float(inputs)
        factor = 1.0 - self._rate_now() * (1.0 - sum(self.alpha) / 2)
        return inputs * (factor if self._schedule is None else factor.astype(inputs.dtype))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}


@ops.custom_gradient
def _with_factors(x: Any, forward: Any, backward: Any) -> Any:
    """`x · forward`, with the gradient of `x · backward`."""

    def grad(upstream: Any) -> Any:
        return upstream * backward, None, None

    return x * forward, grad
