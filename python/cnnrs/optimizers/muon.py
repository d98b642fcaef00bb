"""Muon: momentum whose matrices are made orthogonal."""

from __future__ import annotations

import re
from typing import Any

from cnnrs import ops
from cnnrs.base.arguments import integer, number
from cnnrs.ops import raw
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.optimizers.schedules.schedule import power

__all__ = ["Muon"]


class Muon(Optimizer):
    """Steps along the orthogonal part of the momentum, for matrices; AdamW for all else (Jordan et al. 2024).

    Args:
        learning_rate: Number, schedule, or callable without arguments.
        adam_beta_1: Decay of AdamW's first moment.
        adam_beta_2: Decay of AdamW's second moment.
        adam_weight_decay: Weight decay of the variables that AdamW updates.
        epsilon: Added to AdamW's root.
        weight_decay: Weight decay of the matrices.
        exclude_layers: Regular expressions: variables in whose paths one is found are AdamW's.
        exclude_embeddings: Whether variables with "embedding" in their path are AdamW's.
        muon_a: Coefficient of `x` in the Newton-Schulz iteration `ax + bx(xᵀx) + cx(xᵀx)²`.
        muon_b: Its coefficient b.
        muon_c: Its coefficient c.
        adam_lr_ratio: AdamW's learning rate over this one's.
        momentum: Decay of the momentum.
        ns_steps: How many iterations.
        nesterov: Whether the step looks ahead (Nesterov's momentum).
        rms_rate: Steps are scaled by `rms_rate · √max(rows, columns)`, so that their size is AdamW's; None
            for steps as they are.
        **kwargs: None; the other arguments are those of `Optimizer`.

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.Muon(0.1).apply([[2.0]], [v])
    >>> bool(v.numpy()[0] < 1.0)
    True
    """

    def __init__(
        self,
        learning_rate: Any = 0.001,
        adam_beta_1: float = 0.9,
        adam_beta_2: float = 0.999,
        adam_weight_decay: float | None = 0.004,
        epsilon: float = 1e-7,
        weight_decay: float | None = 0.004,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        exclude_layers: Any = None,
        exclude_embeddings: bool = True,
        muon_a: float = 3.4445,
        muon_b: float = -4.7750,
        muon_c: float = 2.0315,
        adam_lr_ratio: float = 1,
        momentum: float = 0.95,
        ns_steps: int = 5,
        nesterov: bool = True,
        rms_rate: float | None = 0.2,
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
        self.adam_beta_1 = number(adam_beta_1, self, "adam_beta_1", least=0, below=1)
        self.adam_beta_2 = number(adam_beta_2, self, "adam_beta_2", least=0, below=1)
        self.epsilon = number(epsilon, self, "epsilon", least=0)
        self.muon_a = number(muon_a, self, "muon_a")
        self.muon_b = number(muon_b, self, "muon_b")
        self.muon_c = number(muon_c, self, "muon_c")
        self.adam_lr_ratio = number(adam_lr_ratio, self, "adam_lr_ratio", least=0)
        self.momentum = number(momentum, self, "momentum", least=0, most=1)
        self.ns_steps = integer(ns_steps, self, "ns_steps", least=0)
        if adam_weight_decay is not None:
            number(adam_weight_decay, self, "adam_weight_decay", least=0)
        if rms_rate is not None:
            number(rms_rate, self, "rms_rate", least=0)
        self.adam_weight_decay, self.rms_rate, self.nesterov = adam_weight_decay, rms_rate, nesterov
        self.exclude_embeddings, self.exclude_layers = exclude_embeddings, list(exclude_layers or [])

    def _should_use_adamw(self, variable: Any) -> bool:
        if len(variable.shape) != 2 or (self.exclude_embeddings and "embedding" in variable.path.lower()):
            return True
        return any(re.search(pattern, variable.path) for pattern in self.exclude_layers)

    def _decay_of(self, variable: Any) -> float | None:
        return self.adam_weight_decay if self._should_use_adamw(variable) else self.weight_decay

    def build(self, variables: Any) -> None:
        super().build(variables)
        self.momentums, self.adam_velocities = [], []
        for variable in self._trainable_variables:
            adamw = self._should_use_adamw(variable)
            self.momentums.append(self.add_variable_from_reference(variable, "momentum"))
            self.adam_velocities.append(
                self.add_variable_from_reference(variable, "velocity") if adamw else None
            )

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        i = self._index(variable)
        momentum, velocity = self.momentums[i], self.adam_velocities[i]
        if velocity is not None:
            rate = learning_rate * float(self.adam_lr_ratio)
            self._adamw_step(gradient, variable, rate, momentum, velocity)
            return
        momentum.assign(gradient + momentum * float(self.momentum))
        ahead = gradient + float(self.momentum) * momentum if self.nesterov else momentum.value
        step = learning_rate * self.zeropower_via_newtonschulz5(ahead, self.ns_steps)
        variable.assign(variable - self.lr_adjust(step))

    def _adamw_step(self, gradient: Any, variable: Any, learning_rate: Any, m: Any, v: Any) -> None:
        step = (self._updates() + 1).astype("float32")
        m.assign(m + (gradient - m) * (1.0 - self.adam_beta_1))
        v.assign(v + (raw.square(gradient) - v) * (1.0 - self.adam_beta_2))
        rate = learning_rate * raw.sqrt(1.0 - power(self.adam_beta_2, step))
        rate = rate / (1.0 - power(self.adam_beta_1, step))
        variable.assign(variable - rate * m / (raw.sqrt(v.value) + float(self.epsilon)))

    def lr_adjust(self, x: Any) -> Any:
        """A step, scaled by `rms_rate · √max(rows, columns)`."""
        return x if self.rms_rate is None else x * (float(self.rms_rate) * float(max(x.shape)) ** 0.5)

    def zeropower_via_newtonschulz5(self, x: Any, steps: int) -> Any:
        """About the nearest orthogonal matrix: singular values near 1 (Newton-Schulz, quintic)."""
        tall = x.shape[0] > x.shape[1]
        x = ops.transpose(x) if tall else x
        x = x / (raw.sqrt(raw.sum(raw.square(x))) + 1e-7)
        for _ in range(steps):
            gram = ops.matmul(x, ops.transpose(x))
            mixed = float(self.muon_b) * gram + ops.matmul(float(self.muon_c) * gram, gram)
            x = float(self.muon_a) * x + ops.matmul(mixed, x)
        return ops.transpose(x) if tall else x

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "adam_beta_1": self.adam_beta_1,
            "adam_beta_2": self.adam_beta_2,
            "epsilon": self.epsilon,
            "exclude_layers": self.exclude_layers,
            "muon_a": self.muon_a,
            "muon_b": self.muon_b,
            "muon_c": self.muon_c,
            "adam_lr_ratio": self.adam_lr_ratio,
            "momentum": self.momentum,
            "ns_steps": self.ns_steps,
            "nesterov": self.nesterov,
            "exclude_embeddings": self.exclude_embeddings,
            "adam_weight_decay": self.adam_weight_decay,
            "rms_rate": self.rms_rate,
        }
