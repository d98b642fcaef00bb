"""The update rules."""

from __future__ import annotations

from typing import Any

from cnnrs.base.arguments import number
from cnnrs.initializers import Constant
from cnnrs.ops import raw
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.optimizers.schedules.schedule import power


class SGD(Optimizer):
    """Gradient descent, with momentum: `v ← μv - ηg; w ← w + v` (or `w + μv - ηg` with Nesterov's).

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> optimizer = cnnrs.optimizers.SGD(0.1, momentum=0.9)
    >>> for _ in range(2):
    ...     optimizer.apply([[1.0]], [v])
    >>> v.numpy().round(4)
    array([0.71], dtype=float32)
    """

    def __init__(
        self,
        learning_rate: Any = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
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
        self.momentum, self.nesterov = number(momentum, self, "momentum", least=0, most=1), nesterov

    def build(self, variables: Any) -> None:
        super().build(variables)
        self.momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        step = gradient * learning_rate
        if not self.momentum:
            variable.assign(variable - step)
            return
        slot = self.momentums[self._index(variable)]
        moved = float(self.momentum) * slot - step
        slot.assign(moved)
        variable.assign(variable + (float(self.momentum) * moved - step if self.nesterov else moved))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}


class Adam(Optimizer):
    """First and second moments with bias correction (Kingma and Ba 2015, section 2's efficient form).

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root.
        amsgrad: Whether the largest second moment so far is used (Reddi et al. 2018).
        **kwargs: None; the other arguments are those of `Optimizer`.

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Adam(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
        self.beta_1 = number(beta_1, self, "beta_1", least=0, below=1)
        self.beta_2 = number(beta_2, self, "beta_2", least=0, below=1)
        self.epsilon, self.amsgrad = number(epsilon, self, "epsilon", least=0), amsgrad

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        if self.amsgrad:
            self._velocity_hats = self.add_optimizer_variables(variables, "velocity_hat")

    def _correction(self, beta: float) -> Any:
        """1 - β^t."""
        return 1.0 - power(beta, (self._updates() + 1).astype("float32"))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        m, v = self._momentums[i], self._velocities[i]
        alpha = learning_rate * raw.sqrt(self._correction(self.beta_2)) / self._correction(self.beta_1)
        m.assign(m + (gradient - m) * (1.0 - self.beta_1))
        v.assign(v + (raw.square(gradient) - v) * (1.0 - self.beta_2))
        second = v.value
        if self.amsgrad:
            hat = self._velocity_hats[i]
            hat.assign(raw.maximum(hat.value, second))
            second = hat.value
        variable.assign(variable - m * alpha / (raw.sqrt(second) + float(self.epsilon)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
            "amsgrad": self.amsgrad,
        }


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019).

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        weight_decay: Each step takes `learning_rate · weight_decay` of a weight off it.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root.
        amsgrad: Whether the largest second moment so far is used (Reddi et al. 2018).
        **kwargs: None; the other arguments are those of `Optimizer`.

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.AdamW(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
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
            beta_1,
            beta_2,
            epsilon,
            amsgrad,
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
        if self.weight_decay is None:
            raise ValueError(f"{self.name}: weight_decay: expected a number, received None")


class RMSprop(Optimizer):
    """Gradients over a moving root mean square (Tieleman and Hinton 2012, lecture 6.5).

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        rho: Decay of the mean square.
        momentum: Momentum of the step.
        epsilon: Added under the root.
        centered: Whether the variance is used instead of the mean square (Graves 2013).
        **kwargs: None; the other arguments are those of `Optimizer`.

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.RMSprop(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
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
        self.rho = number(rho, self, "rho", least=0, most=1)
        self.momentum = number(momentum, self, "momentum", least=0, most=1)
        self.epsilon, self.centered = number(epsilon, self, "epsilon", least=0), centered

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._velocities = self.add_optimizer_variables(variables, "velocity")
        self._momentums = self.add_optimizer_variables(variables, "momentum") if self.momentum else []
        self._averages_of_gradients = (
            self.add_optimizer_variables(variables, "average_gradient") if self.centered else []
        )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        rho = float(self.rho)
        velocity = self._velocities[i]
        velocity.assign(rho * velocity + (1.0 - rho) * raw.square(gradient))
        scale = velocity.value
        if self.centered:
            average = self._averages_of_gradients[i]
            average.assign(rho * average + (1.0 - rho) * gradient)
            scale = scale - raw.square(average.value)
        step = learning_rate * gradient / raw.sqrt(scale + float(self.epsilon))
        if self.momentum:
            slot = self._momentums[i]
            slot.assign(float(self.momentum) * slot + step)
            step = slot.value
        variable.assign(variable - step)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }


class Adagrad(Optimizer):
    """Gradients over the root of the sum of all squared ones (Duchi, Hazan and Singer 2011).

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        initial_accumulator_value: Where the sums start.
        epsilon: Added under the root.
        **kwargs: None; the other arguments are those of `Optimizer`.

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Adagrad(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
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
        self.initial_accumulator_value = number(
            initial_accumulator_value, self, "initial_accumulator_value", least=0
        )
        self.epsilon = number(epsilon, self, "epsilon", least=0)

    def build(self, variables: Any) -> None:
        super().build(variables)
        start = Constant(self.initial_accumulator_value)
        self._sums = self.add_optimizer_variables(variables, "accumulator", start)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        total = self._sums[self._index(variable)]
        total.assign(total + raw.square(gradient))
        variable.assign(variable - learning_rate * gradient / raw.sqrt(total.value + float(self.epsilon)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
