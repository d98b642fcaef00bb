"""The base class of metrics, and those that add things up."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import initializers, ops
from cnnrs.base import naming
from cnnrs.base.arguments import NamedArguments
from cnnrs.base.containers import open_container
from cnnrs.base.dtypes import require_float32
from cnnrs.losses.loss import as_tensor, squeeze_or_expand
from cnnrs.ops import raw
from cnnrs.ops.annotated import info_of
from cnnrs.ops.masks import mask_of, weigh
from cnnrs.variables import Variable


class Metric(NamedArguments):
    """Base class: state in variables, `update_state(...)`, `result()`, `reset_state()`.

    Args:
        dtype: float32.
        name: Name; made up if absent.

    Example:

    >>> from cnnrs import metrics
    >>> class Largest(metrics.Metric):
    ...     def __init__(self, name="largest"):
    ...         super().__init__(name=name)
    ...         self.value = self.add_weight(name="value")
    ...     def update_state(self, y_true, y_pred, sample_weight=None):
    ...         from cnnrs import ops
    ...         self.value.assign(ops.maximum(self.value, ops.max(y_pred)))
    ...     def result(self):
    ...         return self.value.value
    >>> largest = Largest()
    >>> float(largest([0.0, 0.0], [3.0, 1.0]))
    3.0
    """

    def __init__(self, dtype: Any = None, name: str | None = None):
        require_float32(dtype, type(self).__name__)
        self.name = name or naming.auto_name(naming.to_snake_case(type(self).__name__))
        self.dtype = "float32"
        self._variables: list[Variable] = []

    @property
    def variables(self) -> list[Variable]:
        """The state: variables and those of metrics that are attributes, also inside of containers."""
        found = {id(variable): variable for variable in getattr(self, "_variables", ())}
        for attribute in vars(self).values():
            for value in open_container(attribute):
                if isinstance(value, Variable):
                    found.setdefault(id(value), value)
                elif isinstance(value, Metric):
                    found.update((id(v), v) for v in value.variables if id(v) not in found)
        return list(found.values())

    def add_variable(
        self,
        shape: Any,
        initializer: Any,
        dtype: Any = None,
        aggregation: str = "sum",
        name: str | None = None,
    ) -> Variable:
        """A variable of the metric's state."""
        made = initializers.get(initializer if initializer is not None else "zeros")
        variable = Variable(made, shape=tuple(shape), dtype=dtype or "float32", trainable=False, name=name)
        self._variables.append(variable)
        return variable

    def add_weight(
        self, shape: Any = (), initializer: Any = None, dtype: Any = None, name: str | None = None
    ) -> Variable:
        """A variable of the metric's state, zeros by default."""
        return self.add_variable(shape, initializer, dtype, name=name)

    def update_state(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch in."""
        raise NotImplementedError(f"{type(self).__name__} must define update_state")

    def result(self) -> Any:
        """The value so far."""
        raise NotImplementedError(f"{type(self).__name__} must define result")

    def reset_state(self) -> None:
        """Starts afresh: all state becomes 0."""
        for variable in self.variables:
            variable.assign(_zeros(variable))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch in and gives the value so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"name": self.name}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _zeros(variable: Variable) -> Any:
    return np.zeros(variable.shape, variable.dtype)


def add_compensated(total: Variable, compensation: Variable, value: Any) -> None:
    """Adds with the rounding error carried along (Kahan 1965), so that many small terms count."""
    term = value - compensation
    added = total + term
    compensation.assign((added - total) - term)
    total.assign(added)


class Sum(Metric):
    """The weighted sum of all values.

    >>> from cnnrs import metrics
    >>> float(metrics.Sum()([1.0, 3.0]))
    4.0
    """

    def __init__(self, name: str = "sum", dtype: Any = None):
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_weight(name="total")
        self._compensation = self.add_weight(name="compensation")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = _of_samples(values, sample_weight, raw.sum)
        add_compensated(self.total, self._compensation, raw.sum(values))

    def result(self) -> Any:
        return self.total.value


def _of_samples(values: Any, sample_weight: Any, reduce: Callable[..., Any]) -> tuple[Any, Any]:
    """One weighted value a sample, and the sum of the weights of all samples; 0 where a mask is False.

    A sample counts once, however many values it has: these are reduced, and their weights averaged, as in
    Keras.
    """
    values = as_tensor(values)
    if values.dtype != "float32":
        values = values.astype("float32")
    mask = info_of(values).mask
    if sample_weight is None and mask is None:
        return _inner(values, reduce, 1), float(values.shape[0] if values.shape else 1)
    weight = fit_weight(as_tensor(1.0 if sample_weight is None else sample_weight).astype("float32"), values)
    if mask is not None:
        missing = len(values.shape) - len(weight.shape)
        weight = raw.reshape(weight, shape=[*weight.shape, *[1] * missing]) * mask.astype("float32")
    if len(weight.shape):
        values = _inner(values, reduce, len(weight.shape))
    weight = raw.broadcast_to(weight, shape=list(values.shape))
    return _inner(values * weight, reduce, 1), raw.sum(_inner(weight, raw.mean, 1))


def _inner(x: Any, reduce: Callable[..., Any], first: int) -> Any:
    """`x` reduced over its axes from `first` on."""
    return reduce(x, axes=list(range(first, len(x.shape)))) if len(x.shape) > first else x


def fit_weight(weight: Any, values: Any) -> Any:
    """Weights of at most as many axes as values.

    Raises:
        ValueError: They do not fit.
    """
    given = tuple(weight.shape)
    if len(weight.shape) == len(values.shape) + 1 and weight.shape[-1] == 1:
        weight = raw.squeeze(weight, axis=-1)
    if len(weight.shape) > len(values.shape) or any(
        w not in (1, v) for w, v in zip(weight.shape, values.shape, strict=False)
    ):
        raise ValueError(
            f"sample_weight: expected a shape that fits values of shape {tuple(values.shape)}, "
            f"received {given}"
        )
    return weight


class Mean(Metric):
    """The weighted mean of all values.

    >>> from cnnrs import metrics
    >>> mean = metrics.Mean()
    >>> mean.update_state([1.0, 3.0, 5.0])
    >>> float(mean.result())
    3.0
    """

    def __init__(self, name: str = "mean", dtype: Any = None):
        super().__init__(dtype=dtype, name=name)
        self.total = self.add_weight(name="total")
        self.count = self.add_weight(name="count")
        self._compensation = self.add_weight(name="compensation")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, weight = _of_samples(values, sample_weight, raw.mean)
        add_compensated(self.total, self._compensation, raw.sum(values))
        self.count.assign(self.count + weight)

    def result(self) -> Any:
        count = self.count.value
        # Weights may be negative, and cancel.
        return ops.divide_no_nan(self.total, count)


class MeanMetricWrapper(Mean):
    """The mean of a function `(y_true, y_pred, **kwargs)`, one value a sample.

    Args:
        fn: The function.
        name: Name, by default the function's.
        dtype: None or "float32".
        **kwargs: Further arguments of the function.

    >>> from cnnrs import metrics, ops
    >>> largest = metrics.MeanMetricWrapper(lambda y, p: ops.max(ops.abs(y - p), axis=-1), name="largest")
    >>> float(largest([[0.0, 0.0]], [[1.0, -3.0]]))
    3.0
    """

    def __init__(self, fn: Any, name: str | None = None, dtype: Any = None, **kwargs: Any):
        super().__init__(name=name or str(getattr(fn, "__name__", "mean")), dtype=dtype)
        self._fn = fn
        self._fn_kwargs = kwargs

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        mask = mask_of(y_pred)
        if mask is not None:
            sample_weight = weigh(None if sample_weight is None else as_tensor(sample_weight), mask)
        y_true, y_pred = squeeze_or_expand(as_tensor(y_true), as_tensor(y_pred))
        super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), **self._fn_kwargs}
