"""The weights of a layer, and of the layers inside of it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np

from cnnrs import _core, constraints, initializers, regularizers, symbolic
from cnnrs.base import generation, naming, trainable_set
from cnnrs.base.arguments import named
from cnnrs.base.containers import open_container
from cnnrs.base.dtypes import FLOATS, host_dtype, is_number, standardize_dtype
from cnnrs.layers.arguments import Parts
from cnnrs.layers.former_names import FormerNames
from cnnrs.layers.input_spec import InputSpec
from cnnrs.random import SeedGenerator
from cnnrs.variables import Variable

__all__ = ["WeightOwner"]

_PLAIN = (bool, int, float, str, np.ndarray, FunctionType, InputSpec, Parts)


class WeightOwner(FormerNames, symbolic.Operation):
    """Something with weights: of its own, and of the layers that are its attributes."""

    # Variables, each with whether it was made trainable.
    _own: list[tuple[Any, bool]]
    _trainable: bool
    _serial: int
    _scope_names: tuple[str, ...] | None = None
    # Whether the layer has been called, after which it makes no weights.
    _called = False
    built: bool
    variable_dtype: str
    # Attributes that hold other objects without owning them.
    _unowned = frozenset(["_auto_arguments", "_build_shapes", "_inbound_nodes", "_losses", "_own", "_owners"])

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        instance = super().__new__(cls, *args, **kwargs)
        object.__setattr__(instance, "_serial", trainable_set.serial())
        object.__setattr__(instance, "_own", [])
        return instance

    @named
    def add_weight(
        self,
        *args: Any,
        shape: Any = None,
        initializer: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        aggregation: str = "none",
        overwrite_with_gradient: bool = False,
        name: str | None = None,
    ) -> Any:
        """A variable that belongs to the layer.

        Args:
            *args: The shape.
            shape: Extents; `()` by default.
            initializer: Initializer, by name or object; zeros for integers, else "glorot_uniform".
            dtype: Element type, by default the `variable_dtype` of the layer.
            trainable: Whether training changes it.
            autocast: Whether the layer reads it in the type in which it computes.
            regularizer: Its penalty is added to the loss.
            constraint: Applied to the value after each update.
            aggregation: "none"; there is one device.
            overwrite_with_gradient: Whether an optimizer makes the gradient the value.
            name: Name; "variable" by default.

        Returns:
            The `cnnrs.Variable`.
        """
        self._check_ready()
        if self._called:
            raise ValueError(
                f"{self.name}: add_weight: expected weights to be made in __init__() or build(), so that "
                f"each call finds the same ones; {name or 'a weight'} is made in or after a call"
            )
        if args:
            if isinstance(args[0], str):
                raise ValueError(
                    f"{self.name}: add_weight: expected the shape first, received {args[0]!r}; "
                    f"write add_weight(shape, name={args[0]!r})"
                )
            if len(args) > 1 or shape is not None:
                raise TypeError(
                    f"{self.name}: add_weight: expected the shape once, received {args} and {shape}"
                )
            shape = args[0]
        shape = () if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
        if None in shape:
            raise ValueError(f"{self.name}: add_weight: shape: expected integers, received {shape}")
        dtype = standardize_dtype(dtype, self.variable_dtype)
        if initializer is None:
            initializer = "glorot_uniform" if dtype in FLOATS else "zeros"
        size = math.prod(shape) * np.dtype(host_dtype(dtype)).itemsize
        too_large = f"{self.name}: {name or 'variable'}: no memory for shape {shape}, {size:,} bytes"
        # More than any address space that processors map today.
        if size > 2**47:
            raise MemoryError(too_large)
        outer = naming.enter_scopes(self._scopes())
        try:
            variable = Variable(
                initializers.get(initializer),
                shape=shape,
                dtype=dtype,
                trainable=trainable and self._trainable,
                autocast=autocast,
                aggregation=aggregation,
                name=name,
            )
        except MemoryError as error:
            raise MemoryError(too_large) from error
        finally:
            naming.enter_scopes(outer)
        variable.regularizer = regularizers.get(regularizer)
        variable.constraint = constraints.get(constraint)
        variable.overwrite_with_gradient = bool(overwrite_with_gradient)
        self._own.append((variable, trainable))
        return variable

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        regularizer: Any = None,
        constraint: Any = None,
        name: str | None = None,
    ) -> Any:
        """`add_weight` with two of its arguments first."""
        return self.add_weight(
            shape=shape,
            initializer=initializer,
            dtype=dtype,
            trainable=trainable,
            autocast=autocast,
            regularizer=regularizer,
            constraint=constraint,
            name=name,
        )

    def _scopes(self) -> tuple[str, ...]:
        """The names of the layers around, as they were when this was first asked, and the layer's own."""
        if self._scope_names is None:
            self._scope_names = (*naming.scopes(), self.name)
        return self._scope_names

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, _core.Variable) and name not in self._unowned:
            if not any(own is value for own, _ in self._own):
                self._own.append((value, value.trainable))
        if vars(self).get(name, self) is not value:
            generation.note_change()
        object.__setattr__(self, name, value)
        if name not in self._unowned and _may_own(value):
            vars(self).setdefault("_owners", {})[name] = None

    def _check_ready(self) -> None:
        if "_trainable" not in vars(self):
            raise RuntimeError(
                f"{type(self).__name__}: expected super().__init__() before add_weight() and calls"
            )

    def _attributes(self) -> Iterator[Any]:
        """What attributes hold that may belong to the layer, containers opened."""
        values = vars(self)
        for name in values.get("_owners", ()):
            if name in values:
                yield from open_container(values[name])

    def _sublayers(self) -> list[Any]:
        """The layers that belong to this one, each once, in the order in which they became attributes."""
        found: dict[int, WeightOwner] = {}
        for value in self._attributes():
            if isinstance(value, WeightOwner):
                found.setdefault(id(value), value)
        return list(found.values())

    def _seed_generators(self) -> list[Any]:
        return [value for value in self._attributes() if isinstance(value, SeedGenerator)]

    def _flatten_layers(self) -> list[Any]:
        """The layer and all that belong to it, at any depth, each once."""
        found: dict[int, WeightOwner] = {}
        pending: list[WeightOwner] = [self]
        while pending:
            layer = pending.pop()
            if id(layer) not in found:
                found[id(layer)] = layer
                pending.extend(reversed(layer._sublayers()))
        return list(found.values())

    def _gather(self, seeds: bool) -> list[Any]:
        found: dict[int, Any] = {}
        for layer in self._flatten_layers():
            own = [v for v, t in layer._own if t] + [v for v, t in layer._own if not t]
            for value in layer._attributes():
                if isinstance(value, _core.Variable) and not any(value is v for v in own):
                    own.append(value)
            if seeds:
                own += [generator.state for generator in layer._seed_generators()]
            for variable in own:
                found.setdefault(id(variable), variable)
        return list(found.values())

    @property
    def variables(self) -> list[Any]:
        """All state: weights and the states of random generators."""
        return self._gather(seeds=True)

    @property
    def weights(self) -> list[Any]:
        """All weights, those of the layers inside included."""
        return self._gather(seeds=False)

    @property
    def trainable_weights(self) -> list[Any]:
        """The weights that training changes."""
        return [v for v in self.weights if v.trainable] if self.trainable else []

    @property
    def non_trainable_weights(self) -> list[Any]:
        """The weights that training does not change."""
        return [v for v in self.weights if not v.trainable] if self.trainable else self.weights

    @property
    def trainable_variables(self) -> list[Any]:
        """The variables that training changes."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self) -> list[Any]:
        """The variables that training does not change."""
        return [v for v in self.variables if not v.trainable] if self.trainable else self.variables

    @property
    def trainable(self) -> bool:
        """Whether training changes the weights. Setting it reaches the layers inside."""
        return self._trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        if value != self._trainable:
            self._trainable = value
            trainable_set.note_change(self)
        for variable, trainable in self._own:
            if trainable:
                variable.trainable = value
        for layer in self._sublayers():
            layer.trainable = value

    def get_weights(self) -> list[np.ndarray]:
        """The values of `weights`, as numpy arrays."""
        return [np.asarray(weight.numpy()) for weight in self.weights]

    def set_weights(self, weights: Any) -> None:
        """Sets the values of `weights`: all of them, or none if one does not fit.

        Raises:
            ValueError: Their number or a shape differs.
        """
        own, given = self.weights, [np.asarray(w) for w in weights]
        if len(own) != len(given):
            raise ValueError(f"{self.name}: set_weights: expected {len(own)} arrays, received {len(given)}")
        for variable, value in zip(own, given, strict=True):
            if not is_number(value):
                raise TypeError(
                    f"{self.name}: set_weights: {variable.path}: expected numbers, received {value.dtype}"
                )
            if tuple(variable.shape) != value.shape:
                raise ValueError(
                    f"{self.name}: set_weights: {variable.path}: "
                    f"expected shape {tuple(variable.shape)}, received {value.shape}"
                )
        for variable, value in zip(own, given, strict=True):
            variable.assign(value)

    def count_params(self) -> int:
        """Number of elements of all weights.

        Raises:
            ValueError: The layer has no weights yet, because it has not been built.
        """
        if not self.built:
            raise ValueError(
                f"{self.name}: count_params: expected a built layer; call it or build(input_shape)"
            )
        return sum(int(np.prod(weight.shape)) for weight in self.weights)

    def save_own_variables(self, store: Any) -> None:
        """Writes the layer's own variables, without those of layers inside, into a mapping."""
        for i, (variable, _) in enumerate(self._ordered_own()):
            store[str(i)] = np.asarray(variable.numpy())

    def load_own_variables(self, store: Any) -> None:
        """Reads what `save_own_variables` wrote.

        Raises:
            ValueError: Their number or a shape differs.
        """
        own = self._ordered_own()
        if len(store.keys()) != len(own):
            raise ValueError(f"{self.name}: expected {len(own)} variables, received {len(store.keys())}")
        values = [np.asarray(store[str(i)]) for i in range(len(own))]
        for (variable, _), value in zip(own, values, strict=True):
            if tuple(variable.shape) != value.shape:
                raise ValueError(
                    f"{self.name}: {variable.name}: "
                    f"expected shape {tuple(variable.shape)}, received {value.shape}"
                )
        for (variable, _), value in zip(own, values, strict=True):
            variable.assign(value)

    def _keeps_own_state(self) -> bool:
        """Whether the class says itself what of its own state is saved."""
        methods = ("save_own_variables", "load_own_variables")
        return any(getattr(type(self), m) is not getattr(WeightOwner, m) for m in methods)

    def _ordered_own(self) -> list[tuple[Any, bool]]:
        return [(v, t) for v, t in self._own if t] + [(v, t) for v, t in self._own if not t]


def _may_own(value: Any) -> bool:
    """Whether a value is, or may come to hold, something that belongs to a layer."""
    if value is None or isinstance(value, _PLAIN):
        return False
    if isinstance(value, tuple):
        return any(_may_own(item) for item in value)
    return True
