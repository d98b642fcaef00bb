"""`LossScaleOptimizer`: steps on a scaled loss, whose scale follows what gradients of 16 bits can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import initializers, ops
from cnnrs.base.arguments import integer, number
from cnnrs.optimizers.optimizer import is_overwritten
from cnnrs.optimizers.wrapper import OptimizerWrapper
from cnnrs.variables import Variable

__all__ = ["LossScaleOptimizer"]

# The scale stays between these, or what it is at first: beyond, float32 would overflow or vanish, for good.
_LEAST, _MOST = 1.0, 2.0**24


class LossScaleOptimizer(OptimizerWrapper):
    """An optimizer around another one, which multiplies the loss so that gradients in float16 do not vanish.

    The scale is dynamic (Micikevicius et al. 2018, section 3.2). A step whose gradients hold an infinity or a
    NaN changes no weight, no slot and no `iterations`, and halves the scale. After `dynamic_growth_steps`
    steps in a row with finite gradients the scale doubles. It stays between 1 and 2²⁴, or `initial_scale` if
    that is beyond. Whether a step counts is one element on the device
    that computes, by which it selects old or new values: no step waits for Python to look.

    Args:
        inner_optimizer: The optimizer that updates the weights, by name or object.
        initial_scale: The scale at first.
        dynamic_growth_steps: Steps in a row after which the scale doubles.
        name: Name.
        **kwargs: `dynamic`: True. Arguments of other optimizers belong to `inner_optimizer`.

    Raises:
        ValueError: The scale is not above 0, the steps are not at least 1, or an argument is one of the inner
            optimizer.

    `compile` wraps the optimizer of a model that was made under the policy "mixed_float16"; `variables` are
    the state of both, which files keep.

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> optimizer = cnnrs.optimizers.LossScaleOptimizer(cnnrs.optimizers.SGD(0.5), initial_scale=4.0)
    >>> optimizer.build([v])
    >>> optimizer.apply([[float("inf")]], [v])
    >>> v.numpy().tolist(), float(optimizer.dynamic_scale), int(optimizer.iterations)
    ([1.0], 2.0, 0)
    >>> float(optimizer.scale_loss(3.0))
    6.0
    >>> optimizer.apply([[2.0]], [v])
    >>> v.numpy().tolist(), int(optimizer.iterations)
    ([0.5], 1)
    """

    step_counter: Variable
    dynamic_scale: Variable

    def __init__(
        self,
        inner_optimizer: Any,
        initial_scale: float = 32768.0,
        dynamic_growth_steps: int = 2000,
        name: str | None = None,
        **kwargs: Any,
    ):
        owner = type(self).__name__
        if not kwargs.pop("dynamic", True):
            raise ValueError(f"{owner}: dynamic: expected True; loss_scale_factor is the inner optimizer's")
        super().__init__(inner_optimizer, name, kwargs)
        if isinstance(self.inner_optimizer, LossScaleOptimizer):
            raise ValueError(f"{owner}: inner_optimizer: expected one that scales no loss, received {owner}")
        self.initial_scale = number(initial_scale, owner, "initial_scale", above=0)
        self.dynamic_growth_steps = integer(dynamic_growth_steps, owner, "dynamic_growth_steps", least=1)
        # The loss would be scaled twice.
        self.inner_optimizer.loss_scale_factor = None

    def build(self, variables: Any) -> None:
        """Makes the state of the scale, and the slots of the inner optimizer."""
        zero, scale = initializers.Zeros(), initializers.Constant(self.initial_scale)
        self.step_counter = self.add_variable((), zero, "int32", name="step_counter")
        self.dynamic_scale = self.add_variable((), scale, name="dynamic_scale")
        super().build(variables)

    def check_finite(self, grads: Any) -> Any:
        """Whether all elements of all gradients, None aside, are finite: a bool tensor of rank 0."""
        finite: Any = None
        for gradient in grads:
            if gradient is not None:
                own = ops.all(ops.isfinite(gradient))
                finite = own if finite is None else ops.logical_and(finite, own)
        return finite

    def _apply(self, pairs: list[Any]) -> None:
        inner = self.inner_optimizer
        scale, steps = self.dynamic_scale.value, self.step_counter.value
        pairs = [(g if is_overwritten(v) else g / scale, v) for g, v in pairs]
        finite = self.check_finite([gradient for gradient, _ in pairs])
        # An update changes all state but the learning rate, and the weights.
        held = [v for v in inner.variables if v is not inner._learning_rate] + [v for _, v in pairs]
        before = [variable.value for variable in held]
        inner._apply(pairs)
        for variable, old in zip(held, before, strict=True):
            if variable.value is not old:
                variable.assign(ops.where(finite, variable.value, old))
        due = ops.greater_equal(steps + 1, self.dynamic_growth_steps)
        grown = ops.where(due, scale * 2.0, scale)
        least, most = min(_LEAST, self.initial_scale), max(_MOST, self.initial_scale)
        self.dynamic_scale.assign(ops.clip(ops.where(finite, grown, scale * 0.5), least, most))
        counted = ops.where(due, np.int32(0), steps + 1)
        self.step_counter.assign(ops.where(finite, counted, np.int32(0)))

    def scale_loss(self, loss: Any) -> Any:
        """`loss` times the scale."""
        return loss * (self.dynamic_scale if self.built else self.initial_scale)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            **super().get_config(),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }
