"""`Variable`: a named, versioned tensor that training may change."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs import ops as ops  # which gives variables their methods
from cnnrs.base import context, naming, trainable_set
from cnnrs.base.dtypes import FLOAT, STORED, host_dtype, standardize_dtype
from cnnrs.serialization.modules import public

__all__ = ["Variable"]

# What copies and pickles keep besides the arguments.
_KEPT = ("_path", "regularizer", "constraint", "overwrite_with_gradient")


class Variable(_core.Variable):
    """A tensor with an identity: a weight, a statistic, an optimizer's slot.

    Assignment rebinds the variable; tensors read from it before stay as they were.

    Args:
        initializer: A callable `(shape, dtype) -> array`, the name of an initializer, or a value.
        shape: Shape, required with a callable.
        dtype: Element type, as `ops.cast` takes it; float32 for callables, else that of the value.
        trainable: Whether training changes it.
        autocast: Whether layers read it in the type in which they compute, if it is of another float type.
            `value` and `dtype` are of that type, too, while the layer is called.
        aggregation: "none", "mean", "sum" or "only_first_replica"; there is one device, for which they are
            the same.
        synchronization: "auto", "none", "on_read" or "on_write"; as `aggregation`.
        name: Name; made up if absent.
        layout: None; there is one device.

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0, 2.0], name="scale")
    >>> v.assign_add([1.0, 1.0]).numpy()
    array([2., 3.], dtype=float32)
    """

    _path: str
    _regularizer: Any
    _constraint: Any
    _aggregation: str
    _synchronization: str
    _overwrite_with_gradient: bool

    def __new__(
        cls,
        initializer: Any,
        shape: Any = None,
        dtype: Any = None,
        trainable: bool = True,
        autocast: bool = True,
        aggregation: str | None = "none",
        synchronization: str | None = "auto",
        name: str | None = None,
        layout: Any = None,
    ) -> Variable:
        for argument, given, known in (
            ("aggregation", aggregation, (None, "none", "mean", "sum", "only_first_replica")),
            ("synchronization", synchronization, (None, "none", "on_read", "on_write", "auto")),
        ):
            if given not in known:
                raise ValueError(f"Variable: {argument}: expected one of {known}, received {given!r}")
        if layout is not None:
            raise ValueError(f"Variable: layout: expected None, for there is one device; received {layout!r}")
        if name is not None and (not isinstance(name, str) or "/" in name):
            raise ValueError(f"Variable: name: expected a string without '/', received {name!r}")
        if isinstance(initializer, str):
            initializer = public("cnnrs.initializers").get(initializer)
        if dtype is not None:
            dtype = standardize_dtype(dtype)
        if callable(initializer):
            if shape is None:
                raise ValueError("Variable: a shape is required when the initializer is a callable")
            shape = (shape,) if isinstance(shape, int) else tuple(shape)
            if None in shape:
                raise ValueError(f"Variable: shape: expected integers, received {shape}")
            dtype = dtype or FLOAT
            value = initializer(shape, dtype=host_dtype(dtype))
        else:
            value = initializer
            if shape is not None and tuple(np.shape(value)) != tuple(shape):
                raise ValueError(f"Variable: expected shape {tuple(shape)}, received {np.shape(value)}")
        name = name or naming.auto_name("variable")
        flags = {"trainable": bool(trainable), "autocast": bool(autocast)}
        self: Any = super().__new__(cls, value, dtype=dtype, name=name, **flags)
        self._serial = trainable_set.serial()
        self._path = "/".join((*naming.scopes(), name))
        self._regularizer = self._constraint = None
        self._overwrite_with_gradient = False
        self._aggregation = aggregation or "none"
        self._synchronization = synchronization or "none"
        return self

    @property
    def path(self) -> str:
        """The name after those of the scopes and layers inside of which it was made."""
        return self._path

    @property
    def aggregation(self) -> str:
        """What was given; there is one device, whose value is the variable's."""
        return self._aggregation

    @property
    def synchronization(self) -> str:
        """What was given; there is one device, whose value is the variable's."""
        return self._synchronization

    @property
    def regularizer(self) -> Any:
        """A function of the value whose result is added to the loss of the layer that has it; or None."""
        return self._regularizer

    @regularizer.setter
    def regularizer(self, value: Any) -> None:
        self._regularizer = _function_or_none(value, "regularizer")

    @property
    def constraint(self) -> Any:
        """A function of the value whose result takes its place after each update; or None."""
        return self._constraint

    @constraint.setter
    def constraint(self, value: Any) -> None:
        self._constraint = _function_or_none(value, "constraint")

    @property
    def overwrite_with_gradient(self) -> bool:
        """Whether an optimizer makes the gradient the value, instead of an update of it."""
        return self._overwrite_with_gradient

    @overwrite_with_gradient.setter
    def overwrite_with_gradient(self, value: bool) -> None:
        if not isinstance(value, (bool, np.bool_)):
            raise TypeError(f"overwrite_with_gradient: expected True or False, received {value!r}")
        self._overwrite_with_gradient = bool(value)

    @property
    def trainable(self) -> bool:
        """Whether training changes it."""
        return super().trainable

    @trainable.setter
    def trainable(self, value: bool) -> None:
        value = bool(value)
        if value != super().trainable:
            _core.Variable.trainable.__set__(self, value)  # type: ignore[attr-defined]
            trainable_set.note_change(self)

    def assign(self, value: Any) -> Variable:
        """Makes `value` (an array or tensor of the variable's shape) the current value.

        Numbers, arrays and floats of any type take the type of the variable.
        """
        if not isinstance(value, (_core.Tensor, _core.Variable)):
            value = np.asarray(value)
            if value.shape != self.shape:
                raise ValueError(f"{self.name}: assign expected shape {self.shape}, received {value.shape}")
        super().assign(value)
        return self

    def assign_add(self, value: Any) -> Variable:
        """Adds `value`."""
        return self.assign(self.value + value)

    def assign_sub(self, value: Any) -> Variable:
        """Subtracts `value`."""
        return self.assign(self.value - value)

    def __repr__(self) -> str:
        value = "" if context.is_tracing() else f", value={self.numpy()}"
        return f"<Variable path={self.path}, shape={self.shape}, dtype={self.dtype}{value}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Variable:
        rebuild, arguments = self.__reduce__()
        copy = memo[id(self)] = rebuild(*arguments)
        return copy

    def __reduce__(self) -> Any:
        # As float32, for who reads it may lack a numpy with bfloat16.
        value = self.value.astype(FLOAT) if self.dtype in STORED else self
        rest = {key: getattr(self, key) for key in _KEPT}
        known = (np.asarray(value), self.dtype, self.trainable, self.autocast, self.name)
        return _rebuild, (type(self), *known, rest)


def _function_or_none(value: Any, attribute: str) -> Any:
    if value is not None and not callable(value):
        raise ValueError(f"{attribute}: expected a function or None, received {value!r}")
    return value


def _rebuild(
    cls: Any, value: Any, dtype: str, trainable: bool, autocast: bool, name: str, rest: dict[str, Any]
) -> Any:
    variable = cls(value, dtype=dtype, trainable=trainable, autocast=autocast, name=name)
    for key, entry in rest.items():
        setattr(variable, key, entry)
    return variable
