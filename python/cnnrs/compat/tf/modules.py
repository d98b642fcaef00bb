"""`tf.Module` and `tf.TensorArray`.

>>> import cnnrs.compat.tf as tf
>>> class Scale(tf.Module):
...     def __init__(self):
...         super().__init__(name="scale")
...         self.factor = tf.Variable(2.0)
...     def __call__(self, x):
...         return x * self.factor
>>> scale = Scale()
>>> len(scale.trainable_variables), float(scale(3.0))
(1, 6.0)
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

from cnnrs import ops, variables
from cnnrs.compat.tf.arguments import boolean, integer, numbers, tensor
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.functions import name_scope
from cnnrs.compat.tf.shapes import TensorShape
from cnnrs.layers import Layer

__all__ = ["Module", "TensorArray"]


class Module:
    """An object that knows the variables and modules among its attributes.

    Args:
        name: Name; that of the class if None.
    """

    def __init__(self, name: str | None = None):
        if name is not None and not str(name).isidentifier():
            raise ValueError(f"tf.Module: name: expected a name such as of a variable, received {name!r}")
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type(self).__name__).lower()
        self._name = name or words

    @property
    def name(self) -> str:
        """The name."""
        return self._name

    @property
    def name_scope(self) -> Any:
        """Context manager: variables made inside have the module's name in their path."""
        return name_scope(self._name)

    def _leaves(self) -> Iterator[Any]:
        """Variables, modules and layers among the attributes, in containers too, by the attributes' names."""
        seen: set[int] = set()

        def walk(value: Any) -> Iterator[Any]:
            if id(value) in seen:
                return
            if isinstance(value, (variables.Variable, Layer, Module)):
                seen.add(id(value))
                yield value
            elif isinstance(value, dict):
                for key in sorted(value, key=str):
                    yield from walk(value[key])
            elif isinstance(value, (list, tuple, set)):
                for item in value:
                    yield from walk(item)

        for _, value in sorted(vars(self).items()):
            yield from walk(value)

    def _all_variables(self) -> list[Any]:
        found: dict[int, Any] = {}
        inner: list[Any] = []
        for leaf in self._leaves():
            if isinstance(leaf, variables.Variable):
                found.setdefault(id(leaf), leaf)
            else:
                inner += leaf._all_variables() if isinstance(leaf, Module) else leaf.variables
        for variable in inner:
            found.setdefault(id(variable), variable)
        return list(found.values())

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables of the module and of those inside."""
        return tuple(self._all_variables())

    @property
    def trainable_variables(self) -> tuple[Any, ...]:
        """Those that training changes."""
        return tuple(v for v in self._all_variables() if v.trainable)

    @property
    def non_trainable_variables(self) -> tuple[Any, ...]:
        """Those that it does not."""
        return tuple(v for v in self._all_variables() if not v.trainable)

    @property
    def submodules(self) -> tuple[Any, ...]:
        """The modules and layers inside, and those inside of these."""
        found: list[Any] = []
        for leaf in self._leaves():
            if isinstance(leaf, (Module, Layer)):
                found.append(leaf)
                found += leaf.submodules if isinstance(leaf, Module) else ()
        return tuple(found)

    @classmethod
    def with_name_scope(cls, method: Callable[..., Any]) -> Callable[..., Any]:
        """Decorates a method so that variables that it makes have the module's name in their path."""

        @functools.wraps(method)
        def scoped(self: Any, *args: Any, **kwargs: Any) -> Any:
            with self.name_scope:
                return method(self, *args, **kwargs)

        return scoped


class TensorArray:
    """A list of tensors of one dtype that loops write and read.

    Args:
        dtype: Element type.
        size: How many tensors; 0 with a size that changes.
        dynamic_size: Whether writing beyond the end makes it longer.
        clear_after_read: Whether a tensor can be read once.
        tensor_array_name: Name, for errors.
        handle: None.
        flow: None.
        infer_shape: Whether all tensors must have the shape of the first.
        element_shape: The shape that tensors must have.
        colocate_with_first_write_call: Either; there is one device.
        name: Name, for errors.

    >>> import cnnrs.compat.tf as tf
    >>> array = tf.TensorArray(tf.float32, size=2)
    >>> array = array.write(0, [1.0, 2.0]).write(1, [3.0, 4.0])
    >>> array.stack().numpy().tolist()
    [[1.0, 2.0], [3.0, 4.0]]
    """

    def __init__(
        self,
        dtype: Any,
        size: Any = None,
        dynamic_size: Any = None,
        clear_after_read: Any = None,
        tensor_array_name: str | None = None,
        handle: Any = None,
        flow: Any = None,
        infer_shape: bool = True,
        element_shape: Any = None,
        colocate_with_first_write_call: bool = True,
        name: str | None = None,
    ):
        if handle is not None or flow is not None:
            raise ValueError(
                "TensorArray: handle, flow: expected None, for there are no graphs of TensorFlow"
            )
        boolean(colocate_with_first_write_call, "TensorArray", "colocate_with_first_write_call")
        self._name = name or tensor_array_name or "TensorArray"
        self._dtype = as_dtype(dtype)
        self._grows = bool(dynamic_size)
        self._once = bool(clear_after_read)
        self._one_shape = infer_shape
        self._shape = TensorShape(element_shape)
        many = 0 if size is None else integer(size, "TensorArray", "size")
        self._items: list[Any] = [None] * many

    @property
    def dtype(self) -> Any:
        """The element type."""
        return self._dtype

    @property
    def element_shape(self) -> TensorShape:
        """The shape of the tensors, as far as it is known."""
        return self._shape

    def size(self, name: str | None = None) -> Any:
        """How many tensors there are; `name` is a text or None."""
        return tensor(len(self._items) if name is None or str(name) else 0)

    def _place(self, index: Any) -> int:
        place = integer(index, self._name, "index")
        if not 0 <= place < len(self._items):
            raise ValueError(f"{self._name}: index: expected 0 to {len(self._items) - 1}, received {place}")
        return place

    def write(self, index: Any, value: Any, name: str | None = None) -> TensorArray:
        """Puts a tensor at an index, and gives the array."""
        place = integer(index, name or self._name, "index")
        if place >= len(self._items) and self._grows:
            self._items += [None] * (place + 1 - len(self._items))
        made = tensor(value)
        if made.dtype != self._dtype:
            raise TypeError(f"{self._name}: expected {self._dtype.name}, received {made.dtype.name}")
        self._shape.assert_is_compatible_with(made.shape)
        if self._one_shape:
            self._shape = self._shape.merge_with(made.shape)
        self._items[self._place(place)] = made
        return self

    def read(self, index: Any, name: str | None = None) -> Any:
        """The tensor at an index; zeros where none was written."""
        place = self._place(index)
        found = self._items[place]
        if found is None:
            if not self._shape.is_fully_defined():
                raise ValueError(f"{name or self._name}: nothing was written at {place}")
            found = ops.zeros(tuple(self._shape), self._dtype.name)
        if self._once:
            self._items[place] = None
        return found

    def _all(self) -> list[Any]:
        return [self.read(i) for i in range(len(self._items))]

    def stack(self, name: str | None = None) -> Any:
        """All tensors along a new first axis."""
        if not self._items:
            raise ValueError(f"{name or self._name}: expected at least one tensor to stack")
        return ops.stack(self._all(), axis=0)

    def concat(self, name: str | None = None) -> Any:
        """All tensors one behind the other along their first axis."""
        if not self._items:
            raise ValueError(f"{name or self._name}: expected at least one tensor to concatenate")
        return ops.concatenate(self._all(), axis=0)

    def gather(self, indices: Any, name: str | None = None) -> Any:
        """The tensors at indices along a new first axis."""
        places = numbers(indices, name or self._name, "indices")
        return ops.stack([self.read(i) for i in places], axis=0)

    def unstack(self, value: Any, name: str | None = None) -> TensorArray:
        """Puts the slices along the first axis of a tensor at 0, 1, ..."""
        for i, part in enumerate(ops.unstack(tensor(value), axis=0)):
            if i >= len(self._items):
                self._items.append(None)
            self.write(i, part, name)
        return self

    def scatter(self, indices: Any, value: Any, name: str | None = None) -> TensorArray:
        """Puts the slices along the first axis of a tensor at indices."""
        places = numbers(indices, name or self._name, "indices")
        for i, part in zip(places, ops.unstack(tensor(value), axis=0), strict=True):
            self.write(i, part)
        return self

    def split(self, value: Any, lengths: Any, name: str | None = None) -> TensorArray:
        """Puts parts of a tensor, of such lengths along the first axis, at 0, 1, ..."""
        made, start = tensor(value), 0
        for i, length in enumerate(numbers(lengths, name or self._name, "lengths")):
            self.write(i, made[start : start + length])
            start += length
        return self

    def identity(self) -> TensorArray:
        """The array itself."""
        return self

    def __len__(self) -> int:
        return len(self._items)
