"""`LossScaleOptimizer`: steps on a scaled loss, whose scale follows what gradients of 16 bits can hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import initializers, ops, serialization
from cnnrs.base.arguments import integer, number
from cnnrs.optimizers.lookup import get
from cnnrs.optimizers.optimizer import Optimizer, is_overwritten
from cnnrs.variables import Variable

__all__ = ["LossScaleOptimizer"]

# The scale stays between these, or what it is at first: beyond, float32 would overflow or vanish, for good.
_LEAST, _MOST = 1.0, 2.0**24

# What `get_config` of older versions of Keras wrote for arguments that have no meaning here.
_DEFAULTS = {
    "weight_decay": None,
    "clipnorm": None,
    "global_clipnorm": None,
    "clipvalue": None,
    "use_ema": False,
    "ema_momentum": 0.99,
    "ema_overwrite_frequency": None,
    "loss_scale_factor": None,
    "gradient_accumulation_steps": None,
}


class LossScaleOptimizer(Optimizer):
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
        for argument, default in _DEFAULTS.items():
            value = kwargs.pop(argument, default)
            if value != default:
                raise ValueError(f"{owner}: {argument}: give it to the inner optimizer, received {value!r}")
        if kwargs:
            unknown = ", ".join(f"`{argument}`" for argument in kwargs)
            raise ValueError(f"{owner}: there are no arguments: {unknown}")
        super().__init__(0.0, name=name)
        self.inner_optimizer = get(inner_optimizer)
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
        self.inner_optimizer.build(variables)
        super().build(variables)

    @property
    def variables(self) -> list[Variable]:
        """All state: that of the scale, then the inner optimizer's."""
        return self._variables + self.inner_optimizer.variables

    def _optimizers_inside(self) -> list[Any]:
        return [self.inner_optimizer]

    @property
    def iterations(self) -> Any:
        """How many updates there were; skipped steps do not count."""
        return self.inner_optimizer.iterations

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    @property
    def asks_python(self) -> bool:
        return self.inner_optimizer.asks_python

    def before_step(self) -> None:
        """Refreshes a learning rate that a Python callable gives the inner optimizer."""
        self.inner_optimizer.before_step()

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

    def finalize_variable_values(self, var_list: Any) -> None:
        """At the end of training: what the inner optimizer does then."""
        self.inner_optimizer.finalize_variable_values(var_list)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Takes variables out of the weight decay of the inner optimizer."""
        self.inner_optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "name": self.name,
            "inner_optimizer": serialization.serialize_keras_object(self.inner_optimizer),
            "initial_scale": self.initial_scale,
            "dynamic_growth_steps": self.dynamic_growth_steps,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> LossScaleOptimizer:
        """The optimizer of a config, with the one inside."""
        config = dict(config)
        inner = serialization.deserialize_keras_object(config.pop("inner_optimizer"), custom_objects)
        return cls(inner, **config)
