"""Several optimizers in one: which variables are whose."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from typing import Any

from cnnrs import serialization
from cnnrs.base.arguments import NamedArguments
from cnnrs.optimizers.optimizer import Optimizer
from cnnrs.variables import Variable

__all__ = ["MultiOptimizer", "OptimizerMap"]


class OptimizerMap(NamedArguments, MutableMapping[str, Any]):
    """Optimizers by the paths of variables, for `MultiOptimizer`.

    Args:
        default_optimizer: The optimizer of variables that no key names.
        optimizer_map: Optimizers by path. A key is the path of a variable, or a regular expression that
            matches all of it.

    Raises:
        TypeError: `default_optimizer` is no optimizer, or `optimizer_map` no dict.
        ValueError: A key is no string or is there already; a value is no optimizer of single variables.

    >>> from cnnrs import optimizers
    >>> chosen = optimizers.OptimizerMap(optimizers.Adam(), {"head/.*": optimizers.SGD(0.1)})
    >>> type(chosen["head/kernel"]).__name__, type(chosen["body/kernel"]).__name__
    ('SGD', 'Adam')
    """

    def __init__(self, default_optimizer: Optimizer, optimizer_map: dict[str, Any] | None = None):
        if not isinstance(default_optimizer, Optimizer):
            raise TypeError(
                f"OptimizerMap: default_optimizer: expected an optimizer, received {default_optimizer!r}"
            )
        if optimizer_map is not None and not isinstance(optimizer_map, dict):
            raise TypeError(f"OptimizerMap: optimizer_map: expected a dict, received {optimizer_map!r}")
        self._default = default_optimizer
        self._optimizers: dict[str, Any] = {}
        for key, value in (optimizer_map or {}).items():
            self[key] = value

    @property
    def default_optimizer(self) -> Optimizer:
        """The optimizer of variables that no key names."""
        return self._default

    def __getitem__(self, key: str) -> Any:
        """The optimizer of the variable with the path `key`.

        Raises:
            ValueError: Several keys match it.
        """
        if key in self._optimizers:
            return self._optimizers[key]
        matching = [pattern for pattern in self._optimizers if re.fullmatch(pattern, key)]
        if len(matching) > 1:
            raise ValueError(f"OptimizerMap: expected one key for {key!r}, received {matching}")
        return self._optimizers[matching[0]] if matching else self._default

    def __setitem__(self, key: str, optimizer: Any) -> None:
        if not isinstance(key, str):
            raise ValueError(f"OptimizerMap: key: expected a string, received {key!r}")
        if key in self._optimizers:
            raise ValueError(f"OptimizerMap: {key!r} has {self._optimizers[key]!r} already; delete it first")
        _check(optimizer, f"OptimizerMap: {key!r}")
        self._optimizers[key] = optimizer

    def __delitem__(self, key: str) -> None:
        del self._optimizers[key]

    def __len__(self) -> int:
        return len(self._optimizers)

    def __iter__(self) -> Iterator[str]:
        return iter(self._optimizers)

    def __call__(self, variable: Any) -> Any:
        """The optimizer of a variable."""
        return self[variable.path]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "default_optimizer": serialization.serialize_keras_object(self._default),
            "optimizer_map": serialization.serialize_keras_object(self._optimizers),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> OptimizerMap:
        """The map of a config."""
        return cls(
            **{
                key: serialization.deserialize_keras_object(value, custom_objects)
                for key, value in config.items()
            }
        )

    def __repr__(self) -> str:
        return f"<OptimizerMap default={self._default!r} {self._optimizers!r}>"


class MultiOptimizer(Optimizer):
    """An optimizer that leaves each variable to one of several others.

    The learning rate, clipping, averages and weight decay are those of each of them.

    Args:
        optimizer_map: An `OptimizerMap`, or a callable that gives the optimizer of a variable.
        loss_scale_factor: `scale_loss` multiplies losses by it, and `apply` divides gradients. It is set for
            all of them.
        name: Name.

    Raises:
        ValueError: At the first `build`: what the map gives is no optimizer of single variables.

    Example:

    >>> import cnnrs
    >>> v, w = cnnrs.Variable([1.0], name="v"), cnnrs.Variable([1.0], name="w")
    >>> slow, fast = cnnrs.optimizers.SGD(0.1), cnnrs.optimizers.SGD(0.5)
    >>> both = cnnrs.optimizers.MultiOptimizer(cnnrs.optimizers.OptimizerMap(slow, {"w": fast}))
    >>> both.apply([[1.0], [1.0]], [v, w])
    >>> v.numpy().round(4).tolist(), w.numpy().tolist()
    ([0.8999999761581421], [0.5])
    """

    is_single = False

    def __init__(self, optimizer_map: Any, loss_scale_factor: float | None = None, name: str | None = None):
        if not callable(optimizer_map):
            raise ValueError(
                "MultiOptimizer: optimizer_map: expected an OptimizerMap, or a callable that gives the "
                f"optimizer of a variable, received {optimizer_map!r}"
            )
        self._inner: list[Any] = []
        self._owner: dict[int, Any] = {}
        super().__init__(0.0, loss_scale_factor=loss_scale_factor, name=name)
        self._untrack(self._learning_rate)
        self._map = optimizer_map
        values = list(getattr(optimizer_map, "values", list)())
        for optimizer in [*values, getattr(optimizer_map, "default_optimizer", None)]:
            if optimizer is not None:
                self._adopt(optimizer)

    def _adopt(self, optimizer: Any) -> None:
        _check(optimizer, f"{self.name}: optimizer_map")
        if not any(optimizer is known for known in self._inner):
            optimizer.loss_scale_factor = self.loss_scale_factor
            optimizer._excluded |= self._excluded
            optimizer._excluded_names += self._excluded_names
            self._inner.append(optimizer)

    @property
    def optimizers(self) -> list[Any]:
        """The optimizers inside."""
        return list(self._inner)

    @property
    def variables(self) -> list[Variable]:
        """The number of steps, then the state of all of them."""
        return self._variables + [v for optimizer in self._inner for v in optimizer.variables]

    def _optimizers_inside(self) -> list[Any]:
        return list(self._inner)

    @property
    def learning_rate(self) -> Any:
        """There is none: each optimizer has its own."""
        raise AttributeError(f"{self.name} has no learning_rate; take that of one of its `optimizers`")

    @learning_rate.setter
    def learning_rate(self, value: Any) -> None:
        raise AttributeError(f"{self.name} has no learning_rate; set that of its `optimizers`")

    @property
    def loss_scale_factor(self) -> float | None:
        """What `scale_loss` multiplies losses by."""
        return self._loss_scale_factor

    @loss_scale_factor.setter
    def loss_scale_factor(self, value: float | None) -> None:
        self._loss_scale_factor = value
        for optimizer in self._inner:
            optimizer.loss_scale_factor = value

    def build(self, variables: Any) -> None:
        """Builds each optimizer on its variables."""
        super().build(variables)
        self._owner = {}
        for variable in self._trainable_variables:
            self._adopt(self._map(variable))
            self._owner[variable.id] = self._map(variable)
        for optimizer in self._inner:
            own = [v for v in self._trainable_variables if self._owner[v.id] is optimizer]
            if own:
                optimizer.build(own)

    def updates(self, variable: Any) -> bool:
        """Whether the optimizer of a weight updates it."""
        owner = self._owner.get(variable.id)
        return owner is None or owner.updates(variable)

    def bind(self, steps_per_epoch: int | None, epochs: int, anew: bool = False) -> bool:
        """Tells schedules of all of them how long epochs and training are."""
        return any([optimizer.bind(steps_per_epoch, epochs, anew) for optimizer in self._inner])

    def began(self) -> list[int]:
        """When schedules of each of them began."""
        return [updates for optimizer in self._inner for updates in optimizer.began()]

    def begin(self, updates: list[int]) -> None:
        """Sets when schedules of each of them began."""
        rest = list(updates)
        for optimizer in self._inner:
            optimizer.begin([rest.pop(0) for _ in optimizer.began()])

    @property
    def asks_python(self) -> bool:
        """Whether a Python callable gives the learning rate of one of them."""
        return any(optimizer.asks_python for optimizer in self._inner)

    def before_step(self) -> None:
        for optimizer in self._inner:
            optimizer.before_step()

    def _apply(self, pairs: list[Any]) -> None:
        for optimizer, own in self._split(pairs, lambda pair: pair[1]):
            optimizer._apply(own)
        self._iterations.assign(self._iterations + 1)

    def _split(self, items: Any, variable_of: Any) -> Iterator[tuple[Any, list[Any]]]:
        for optimizer in self._inner:
            own = [item for item in items if self._owner[variable_of(item).id] is optimizer]
            if own:
                yield optimizer, own

    def finalize_variable_values(self, var_list: Any) -> None:
        for optimizer, own in self._split(list(var_list), lambda variable: variable):
            optimizer.finalize_variable_values(own)

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        # Kept for the optimizers that a callable gives later.
        super().exclude_from_weight_decay(var_list, var_names)
        for optimizer in self._inner:
            optimizer.exclude_from_weight_decay(var_list, var_names)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "optimizer_map": serialization.serialize_keras_object(self._map),
            "loss_scale_factor": self.loss_scale_factor,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> MultiOptimizer:
        """The optimizer of a config, with those inside."""
        config = dict(config)
        chosen = serialization.deserialize_keras_object(config.pop("optimizer_map"), custom_objects)
        return cls(chosen, **config)


def _check(optimizer: Any, where: str) -> None:
    if not isinstance(optimizer, Optimizer) or not optimizer.is_single:
        raise ValueError(
            f"{where}: expected an optimizer other than LossScaleOptimizer, MultiOptimizer, SAM and "
            f"Lookahead, received {optimizer!r}"
        )
