"""`OptimizerWrapper`: what optimizers around another one have in common."""

from __future__ import annotations

from typing import Any

from cnnrs import serialization
from cnnrs.optimizers.lookup import get
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.variables import Variable

__all__ = ["OptimizerWrapper"]

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
    "parameter_groups": None,
}


class OptimizerWrapper(Optimizer):
    """An optimizer around another one, whose learning rate, clipping, decay and averages it has.

    Args:
        inner_optimizer: The optimizer that updates the weights, by name or object.
        name: Name.
        kwargs: What the constructor was given besides. Arguments of other optimizers belong to the inner one.

    Raises:
        ValueError: There are `kwargs`.
    """

    is_single = False

    def __init__(self, inner_optimizer: Any, name: str | None, kwargs: dict[str, Any]):
        owner = type(self).__name__
        for argument, default in _DEFAULTS.items():
            value = kwargs.pop(argument, default)
            if value != default:
                raise ValueError(f"{owner}: {argument}: give it to the inner optimizer, received {value!r}")
        if kwargs:
            unknown = ", ".join(f"`{argument}`" for argument in kwargs)
            raise ValueError(f"{owner}: there are no arguments: {unknown}")
        super().__init__(0.0, name=name)
        try:
            self.inner_optimizer = get(inner_optimizer)
        except ValueError as error:
            text = str(error).removeprefix("optimizer: ")
            raise ValueError(f"{owner}: inner_optimizer: {text}") from None
        if not isinstance(self.inner_optimizer, Optimizer):
            raise ValueError(f"{owner}: inner_optimizer: expected an optimizer, received {inner_optimizer!r}")

    def build(self, variables: Any) -> None:
        """Makes the slots of the inner optimizer, then the own ones."""
        self.inner_optimizer.build(variables)
        super().build([v for v in variables if self.inner_optimizer.updates(v)])

    @property
    def variables(self) -> list[Variable]:
        """All state: the own one, then the inner optimizer's."""
        return self._variables + self.inner_optimizer.variables

    def _optimizers_inside(self) -> list[Any]:
        return [self.inner_optimizer]

    @property
    def iterations(self) -> Any:
        """How many updates there were."""
        return self.inner_optimizer.iterations

    def _updates(self) -> Any:
        return self.inner_optimizer._updates()

    def updates(self, variable: Any) -> bool:
        """Whether the inner optimizer updates a weight."""
        return self.inner_optimizer.updates(variable)

    def follows_rate(self, variable: Any) -> bool:
        """Whether the learning rate of a weight goes by the inner optimizer's."""
        return self.inner_optimizer.follows_rate(variable)

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the inner optimizer."""
        return self.inner_optimizer.learning_rate

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        self.inner_optimizer.learning_rate = value

    def bind(self, steps_per_epoch: int | None, epochs: int, anew: bool = False) -> bool:
        """Tells schedules of the inner optimizer how long epochs and training are."""
        return self.inner_optimizer.bind(steps_per_epoch, epochs, anew)

    def began(self) -> list[int]:
        """When schedules of the inner optimizer began."""
        return self.inner_optimizer.began()

    def begin(self, updates: list[int]) -> None:
        """Sets when schedules of the inner optimizer began."""
        self.inner_optimizer.begin(updates)

    @property
    def asks_python(self) -> bool:
        return self.inner_optimizer.asks_python

    @property
    def passes(self) -> int:
        return self.inner_optimizer.passes

    def before_step(self) -> None:
        """Refreshes a learning rate that a Python callable gives the inner optimizer."""
        self.inner_optimizer.before_step()

    def gradients(self, loss: Any, variables: list[Any], again: Any) -> list[Any]:
        """What the inner optimizer takes for gradients."""
        return self.inner_optimizer.gradients(loss, variables, again)

    def _apply(self, pairs: list[Any]) -> None:
        self.inner_optimizer._apply(pairs)

    def scale_loss(self, loss: Any) -> Any:
        """What the inner optimizer makes of a loss."""
        return self.inner_optimizer.scale_loss(loss)

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
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Any:
        """The optimizer of a config, with the one inside."""
        config = dict(config)
        inner = serialization.deserialize_keras_object(config.pop("inner_optimizer"), custom_objects)
        return cls(inner, **config)
