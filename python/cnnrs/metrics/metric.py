"""The base class of metrics, and those that add things up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import initializers, ops
from cnnrs.base import naming, policies
from cnnrs.base.arguments import NamedArguments
from cnnrs.base.containers import open_container
from cnnrs.base.dtypes import FLOAT, FLOATS, STORED
from cnnrs.losses.loss import as_tensor, squeeze_or_expand
from cnnrs.ops import raw
from cnnrs.ops.annotated import info_of
from cnnrs.ops.masks import mask_of, weigh
from cnnrs.serialization import deserialize_keras_object, serialize_keras_object
from cnnrs.variables import Variable


class Metric(NamedArguments):
    """Base class: state in variables, `update_state(...)`, `result()`, `reset_state()`.

    Args:
        dtype: The type of the result, and of variables that are added without one; None for
            float32. Metrics of the package keep sums of 16 bits in float32.
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

    # "up" or "down": where the metric becomes better, for callbacks; None where nobody knows.
    _direction: str | None = None

    def __init__(self, dtype: Any = None, name: str | None = None):
        self._dtype = _dtype_of(dtype)
        self.name = name or naming.auto_name(naming.to_snake_case(type(self).__name__))
        self._variables: list[Variable] = []

    @property
    def dtype(self) -> str:
        """The type of the result."""
        return self._dtype

    @property
    def variables(self) -> list[Variable]:
        """The state: variables and those of metrics that are attributes, also inside of containers."""
        found = {id(variable): variable for variable in getattr(self, "_variables", ())}
        for value in self._attributes():
            if isinstance(value, Variable):
                found.setdefault(id(value), value)
            elif isinstance(value, Metric):
                found.update((id(v), v) for v in value.variables if id(v) not in found)
        return list(found.values())

    def _attributes(self) -> Iterator[Any]:
        for attribute in list(vars(self).values()):
            yield from open_container(attribute)

    def _state(self) -> list[Variable]:
        """All that updates change: `variables`, and what their rounding took from them."""
        found = {id(variable): variable for variable in self.variables}
        for value in self._attributes():
            if isinstance(value, RunningSum):
                found.setdefault(id(value.lost), value.lost)
            elif isinstance(value, Metric):
                found.update((id(v), v) for v in value._state() if id(v) not in found)
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
        variable = Variable(
            made,
            shape=tuple(shape),
            dtype=dtype or self.dtype,
            trainable=False,
            aggregation=aggregation,
            name=name,
        )
        variable._path = f"{self.name}/{variable.name}"
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

    def _add_sum(self, name: str, shape: Any = ()) -> RunningSum:
        """A sum over batches, whose variable is one of `variables` and an attribute of that name."""
        added = RunningSum(self.add_variable(shape, None, self._sum_dtype, name=name))
        setattr(self, name, added.total)
        return added

    @property
    def _sum_dtype(self) -> str:
        return FLOAT if self.dtype in STORED or self.dtype not in FLOATS else self.dtype

    def _as_dtype(self, result: Any) -> Any:
        """A result in the type that was asked for; ratios of integers stay floats."""
        return result.astype(self.dtype) if self.dtype in FLOATS and result.dtype != self.dtype else result

    def stateless_update_state(self, metric_variables: Any, *args: Any, **kwargs: Any) -> Any:
        """What `update_state` makes of other values of the state, which itself stays as it is.

        Args:
            metric_variables: Values of `variables`, in their order.
            *args: As in `update_state`.
            **kwargs: As in `update_state`.

        Returns:
            The next values, a list of tensors.

        Raises:
            ValueError: Their number is not that of `variables`.

        >>> from cnnrs import metrics
        >>> mean = metrics.Mean()
        >>> [float(value) for value in mean.stateless_update_state([4.0, 1.0], [2.0])]
        [6.0, 2.0]
        >>> float(mean.result())
        0.0
        """
        return self._with_values(
            metric_variables, lambda: self.update_state(*args, **kwargs), "stateless_update_state"
        )[1]

    def stateless_result(self, metric_variables: Any) -> Any:
        """The result that other values of the state would give.

        >>> from cnnrs import metrics
        >>> float(metrics.Mean().stateless_result([6.0, 2.0]))
        3.0
        """
        return self._with_values(metric_variables, self.result, "stateless_result")[0]

    def stateless_reset_state(self) -> Any:
        """The values that `reset_state` would give the state, a list of tensors."""
        return self._with_values([v.value for v in self.variables], self.reset_state, "")[1]

    def _with_values(self, values: Any, run: Callable[[], Any], method: str) -> tuple[Any, Any]:
        """What `run` gives and leaves while the state has other values."""
        state, variables = self._state(), self.variables
        before, values = [v.value for v in state], list(values)
        if len(values) != len(variables):
            raise ValueError(
                f"{self.name}: {method}: metric_variables: expected {len(variables)} values, "
                f"received {len(values)}"
            )
        try:
            for variable, value in zip(variables, values, strict=True):
                variable.assign(as_tensor(value).astype(variable.dtype))
            result = run()
            return result, [variable.value for variable in variables]
        finally:
            for variable, value in zip(state, before, strict=True):
                variable.assign(value)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Takes a batch in and gives the value so far."""
        self.update_state(*args, **kwargs)
        return self.result()

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"name": self.name, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Metric:
        """The metric of a config."""
        return cls(**config)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def _zeros(variable: Variable) -> Any:
    return np.zeros(variable.shape, variable.dtype)


def _dtype_of(dtype: Any) -> str:
    """The name of the type that a metric is told: by name, or by a policy, which may be a config."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    return FLOAT if dtype is None else policies.of(dtype).compute_dtype


class RunningSum:
    """A sum over batches that does not lose small terms, so that counts stay exact beyond 2²⁴.

    Attributes:
        total: The sum, as the type of the variable has it.
        lost: What rounding took from it (Kahan 1965). Who sets `total` need not know of it: what is larger
            than the rounding of `total` belongs to another sum, and counts as 0.
    """

    __slots__ = ("lost", "total")

    def __init__(self, total: Variable):
        self.total = total
        zeros = np.zeros(total.shape, total.dtype)
        self.lost = Variable(zeros, dtype=total.dtype, trainable=False, name=f"{total.name}_lost")

    def add(self, value: Any) -> None:
        """Adds a tensor of the shape of `total`."""
        lost = self.lost.value
        lost = raw.where(raw.abs(lost) <= raw.abs(self.total) * 2.0**-22, lost, 0.0)
        term = value - lost
        added = self.total + term
        self.lost.assign((added - self.total) - term)
        self.total.assign(added)


class Sum(Metric):
    """The weighted sum of all values.

    >>> from cnnrs import metrics
    >>> float(metrics.Sum()([1.0, 3.0]))
    4.0
    """

    total: Variable

    def __init__(self, name: str = "sum", dtype: Any = None):
        super().__init__(dtype=dtype, name=name)
        self._sum = self._add_sum("total")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values, _ = _of_samples(as_tensor(values).astype(self.dtype), sample_weight, raw.sum, self._sum_dtype)
        self._sum.add(raw.sum(values))

    def result(self) -> Any:
        return self._as_dtype(self.total.value)


def _of_samples(
    values: Any, sample_weight: Any, reduce: Callable[..., Any], dtype: str = FLOAT
) -> tuple[Any, Any]:
    """One weighted value a sample, and the sum of the weights of all samples; 0 where a mask is False.

    A sample counts once, however many values it has: these are reduced, and their weights averaged, as in
    Keras.
    """
    if values.dtype != dtype:
        values = values.astype(dtype)
    mask = info_of(values).mask
    if sample_weight is None and mask is None:
        return _inner(values, reduce, 1), float(values.shape[0] if values.shape else 1)
    weight = fit_weight(as_tensor(1.0 if sample_weight is None else sample_weight).astype(dtype), values)
    if mask is not None:
        missing = len(values.shape) - len(weight.shape)
        weight = raw.reshape(weight, shape=[*weight.shape, *[1] * missing]) * mask.astype(dtype)
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


def check_pair(y_true: Any, y_pred: Any, owner: str) -> None:
    """Raises ValueError where targets and predictions that are compared one by one differ in shape."""
    if tuple(y_true.shape) != tuple(y_pred.shape):
        raise ValueError(
            f"{owner}: y_true: expected the shape of y_pred, {tuple(y_pred.shape)}, "
            f"received {tuple(y_true.shape)}"
        )


class Mean(Metric):
    """The weighted mean of all values.

    >>> from cnnrs import metrics
    >>> mean = metrics.Mean()
    >>> mean.update_state([1.0, 3.0, 5.0])
    >>> float(mean.result())
    3.0
    """

    total: Variable
    count: Variable

    def __init__(self, name: str = "mean", dtype: Any = None):
        super().__init__(dtype=dtype, name=name)
        self._sum, self._weights = self._add_sum("total"), self._add_sum("count")

    def update_state(self, values: Any, sample_weight: Any = None) -> None:
        values = as_tensor(values)
        values = values if values.dtype == self.dtype else values.astype(self.dtype)
        values, weight = _of_samples(values, sample_weight, raw.mean, self._sum_dtype)
        self._sum.add(raw.sum(values))
        self._weights.add(weight)

    def result(self) -> Any:
        # Weights may be negative, and cancel.
        return self._as_dtype(ops.divide_no_nan(self.total, self.count.value))


class MeanMetricWrapper(Mean):
    """The mean of a function `(y_true, y_pred, **kwargs)`, one value a sample.

    Args:
        fn: The function.
        name: Name, by default the function's.
        dtype: As in `Metric`.
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
        if self._direction is None and str(getattr(fn, "__module__", "")).startswith("cnnrs.losses"):
            self._direction = "down"
        for argument, value in kwargs.items():
            if not hasattr(self, argument):
                setattr(self, argument, value)

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # type: ignore[override]
        mask = mask_of(y_pred)
        if mask is not None:
            sample_weight = weigh(None if sample_weight is None else as_tensor(sample_weight), mask)
        y_true, y_pred = squeeze_or_expand(as_tensor(y_true), as_tensor(y_pred))
        super().update_state(self._fn(y_true, y_pred, **self._fn_kwargs), sample_weight)

    def get_config(self) -> dict[str, Any]:
        own = {"fn": serialize_keras_object(self._fn)} if type(self) is MeanMetricWrapper else {}
        return {**super().get_config(), **own, **self._fn_kwargs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> MeanMetricWrapper:
        if "fn" in config:
            config = {**config, "fn": deserialize_keras_object(config["fn"])}
        return cls(**config)
