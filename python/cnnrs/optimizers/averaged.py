"""Update rules that compute with another sequence than the weights: FTRL and schedule-free AdamW."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import integer, number
from cnnrs.initializers import Constant
from cnnrs.ops import raw
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.optimizers.schedules.schedule import power

__all__ = ["Ftrl", "ScheduleFreeAdamW"]


class Ftrl(Optimizer):
    """Follow the regularized leader: weights are 0 unless gradients say much (McMahan et al. 2013).

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        learning_rate_power: At most 0: the exponent with which the rate falls; 0 for a fixed one.
        initial_accumulator_value: Where the sums of squared gradients start.
        l1_regularization_strength: Weight of `|w|`.
        l2_regularization_strength: Weight of `w²`.
        l2_shrinkage_regularization_strength: Weight of `w²` whose gradient adds to the loss's.
        beta: Added to what the rate is divided by.
        **kwargs: None; the other arguments are those of `Optimizer`.

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Ftrl(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        learning_rate_power: float = -0.5,
        initial_accumulator_value: float = 0.1,
        l1_regularization_strength: float = 0.0,
        l2_regularization_strength: float = 0.0,
        l2_shrinkage_regularization_strength: float = 0.0,
        beta: float = 0.0,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.learning_rate_power = number(learning_rate_power, self, "learning_rate_power", most=0)
        for argument, value in (
            ("initial_accumulator_value", initial_accumulator_value),
            ("l1_regularization_strength", l1_regularization_strength),
            ("l2_regularization_strength", l2_regularization_strength),
            ("l2_shrinkage_regularization_strength", l2_shrinkage_regularization_strength),
            ("beta", beta),
        ):
            number(value, self, argument, least=0)
        self.initial_accumulator_value = initial_accumulator_value
        self.l1_regularization_strength = l1_regularization_strength
        self.l2_regularization_strength = l2_regularization_strength
        self.l2_shrinkage_regularization_strength = l2_shrinkage_regularization_strength
        self.beta = beta

    def build(self, variables: Any) -> None:
        super().build(variables)
        start = [Constant(self.initial_accumulator_value), "zeros"]
        names = ["accumulator", "linear"]
        self._sums, self._linears = self.add_optimizer_variables(variables, names, start)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        total, linear = self._sums[i], self._linears[i]
        power, strength = -float(self.learning_rate_power), float(self.l1_regularization_strength)
        shrinkage = 2.0 * float(self.l2_shrinkage_regularization_strength)
        ridge = float(self.l2_regularization_strength) + float(self.beta) / (2.0 * learning_rate)
        added = total + raw.square(gradient)
        steps = raw.pow(added, power) - raw.pow(total, power)
        moved = linear + gradient + shrinkage * variable - steps / learning_rate * variable
        curvature = raw.pow(added, power) / learning_rate + 2.0 * ridge
        linear.assign(moved)
        variable.assign((raw.clip(moved, min=-strength, max=strength) - moved) / curvature)
        total.assign(added)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "learning_rate_power": self.learning_rate_power,
            "initial_accumulator_value": self.initial_accumulator_value,
            "l1_regularization_strength": self.l1_regularization_strength,
            "l2_regularization_strength": self.l2_regularization_strength,
            "l2_shrinkage_regularization_strength": self.l2_shrinkage_regularization_strength,
            "beta": self.beta,
        }


class ScheduleFreeAdamW(Optimizer):
    """AdamW that averages its steps and needs no learning-rate schedule (Defazio et al. 2024).

    The variables are where gradients are taken: between the mean of all steps and the last of them.

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        beta_1: Share of the mean in the point where gradients are taken.
        beta_2: Decay of the second moment.
        epsilon: Added to the root.
        warmup_steps: Steps over which the learning rate rises from 0.
        **kwargs: None; the other arguments are those of `Optimizer`.

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.ScheduleFreeAdamW(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.0025,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        warmup_steps: int = 0,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            learning_rate,
            weight_decay,
            clipnorm,
            clipvalue,
            global_clipnorm,
            use_ema,
            ema_momentum,
            ema_overwrite_frequency,
            loss_scale_factor,
            gradient_accumulation_steps,
            name,
            **kwargs,
        )
        self.beta_1 = number(beta_1, self, "beta_1", above=0, most=1)
        self.beta_2 = number(beta_2, self, "beta_2", least=0, below=1)
        self.epsilon = number(epsilon, self, "epsilon", least=0)
        self.warmup_steps = integer(warmup_steps, self, "warmup_steps", least=0)

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        for last, variable in zip(self._momentums, self._trainable_variables, strict=True):
            last.assign(variable.value.astype(last.dtype))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        step = (self._updates() + 1).astype("float32")
        last, v = self._momentums[i], self._velocities[i]
        if self.warmup_steps:
            learning_rate = learning_rate * raw.minimum(step / float(self.warmup_steps), 1.0)
        v.assign(v + (raw.square(gradient) - v) * (1.0 - self.beta_2))
        second = v.value / (1.0 - power(self.beta_2, step))
        share = float(self.beta_1)
        mean = (variable - (1.0 - share) * last) / share
        last.assign(last - learning_rate * gradient / (raw.sqrt(second) + float(self.epsilon)))
        mean = (1.0 - 1.0 / step) * mean + last.value / step
        variable.assign((1.0 - share) * last + share * mean)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "warmup_steps": self.warmup_steps,
        }
