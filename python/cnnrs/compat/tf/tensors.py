"""Tensors and variables as TensorFlow's scripts make and ask them.

This module gives `cnnrs.Tensor`, `cnnrs.Variable` and symbolic tensors what TensorFlow's have besides: shapes
with `as_list`, dtypes with `name`, `get_shape`, `set_shape`, `ref`. Shapes stay tuples, and dtypes strings.

>>> import cnnrs.compat.tf as tf
>>> v = tf.Variable([1.0, 2.0], name="scale")
>>> v.assign_add([1.0, 1.0]).numpy().tolist(), v.dtype.is_floating, v.get_shape().rank
([2.0, 3.0], True, 1)
"""

from __future__ import annotations

import enum
import functools
from typing import Any

import numpy as np

from cnnrs import _core, initializers, ops
from cnnrs import variables as _variables
from cnnrs.base.dtypes import is_number
from cnnrs.compat.tf.arguments import boolean, extents, of_dtype, tensor
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.namespaces import operation
from cnnrs.compat.tf.shapes import TensorShape, of_tuple
from cnnrs.data.strings import StringTensor
from cnnrs.ops.methods import KerasTensor, Tensor

__all__ = [
    "Assert",
    "IndexedSlices",
    "Tensor",
    "Variable",
    "VariableAggregation",
    "VariableSynchronization",
    "constant",
    "constant_initializer",
    "convert_to_tensor",
    "is_tensor",
    "make_ndarray",
    "make_tensor_proto",
    "ones_initializer",
    "random_normal_initializer",
    "random_uniform_initializer",
    "zeros_initializer",
]


class _Reference:
    """A tensor as a key of dicts and sets, which compares by identity."""

    def __init__(self, target: Any):
        self._target = target

    def deref(self) -> Any:
        """The tensor."""
        return self._target

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reference) and self._target is other._target

    def __hash__(self) -> int:
        return id(self._target)


def _get_shape(self: Any) -> TensorShape:
    """The shape."""
    return self.shape


def _set_shape(self: Any, shape: Any) -> None:
    """Says what the shape is; a symbolic tensor knows it from then on.

    Raises:
        ValueError: The tensor has another one.
    """
    known = TensorShape(self.shape).merge_with(shape)
    if isinstance(self, KerasTensor):
        self._shape = tuple(known)


def _ref(self: Any) -> _Reference:
    """A key for dicts and sets that stands for the tensor."""
    return _Reference(self)


def _attach() -> None:
    """Gives the classes of tensors what TensorFlow's have."""
    # Type checkers take classes to stay as they are.
    for cls in (Tensor, _core.Variable, KerasTensor):
        shape, dtype = cls.shape.__get__, cls.dtype.__get__
        cls.shape = property(lambda self, get=shape: of_tuple(get(self)), doc="Extents.")  # type: ignore
        cls.dtype = property(lambda self, get=dtype: as_dtype(get(self)), doc="Element type.")  # type: ignore
        cls.get_shape = _get_shape  # type: ignore[union-attr]
        cls.set_shape = _set_shape  # type: ignore[union-attr]
        cls.ref = _ref  # type: ignore[union-attr]


_attach()


class _OfAnyVariable(type):
    """`isinstance(x, tf.Variable)` holds of all variables, those of layers too."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return (
            isinstance(instance, _variables.Variable)
            if cls is Variable
            else super().__instancecheck__(instance)
        )


class Variable(_variables.Variable, metaclass=_OfAnyVariable):
    """A tensor with an identity, made as TensorFlow makes it.

    Args:
        initial_value: A value, or a function without arguments that gives one.
        trainable: Whether training changes it; None for True.
        validate_shape: True: assigned values have the shape of the first.
        caching_device: None; there is one device.
        name: Name.
        variable_def: None; there are no graphs of TensorFlow.
        dtype: Element type; None for that of the value.
        import_scope: None; there are no graphs of TensorFlow.
        constraint: A function of the value whose result takes its place after each update.
        synchronization: How replicas agree; there is one.
        aggregation: How replicas are combined; there is one.
        shape: The shape, if it is to be checked.
        experimental_enable_variable_lifting: True.
    """

    def __new__(
        cls,
        initial_value: Any = None,
        trainable: bool | None = None,
        validate_shape: bool = True,
        caching_device: Any = None,
        name: str | None = None,
        variable_def: Any = None,
        dtype: Any = None,
        import_scope: Any = None,
        constraint: Any = None,
        synchronization: Any = None,
        aggregation: Any = None,
        shape: Any = None,
        experimental_enable_variable_lifting: bool = True,
        **kwargs: Any,
    ) -> Variable:
        if "initializer" in kwargs:
            # Copies and pickles rebuild a variable with the arguments of cnnrs.Variable.
            initial_value = kwargs.pop("initializer")
        autocast = kwargs.pop("autocast", True)
        if kwargs:
            raise TypeError(f"tf.Variable: unexpected argument {next(iter(kwargs))!r}")
        if not validate_shape or not experimental_enable_variable_lifting:
            raise ValueError("tf.Variable: expected True; a variable keeps the shape of its first value")
        for argument, value in (
            ("caching_device", caching_device),
            ("variable_def", variable_def),
            ("import_scope", import_scope),
        ):
            if value is not None:
                raise ValueError(f"tf.Variable: {argument}: expected None, received {value!r}")
        if initial_value is None:
            raise ValueError("tf.Variable: initial_value: expected a value or a function, received None")
        value = initial_value() if callable(initial_value) else initial_value
        given = None if dtype is None else as_dtype(dtype)
        if given is not None and isinstance(value, (Tensor, _core.Variable)):
            value = of_dtype(value, given.name, "Variable")
        made = convert_to_tensor(value, given)
        if shape is not None and not TensorShape(shape).is_compatible_with(made.shape):
            raise ValueError(f"tf.Variable: shape: expected {tuple(shape)}, received {tuple(made.shape)}")
        if name is not None:
            name = name.replace("/", "_").removesuffix(":0")
        self: Any = super().__new__(
            cls,
            made.numpy() if made.is_realised else made,
            dtype=made.dtype.name,
            trainable=trainable is None or trainable,
            autocast=autocast,
            name=name or "Variable",
            synchronization=_word(synchronization, "auto"),
            aggregation=_word(aggregation, "none"),
        )
        self.constraint = constraint
        return self

    def assign(
        self, value: Any, use_locking: Any = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Makes `value` the current value.

        Args:
            value: Of the variable's shape.
            use_locking: Either; variables are always locked.
            name: Name of the operation, for errors.
            read_value: Whether to return the variable; else None.
        """
        boolean(use_locking, "assign", "use_locking")
        try:
            super().assign(value)
        except ValueError as error:
            raise ValueError(f"{name}: {error}" if name else str(error)) from None
        return self if read_value else None

    def assign_add(
        self, delta: Any, use_locking: Any = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Adds `delta`; arguments are those of `assign`."""
        return self.assign(
            self.value + of_dtype(delta, self.dtype, "assign_add"), use_locking, name, read_value
        )

    def assign_sub(
        self, delta: Any, use_locking: Any = False, name: str | None = None, read_value: bool = True
    ) -> Any:
        """Subtracts `delta`; arguments are those of `assign`."""
        return self.assign(
            self.value - of_dtype(delta, self.dtype, "assign_sub"), use_locking, name, read_value
        )

    def __getitem__(self, key: Any) -> Any:
        """A part of the value as a tensor, which has a method `assign(value)` that changes this part."""
        part: Any = super().__getitem__(key)
        part.assign = functools.partial(_assign_part, self, key)
        return part

    def read_value(self) -> Any:
        """The current value as a tensor."""
        return self.value

    def initialized_value(self) -> Any:
        """The current value as a tensor: variables always have one."""
        return self.value

    def _scattered(self, indices: Any, updates: Any, reduction: str | None) -> Any:
        return self.assign(ops.scatter_update(self.value, indices, updates, reduction=reduction))

    @operation
    def scatter_nd_update(self, indices: Any, updates: Any) -> Any:
        """Puts `updates` at `indices`, whose last axis holds positions."""
        return self._scattered(indices, updates, None)

    @operation
    def scatter_nd_add(self, indices: Any, updates: Any) -> Any:
        """Adds `updates` at `indices`, whose last axis holds positions."""
        return self._scattered(indices, updates, "add")

    @operation
    def scatter_nd_sub(self, indices: Any, updates: Any) -> Any:
        """Subtracts `updates` at `indices`, whose last axis holds positions."""
        return self._scattered(indices, -tensor(updates), "add")

    @operation
    def scatter_update(self, sparse_delta: Any) -> Any:
        """Puts the rows of `IndexedSlices` in the place of those at their indices."""
        return self._scattered(ops.expand_dims(sparse_delta.indices, -1), sparse_delta.values, None)

    @operation
    def scatter_add(self, sparse_delta: Any) -> Any:
        """Adds the rows of `IndexedSlices` to those at their indices."""
        return self._scattered(ops.expand_dims(sparse_delta.indices, -1), sparse_delta.values, "add")

    @operation
    def gather_nd(self, indices: Any) -> Any:
        """The parts at `indices`, whose last axis holds positions."""
        from cnnrs.compat.tf.selecting import gather_nd

        return gather_nd(self.value, indices)

    @operation
    def sparse_read(self, indices: Any) -> Any:
        """The rows at `indices`."""
        return ops.take(self.value, indices, axis=0)

    def is_initialized(self) -> bool:
        """True: variables always have a value."""
        return True


def _assign_part(
    variable: Variable, key: Any, value: Any, name: str | None = None, read_value: bool = True
) -> Any:
    """`variable[key].assign(value)`: the elements at `key` change, and the others stay."""
    old = variable.value
    places = ops.reshape(ops.arange(old.size, dtype="int32"), old.shape)[key]
    given = of_dtype(value, variable.dtype, name or "assign")
    if tuple(given.shape) != tuple(places.shape):
        try:
            given = ops.broadcast_to(given, places.shape)
        except ValueError:
            raise ValueError(
                f"{name or 'assign'}: expected a value of shape {tuple(places.shape)}, as the part has, "
                f"received {tuple(given.shape)}"
            ) from None
    flat = [ops.reshape(x, shape) for x, shape in ((old, (-1,)), (places, (-1, 1)), (given, (-1,)))]
    return variable.assign(
        ops.reshape(ops.scatter_update(*flat), old.shape), name=name, read_value=read_value
    )


def _word(choice: Any, default: str) -> str:
    """A choice of an enumeration as the word that `cnnrs.Variable` takes."""
    return (
        default if choice is None else choice.name.lower() if isinstance(choice, enum.Enum) else str(choice)
    )


class VariableSynchronization(enum.Enum):
    """How replicas agree on a variable; there is one replica."""

    AUTO = 0
    NONE = 1
    ON_WRITE = 2
    ON_READ = 3


class VariableAggregation(enum.Enum):
    """How the values of replicas are combined; there is one replica."""

    NONE = 0
    SUM = 1
    MEAN = 2
    ONLY_FIRST_REPLICA = 3


class IndexedSlices:
    """Rows of a tensor and where they stand.

    Args:
        values: The rows.
        indices: Their places along axis 0.
        dense_shape: The shape of the whole.
    """

    def __init__(self, values: Any, indices: Any, dense_shape: Any = None):
        self.values = tensor(values)
        self.indices = tensor(indices)
        self.dense_shape = None if dense_shape is None else tensor(dense_shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """The whole, with zeros where no row stands; rows of the same index add up."""
        if self.dense_shape is None or copy is False:
            raise ValueError("IndexedSlices: expected dense_shape, and a copy, to make an array")
        whole = ops.zeros(extents(self.dense_shape, "IndexedSlices"), self.values.dtype)
        index = ops.expand_dims(self.indices, -1)
        return np.asarray(ops.scatter_update(whole, index, self.values, reduction="add"), dtype)


def _strings(value: Any) -> bool:
    array = np.asarray(value) if not isinstance(value, (Tensor, _core.Variable)) else None
    return array is not None and (
        array.dtype.kind in "SU" or (array.dtype == object and not is_number(array))
    )


def convert_to_tensor(value: Any, dtype: Any = None, dtype_hint: Any = None, name: str | None = None) -> Any:
    """`value` as a tensor. Texts stay an array of numpy, of objects.

    Args:
        value: A tensor, variable, array, number, text or nested list.
        dtype: Element type; a tensor must have it.
        dtype_hint: Element type for numbers, if they fit it.
        name: What begins the message of an error.

    Raises:
        TypeError: The value has another dtype, or is nothing that a tensor is made of.
    """
    try:
        return _converted(value, dtype, dtype_hint)
    except (TypeError, ValueError) as error:
        raise (type(error)(f"{name}: {error}") if name else error) from None


def _converted(value: Any, dtype: Any, hint: Any) -> Any:
    if isinstance(value, KerasTensor):
        return value
    wanted = None if dtype is None else as_dtype(dtype)
    if wanted == "string" or (wanted is None and isinstance(value, (str, bytes, list, tuple, np.ndarray))):
        from cnnrs.compat.tf import strings

        if wanted == "string" or strings.is_text(value):
            return StringTensor(strings.as_array(value))
    if wanted is not None:
        return of_dtype(value, wanted.name, "convert_to_tensor")
    if hint is not None:
        try:
            return of_dtype(value, as_dtype(hint).name, "convert_to_tensor")
        except TypeError:
            return tensor(value)
    return tensor(value)


def constant(value: Any, dtype: Any = None, shape: Any = None, name: str = "Const") -> Any:
    """A tensor of values.

    Args:
        value: An array, number, text or nested list.
        dtype: Element type; None for that of the value, which is float32 and int32 for Python's numbers.
        shape: The shape that a single number, or as many values, get.
        name: What begins the message of an error.

    Raises:
        TypeError: The values do not fit the dtype.
        ValueError: They do not fit the shape.
    """
    try:
        wanted = None if dtype is None else as_dtype(dtype)
        if (
            wanted is not None
            and wanted not in ("string", "bool")
            and isinstance(value, (np.ndarray, np.generic))
        ):
            # An array of numpy is converted, whatever it holds.
            made = ops.cast(tensor(value), wanted.name)
        else:
            made = convert_to_tensor(value, wanted)
        if shape is None:
            return made
        whole = extents(shape, "constant")
        if made.size == 1:
            return ops.broadcast_to(ops.reshape(made, [1] * len(whole)), whole)
        return ops.reshape(made, whole)
    except (TypeError, ValueError) as error:
        raise (type(error)(f"{name}: {error}") if name != "Const" else error) from None


def is_tensor(x: Any) -> bool:
    """Whether `x` is a tensor, a variable or a symbolic tensor."""
    return isinstance(x, (Tensor, _core.Variable, KerasTensor))


def make_ndarray(tensor: Any) -> np.ndarray:
    """The values of a tensor as an array."""
    return np.asarray(tensor)


def make_tensor_proto(values: Any, dtype: Any = None, shape: Any = None) -> np.ndarray:
    """Values as an array, which is what tensors are written as here."""
    return np.asarray(constant(values, dtype, shape))


def Assert(condition: Any, data: Any, summarize: int | None = None, name: str | None = None) -> None:
    """Checks a condition.

    Args:
        condition: A bool, or a tensor of one.
        data: What the error shows.
        summarize: How many elements of each it shows; None for 3.
        name: What begins the message.

    Raises:
        InvalidArgumentError: It does not hold.
    """
    from cnnrs.compat.tf.errors import InvalidArgumentError

    if not bool(np.asarray(condition).all()):
        many = 3 if summarize is None else summarize
        shown = [np.asarray(x).reshape(-1)[: many if many >= 0 else None].tolist() for x in data]
        raise InvalidArgumentError(f"{name + ': ' if name else ''}assertion failed: {shown}")


# The initializers of TensorFlow 1, whose names begin with what they fill.
class _GivesTensors:
    """An initializer whose values are tensors."""

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        """Values of a shape."""
        # The initializer stands beside this class among the bases.
        return tensor(super().__call__(tuple(TensorShape(shape)), dtype=dtype))  # type: ignore[misc]


class constant_initializer(_GivesTensors, initializers.Constant):
    """`tf.keras.initializers.Constant` that gives tensors."""


class ones_initializer(_GivesTensors, initializers.Ones):
    """`tf.keras.initializers.Ones` that gives tensors."""


class zeros_initializer(_GivesTensors, initializers.Zeros):
    """`tf.keras.initializers.Zeros` that gives tensors."""


class random_normal_initializer(_GivesTensors, initializers.RandomNormal):
    """`tf.keras.initializers.RandomNormal` that gives tensors."""


class random_uniform_initializer(_GivesTensors, initializers.RandomUniform):
    """`tf.keras.initializers.RandomUniform` that gives tensors."""
