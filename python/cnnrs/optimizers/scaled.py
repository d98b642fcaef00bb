"""Update rules whose steps are scaled by the size of the weights: Adafactor, LAMB and LARS."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs.base.arguments import number
from cnnrs.ops import raw
from cnnrs.optimizers.groups import norms_and_biases
from cnnrs.optimizers.optimizer import Optimizer, slot_dtype
from cnnrs.optimizers.schedules.schedule import power
from cnnrs.variables import Variable

__all__ = ["LARS", "Adafactor", "Lamb"]


class Adafactor(Optimizer):
    """Squared gradients of a matrix kept as those of its rows and columns (Shazeer and Stern 2018).

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        beta_2_decay: The decay of the second moment in step t is `1 - t ** beta_2_decay`.
        epsilon_1: Added to squared gradients.
        epsilon_2: The least root mean square of the weights that a step is scaled by.
        clip_threshold: Updates of a larger root mean square are scaled down to it.
        relative_step: Whether the learning rate is at most `1 / √t` in step t.
        **kwargs: None; the other arguments are those of `Optimizer`.

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Adafactor(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
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
        self.beta_2_decay = number(beta_2_decay, self, "beta_2_decay", most=0)
        self.epsilon_1 = number(epsilon_1, self, "epsilon_1", least=0)
        self.epsilon_2 = number(epsilon_2, self, "epsilon_2", least=0)
        self.clip_threshold = number(clip_threshold, self, "clip_threshold", above=0)
        self.relative_step = relative_step

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._rows: list[Variable | None] = []
        self._columns: list[Variable | None] = []
        self._squares: list[Variable] = []
        for variable in self._trainable_variables:
            shape = tuple(variable.shape)
            factored = len(shape) >= 2
            made = [
                self.add_variable(of, dtype=slot_dtype(variable), name=f"{variable.name}_{name}")
                if factored
                else None
                for of, name in ((shape[:-1], "rows"), ((*shape[:-2], *shape[-1:]), "columns"))
            ]
            self._rows.append(made[0])
            self._columns.append(made[1])
            self._squares.append(self.add_variable_from_reference(variable, "velocity"))

    def keras_order(self) -> list[Any]:
        # Keras has scalars in the places of rows and columns of what is not factored.
        order: list[Any] = []
        whole = {id(slot) for slot, rows in zip(self._squares, self._rows, strict=True) if rows is None}
        for place, variable in enumerate(self._variables):
            if id(variable) in whole:
                order += [np.zeros((), np.int32), np.zeros((), np.int32)]
            order.append(place)
        return order

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        step = (self._updates() + 1).astype("float32")
        rows, columns, squares = self._rows[i], self._columns[i], self._squares[i]
        rate = raw.minimum(learning_rate, raw.rsqrt(step)) if self.relative_step else learning_rate
        decay = 1.0 - raw.pow(step, float(self.beta_2_decay))
        square = raw.square(gradient) + float(self.epsilon_1)
        if rows is None or columns is None:
            squares.assign(decay * squares + (1.0 - decay) * square)
        else:
            rows.assign(decay * rows + (1.0 - decay) * raw.mean(square, axes=[-1]))
            columns.assign(decay * columns + (1.0 - decay) * raw.mean(square, axes=[-2]))
            share = rows.value / raw.mean(rows.value, axes=[-1], keepdims=True)
            squares.assign(raw.expand_dims(share, axis=-1) * raw.expand_dims(columns.value, axis=-2))
        update = gradient / raw.sqrt(squares.value)
        update = update / raw.maximum(_root_mean_square(update) / float(self.clip_threshold), 1.0)
        scale = raw.maximum(_root_mean_square(variable.value), float(self.epsilon_2))
        variable.assign(variable - scale * rate * update)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }


def _root_mean_square(x: Any) -> Any:
    return raw.sqrt(raw.mean(raw.square(x)))


class Lamb(Optimizer):
    """Adam's step, scaled to the norm of the weights (You et al. 2020).

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        beta_1: Decay of the first moment.
        beta_2: Decay of the second moment.
        epsilon: Added to the root.
        **kwargs: None; the other arguments are those of `Optimizer`.

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Lamb(0.1).apply([[2.0]], [v])
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

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        step = (self._updates() + 1).astype("float32")
        m, v = self._momentums[i], self._velocities[i]
        m.assign(m + (gradient - m) * (1.0 - self.beta_1))
        v.assign(v + (raw.square(gradient) - v) * (1.0 - self.beta_2))
        first = m.value / (1.0 - power(self.beta_1, step))
        second = v.value / (1.0 - power(self.beta_2, step))
        update = first / (raw.sqrt(second) + float(self.epsilon))
        weights, length = (raw.sqrt(raw.sum(raw.square(x))) for x in (variable.value, update))
        both = (weights > 0.0) & (length > 0.0)
        ratio = raw.where(both, weights / raw.where(both, length, 1.0), 1.0)
        variable.assign(variable - ratio * learning_rate * update)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


class LARS(Optimizer):
    """Momentum whose steps are as large as each layer's weights allow, for batches of thousands of images.

    You, Gitman and Ginsburg 2017, "Large batch training of convolutional networks", arXiv:1708.03888,
    algorithm 1: with the gradient `g` of the weights `w` of a layer, weight decay `β` and trust coefficient
    `η`, the local rate is `λ = η · ‖w‖ / (‖g‖ + β ‖w‖ + ε)`, and

        v ← μ v + λ · learning_rate · (g + β w)
        w ← w - v

    Norms and biases (`norms_and_biases`) take plain steps of momentum, `λ = 1`, without decay, as the
    reference implementations do; `adapts_all` treats them as all others. Where a norm is 0, `λ = 1`.

    Args:
        learning_rate: Number, schedule, or callable without arguments: the global rate, often above 1.
        momentum: `μ`.
        trust_coefficient: `η`.
        epsilon: `ε`.
        nesterov: Whether the step looks ahead, `w - (λ · learning_rate · (g + β w) + μ v)`.
        adapts_all: Whether norms and biases are scaled and decayed, too.
        weight_decay: `β`; a part of the gradient, and not decoupled from it. None for 0.
        **kwargs: None; the other arguments are those of `Optimizer`.

    Example:

    >>> import cnnrs
    >>> w = cnnrs.Variable([[3.0, 4.0]])
    >>> cnnrs.optimizers.LARS(1.0, trust_coefficient=0.1).apply([[[0.0, 2.0]]], [w])
    >>> w.numpy().round(4).tolist()
    [[3.0, 3.5]]
    """

    _decouples_decay = False

    def __init__(
        self,
        learning_rate: Any = 0.1,
        momentum: float = 0.9,
        trust_coefficient: float = 0.001,
        epsilon: float = 1e-8,
        nesterov: bool = False,
        adapts_all: bool = False,
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
        self.momentum = number(momentum, self, "momentum", least=0, below=1)
        self.trust_coefficient = number(trust_coefficient, self, "trust_coefficient", above=0)
        self.epsilon = number(epsilon, self, "epsilon", least=0)
        self.nesterov, self.adapts_all = nesterov, adapts_all

    def build(self, variables: Any) -> None:
        super().build(variables)
        self._momentums = self.add_optimizer_variables(variables, "momentum")

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        slot = self._momentums[self._index(variable)]
        if self.adapts_all or not norms_and_biases(variable):
            decay = float(self._decay(variable) or 0.0)
            weights, length = (raw.sqrt(raw.sum(raw.square(x))) for x in (variable.value, gradient))
            both = (weights > 0.0) & (length > 0.0)
            whole = length + decay * weights + float(self.epsilon)
            ratio = raw.where(both, float(self.trust_coefficient) * weights / whole, 1.0)
            gradient = (gradient + decay * variable) if decay else gradient
            learning_rate = learning_rate * ratio
        step = learning_rate * gradient
        moved = float(self.momentum) * slot + step
        slot.assign(moved)
        variable.assign(variable - (step + float(self.momentum) * moved if self.nesterov else moved))

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "momentum": self.momentum,
            "trust_coefficient": self.trust_coefficient,
            "epsilon": self.epsilon,
            "nesterov": self.nesterov,
            "adapts_all": self.adapts_all,
        }
