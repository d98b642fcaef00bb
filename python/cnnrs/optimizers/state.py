"""The state of an optimizer: written, read, set, and carried from step to step by the caller."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.dtypes import fits

__all__ = ["OptimizerState"]


class OptimizerState:
    """What an optimizer does with its variables besides steps."""

    name: str
    built: bool
    variables: Any
    apply: Any
    _variables: list[Any]
    _slot_groups: Any
    _given_variables: Any
    _learning_rate: Any

    def keras_order(self) -> list[Any]:
        """What files of Keras have, in their order: places in `variables`, or arrays that nothing reads.

        There the slots of a variable are neighbours.

        >>> import cnnrs
        >>> optimizer = cnnrs.optimizers.Adam()
        >>> optimizer.build([cnnrs.Variable([1.0]), cnnrs.Variable([2.0])])
        >>> optimizer.keras_order()
        [0, 1, 2, 4, 3, 5]
        """
        places = {id(variable): place for place, variable in enumerate(self._variables)}
        order: list[Any] = list(range(len(self._variables)))
        for group in self._slot_groups:
            slots = [places[id(slot)] for slots in zip(*group, strict=True) for slot in slots]
            if slots:
                order[min(slots) : min(slots) + len(slots)] = slots
        for optimizer in self._optimizers_inside():
            first = sum(isinstance(place, int) for place in order)
            order += [first + p if isinstance(p, int) else p for p in optimizer.keras_order()]
        return order

    def save_for_keras(self) -> dict[str, Any]:
        """The state as files of Keras have it: counts of 64 bits, in the order of `keras_order`."""
        variables = self.variables
        store: dict[str, Any] = {}
        for i, place in enumerate(self.keras_order()):
            value = np.asarray(variables[place].numpy()) if isinstance(place, int) else place
            if isinstance(place, int) and variables[place].dtype == "int32":
                value = value.astype(np.int64)
            store[str(i)] = value
        return store

    def load_from_keras(self, store: Any) -> None:
        """Reads what `save_for_keras`, or Keras, wrote.

        Raises:
            ValueError: Their number or a shape differs.
        """
        order = self.keras_order()
        if len(store) != len(order):
            raise ValueError(
                f"{self.name}: expected {len(order)} variables, received {len(store)}; "
                "was the optimizer built for the same model?"
            )
        own: dict[str, Any] = {}
        for i, place in enumerate(order):
            value = np.asarray(store[str(i)])
            if not isinstance(place, int):
                continue
            if value.dtype == np.int64:
                if value.size and np.abs(value).max() >= 2**31:
                    raise ValueError(f"{self.name}: expected counts below 2**31, received {value.max()}")
                value = value.astype(np.int32)
            own[str(place)] = value
        self.load_own_variables(own)

    def _optimizers_inside(self) -> list[Any]:
        """The optimizers whose variables are behind the own ones."""
        return []

    def set_weights(self, weights: Any) -> None:
        """Sets all state from a list of arrays in the order of `variables`."""
        weights = list(weights)
        variables = self.variables
        if len(weights) != len(variables):
            raise ValueError(f"{self.name}: expected {len(variables)} arrays, received {len(weights)}")
        for variable, value in zip(variables, weights, strict=True):
            variable.assign(value)

    def save_own_variables(self, store: Any) -> None:
        """Writes the state into a mapping, numbered in the order of `variables`."""
        for i, variable in enumerate(self.variables):
            store[str(i)] = np.asarray(variable.numpy())

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote."""
        variables = self.variables
        if len(store.keys()) == len(variables) + 1 and not any(v is self._learning_rate for v in variables):
            # Older files keep the rate that a schedule gave.
            store = {str(i): store[str(i + (i > 0))] for i in range(len(variables))}
        if len(store.keys()) != len(variables):
            raise ValueError(
                f"{self.name}: expected {len(variables)} variables, received {len(store.keys())}; "
                "was the optimizer built for the same model?"
            )
        values = [np.asarray(store[str(i)]) for i in range(len(variables))]
        for value, variable in zip(values, variables, strict=True):
            if tuple(value.shape) != tuple(variable.shape) or not fits(value.dtype.name, variable.dtype):
                raise ValueError(
                    f"{self.name}: {variable.name}: expected shape {tuple(variable.shape)} {variable.dtype}, "
                    f"received {value.shape} {value.dtype.name}"
                )
        for value, variable in zip(values, variables, strict=True):
            variable.assign(value)

    def stateless_apply(self, optimizer_variables: Any, grads: Any, trainable_variables: Any) -> Any:
        """What `apply` makes of other values of the state and the variables, which themselves stay.

        Args:
            optimizer_variables: Values of `variables`, in their order.
            grads: The gradients.
            trainable_variables: Values of the variables that the optimizer was built on, in their order.

        Returns:
            The next values of the variables and of the state: two lists of tensors.

        Raises:
            ValueError: The optimizer is not built, or a number of values differs.

        Example:

        >>> import cnnrs
        >>> v = cnnrs.Variable([1.0])
        >>> optimizer = cnnrs.optimizers.SGD(0.5)
        >>> optimizer.build([v])
        >>> after, state = optimizer.stateless_apply(optimizer.variables, [[2.0]], [[5.0]])
        >>> after[0].tolist(), v.tolist()
        ([4.0], [1.0])
        """
        if not self.built:
            raise ValueError(f"{self.name}: stateless_apply: call build(trainable_variables) first")
        own, weights = self.variables, self._given_variables
        for argument, values, variables in (
            ("optimizer_variables", optimizer_variables, own),
            ("trainable_variables", trainable_variables, weights),
        ):
            if len(values) != len(variables):
                raise ValueError(
                    f"{self.name}: stateless_apply: {argument}: expected {len(variables)} values, "
                    f"received {len(values)}"
                )
        state = [*own, *weights]
        before = [variable.value for variable in state]
        given = [
            _core.tensor(value) if not isinstance(value, (_core.Tensor, _core.Variable)) else value
            for value in (*optimizer_variables, *trainable_variables)
        ]
        given = [value.value if isinstance(value, _core.Variable) else value for value in given]
        try:
            for variable, value in zip(state, given, strict=True):
                variable.assign(value.astype(variable.dtype))
            self.apply(grads, weights)
            return [v.value for v in weights], [v.value for v in own]
        finally:
            for variable, value in zip(state, before, strict=True):
                variable.assign(value)
