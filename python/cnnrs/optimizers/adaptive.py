"""Update rules beyond the four that most scripts use."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import number
from cnnrs.ops import raw
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.optimizers.schedules.schedule import power
from cnnrs.variables import Variable


class Adadelta(Optimizer):
    """Steps scaled by the ratio of moving root mean squares (Zeiler 2012, algorithm 1).

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Adadelta(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        rho: float = 0.95,
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
        self.rho = number(rho, self, "rho", least=0, most=1)
        self.epsilon = number(epsilon, self, "epsilon", least=0)

    def build(self, variables: Any) -> None:
        super().build(variables)
        names = ["accumulated_gradient", "accumulated_delta"]
        self._gradients, self._deltas = self.add_optimizer_variables(variables, names)

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i, rho, epsilon = self._index(variable), float(self.rho), float(self.epsilon)
        squares, deltas = self._gradients[i], self._deltas[i]
        squares.assign(rho * squares + (1.0 - rho) * raw.square(gradient))
        delta = -raw.sqrt(deltas + epsilon) * gradient / raw.sqrt(squares + epsilon)
        deltas.assign(rho * deltas + (1.0 - rho) * raw.square(delta))
        variable.assign(variable + learning_rate * delta)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "rho": self.rho,
            "epsilon": self.epsilon,
        }


class Adamax(Optimizer):
    """Adam with the infinity norm (Kingma and Ba 2015, algorithm 2).

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Adamax(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = number(beta_1, self, "beta_1", least=0, below=1)
        self.beta_2 = number(beta_2, self, "beta_2", least=0, below=1)
        self.epsilon = number(epsilon, self, "epsilon", least=0)

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._momentums, self._norms = self.add_optimizer_variables(variables, ["momentum", "norm"])

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        m, u = self._momentums[i], self._norms[i]
        m.assign(m + (gradient - m) * (1.0 - self.beta_1))
        u.assign(raw.maximum(float(self.beta_2) * u, raw.abs(gradient)))
        correction = 1.0 - power(self.beta_1, (self._updates() + 1).astype("float32"))
        variable.assign(variable - learning_rate * m / (correction * (u + float(self.epsilon))))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


class Nadam(Optimizer):
    """Adam with Nesterov's momentum (Dozat 2016, algorithm 2).

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Nadam(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
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
        self.beta_1 = number(beta_1, self, "beta_1", least=0, below=1)
        self.beta_2 = number(beta_2, self, "beta_2", least=0, below=1)
        self.epsilon = number(epsilon, self, "epsilon", least=0)

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._momentums, self._velocities = self.add_optimizer_variables(variables, ["momentum", "velocity"])
        # Product of the momenta of all steps so far.
        self._product = self._track(Variable(np.float32(1.0), trainable=False, name="u_product"))

    def _momentum(self, step: Any) -> Any:
        return float(self.beta_1) * (1.0 - 0.5 * power(0.96, step))

    def _prepare(self) -> None:
        step = (self._updates() + 1).astype("float32")
        self._product.assign(self._product * self._momentum(step))

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        m, v = self._momentums[i], self._velocities[i]
        step = (self._updates() + 1).astype("float32")
        now, following = self._momentum(step), self._momentum(step + 1.0)
        m.assign(m + (gradient - m) * (1.0 - self.beta_1))
        v.assign(v + (raw.square(gradient) - v) * (1.0 - self.beta_2))
        product = self._product.value
        first = following * m / (1.0 - product * following) + (1.0 - now) * gradient / (1.0 - product)
        second = v / (1.0 - power(self.beta_2, step))
        variable.assign(variable - first * learning_rate / (raw.sqrt(second) + float(self.epsilon)))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


class Lion(Optimizer):
    """Steps by the sign of a momentum (Chen et al. 2023, algorithm 2).

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Lion(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
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
        self.beta_2 = number(beta_2, self, "beta_2", least=0, most=1)

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        m = self._momentums[self._index(variable)]
        mixed = float(self.beta_1) * m + (1.0 - self.beta_1) * gradient
        variable.assign(variable - learning_rate * raw.sign(mixed))
        m.assign(float(self.beta_2) * m + (1.0 - self.beta_2) * gradient)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
        }
