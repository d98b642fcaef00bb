"""The base class of optimizers: slots, clipping, weight decay, averaging, accumulation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from cnnrs import _core, initializers, serialization
from cnnrs.base import context, naming
from cnnrs.base.arguments import NamedArguments, integer, number, reject
from cnnrs.base.building import building
from cnnrs.base.dtypes import STORED
from cnnrs.ops import raw
from cnnrs.optimizers import schedules
from cnnrs.optimizers.groups import Grouping
from cnnrs.optimizers.rate import OptimizerRate
from cnnrs.optimizers.state import OptimizerState
from cnnrs.serialization.copies import reduce_optimizer
from cnnrs.variables import Variable


def _whole(build: Any) -> Any:
    """`build` that makes all slots or, if it is interrupted, none: only then is the optimizer `built`."""

    @functools.wraps(build)
    def wrapped(self: Any, variables: Any) -> None:
        if type(self).build is not wrapped:
            # A part of a subclass's build.
            build(self, variables)
            return
        with building(self):
            if self.built:
                return
            count = len(self._variables)
            try:
                self._given_variables = list(variables)
                build(self, self._grouping.divide(self._given_variables))
                if self.restored_slots is not None:
                    self.load_own_variables(self.restored_slots)
                    self.restored_slots = None
                self.built = True
            except BaseException:
                self.built = False
                del self._variables[count:]
                raise

    return wrapped


class Optimizer(OptimizerState, OptimizerRate, NamedArguments):
    """Base class: subclasses define `build(variables)` and `update_step(gradient, variable, learning_rate)`.

    Args:
        learning_rate: Number, `LearningRateSchedule`, or callable without arguments.
        weight_decay: Each step takes `learning_rate · weight_decay` of a weight off it (decoupled).
        clipnorm: Largest norm of each gradient.
        clipvalue: Largest absolute value of a gradient's elements.
        global_clipnorm: Largest norm of all gradients together.
        use_ema: Whether a moving average of the weights is kept.
        ema_momentum: Its momentum.
        ema_overwrite_frequency: Steps between overwriting the weights with the average.
        loss_scale_factor: `scale_loss` multiplies losses by it, and `apply` divides gradients. None for 1.
        gradient_accumulation_steps: Steps whose gradients are averaged into one update.
        name: Name.
        parameter_groups: List of `ParameterGroup`: weights with a learning rate or a weight decay of their
            own, or that stay as they are.

    Example:

    >>> import cnnrs
    >>> v = cnnrs.Variable([1.0])
    >>> cnnrs.optimizers.SGD(0.5).apply([[2.0]], [v])
    >>> v.numpy()
    array([0.], dtype=float32)
    """

    # State of an optimizer of which this is a copy, until it is built.
    restored_slots: dict[str, Any] | None = None

    # Whether it updates weights itself, and is no optimizer around others.
    is_single = True

    # Whether `weight_decay` is taken off before the update, and not a part of the gradient.
    _decouples_decay = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "build" in vars(cls):
            cls.build = _whole(vars(cls)["build"])  # type: ignore[method-assign]

    def __init__(
        self,
        learning_rate: Any,
        weight_decay: float | None = None,
        clipnorm: float | None = None,
        clipvalue: float | None = None,
        global_clipnorm: float | None = None,
        use_ema: bool = False,
        ema_momentum: float = 0.99,
        ema_overwrite_frequency: int | None = None,
        loss_scale_factor: float | None = None,
        gradient_accumulation_steps: int | None = None,
        name: str | None = None,
        parameter_groups: Any = None,
        **kwargs: Any,
    ):
        reject(type(self), kwargs)
        owner = type(self).__name__
        self._grouping = Grouping(parameter_groups, owner)
        if loss_scale_factor is not None:
            loss_scale_factor = number(loss_scale_factor, owner, "loss_scale_factor", above=0)
        if sum(c is not None for c in (clipnorm, clipvalue, global_clipnorm)) > 1:
            raise ValueError(
                f"{owner}: expected one of clipnorm, clipvalue and global_clipnorm, received several"
            )
        for argument, value in (
            ("clipnorm", clipnorm),
            ("clipvalue", clipvalue),
            ("global_clipnorm", global_clipnorm),
        ):
            if value is not None:
                number(value, owner, argument, above=0)
        if weight_decay is not None:
            number(weight_decay, owner, "weight_decay", least=0)
        number(ema_momentum, owner, "ema_momentum", least=0, most=1)
        if ema_overwrite_frequency is not None:
            integer(ema_overwrite_frequency, owner, "ema_overwrite_frequency", least=1)
        if gradient_accumulation_steps is not None:
            integer(gradient_accumulation_steps, owner, "gradient_accumulation_steps", least=2)
        self.name = name or naming.auto_name(naming.to_snake_case(owner))
        self.weight_decay, self.clipnorm, self.clipvalue = weight_decay, clipnorm, clipvalue
        self.global_clipnorm, self.use_ema, self.ema_momentum = global_clipnorm, use_ema, ema_momentum
        self.ema_overwrite_frequency = ema_overwrite_frequency
        self.loss_scale_factor = loss_scale_factor
        self.gradient_accumulation_steps = gradient_accumulation_steps
        self.built = False
        self._variables: list[Variable] = []
        # What `build` was given, and those of it that are not frozen.
        self._given_variables: list[Variable] = []
        self._trainable_variables: list[Variable] = []
        self._excluded: set[int] = set()
        self._excluded_names: list[str] = []
        # Slots that were made together, of several kinds for each variable.
        self._slot_groups: list[list[list[Variable]]] = []
        self._iterations = self._track(Variable(np.int32(0), trainable=False, name="iteration"))
        self._set_rate(learning_rate)

    def _track(self, variable: Variable, place: int | None = None) -> Variable:
        variable._path = f"{self.name}/{variable.name}"
        self._variables.insert(len(self._variables) if place is None else place, variable)
        return variable

    def _untrack(self, variable: Variable) -> None:
        self._variables = [own for own in self._variables if own is not variable]

    @property
    def variables(self) -> list[Variable]:
        """All state: the step, the learning rate or when its schedule began, the slots."""
        return list(self._variables)

    @property
    def iterations(self) -> Any:
        """How many updates there were: with accumulation, a fraction of the calls of `apply`."""
        return self._iterations if self.gradient_accumulation_steps is None else self._updates()

    def _updates(self) -> Any:
        """`iterations` as a tensor."""
        steps = self.gradient_accumulation_steps
        return self._iterations.value if steps is None else self._iterations.value // int(steps)

    @property
    def parameter_groups(self) -> list[Any]:
        """The groups of weights that are treated in a way of their own."""
        return list(self._grouping.groups)

    def updates(self, variable: Any) -> bool:
        """Whether a weight is updated: it is in no group that is frozen."""
        return not self._grouping.freezes(variable)

    def follows_rate(self, variable: Any) -> bool:
        """Whether the learning rate of a weight goes by the optimizer's."""
        return not self._grouping.sets_rate(variable)

    @property
    def passes(self) -> int:
        """How often a step computes the loss of its batch."""
        return 1

    def gradients(self, loss: Any, variables: list[Any], again: Callable[[], Any]) -> list[Any]:
        """The gradients that `apply` takes, for the `train_step` of models.

        Args:
            loss: The loss, as `scale_loss` gives it.
            variables: The weights.
            again: Computes the loss of the same batch anew, at the weights as they are then.
        """
        return _core.gradients(loss, variables)

    @_whole
    def build(self, variables: Any) -> None:
        """Makes the slots of `variables`; subclasses extend it. Once built, nothing more is made."""
        self._trainable_variables = list(variables)
        if self.use_ema:
            self._averages = self._own_slots("average", "copy")
        if self.gradient_accumulation_steps:
            self._accumulated_gradients = self._own_slots("gradient_accumulator", "zeros")
        self._excluded |= {
            v.id for v in self._trainable_variables if any(part in v.name for part in self._excluded_names)
        }

    def _own_slots(self, name: str, initial: str) -> list[Variable]:
        made = []
        for v in self._trainable_variables:
            dtype = slot_dtype(v)
            start = (
                np.asarray(v.value.astype(dtype).numpy()) if initial == "copy" else np.zeros(v.shape, dtype)
            )
            made.append(self._track(Variable(start, dtype=dtype, trainable=False, name=_slot_name(v, name))))
        return made

    def add_variable(
        self,
        shape: Any,
        initializer: Any = "zeros",
        dtype: Any = None,
        aggregation: str = "none",
        layout: Any = None,
        name: str | None = None,
    ) -> Variable:
        """A variable of the optimizer's state."""
        made = initializers.get(initializer)
        return self._track(
            Variable(
                made,
                shape=shape,
                dtype=dtype or "float32",
                trainable=False,
                aggregation=aggregation,
                name=name,
                layout=layout,
            )
        )

    def add_variable_from_reference(
        self, reference_variable: Any, name: str | None = None, initializer: Any = "zeros"
    ) -> Variable:
        """A slot of the shape of a variable: float32, or float64 for a variable of that type."""
        return self.add_variable(
            reference_variable.shape,
            initializer,
            slot_dtype(reference_variable),
            name=_slot_name(reference_variable, name or "slot"),
        )

    def add_optimizer_variables(self, trainable_variables: Any, name: Any, initializer: Any = "zeros") -> Any:
        """A list of slots, one a variable; a list of lists for several names."""
        if isinstance(name, str):
            return [self.add_variable_from_reference(v, name, initializer) for v in trainable_variables]
        start = initializer if isinstance(initializer, (list, tuple)) else [initializer] * len(name)
        made = [
            self.add_optimizer_variables(trainable_variables, n, i) for n, i in zip(name, start, strict=True)
        ]
        self._slot_groups.append(made)
        return made

    def _index(self, variable: Any) -> int:
        for i, own in enumerate(self._trainable_variables):
            if own.id == variable.id:
                return i
        raise ValueError(
            f"{self.name}: variable {variable.name!r} is unknown; "
            "it was not there when the optimizer was built"
        )

    def _get_variable_index(self, variable: Any) -> int:
        """The place of a variable among those of `build`: what own optimizers ask, as Keras's do."""
        return self._index(variable)

    def apply_gradients(self, grads_and_vars: Any) -> Any:
        """Updates variables from `(gradient, variable)` pairs; gives the step."""
        pairs = list(grads_and_vars)
        self.apply([g for g, _ in pairs], [v for _, v in pairs])
        return self.iterations

    def apply(self, grads: Any, trainable_variables: Any = None) -> None:
        """Updates variables from their gradients, in the same order; None leaves a variable alone.

        Raises:
            ValueError: The numbers differ, no gradient is there, or a variable is unknown.
        """
        grads = list(grads)
        if trainable_variables is None:
            if not self.built:
                raise ValueError(f"{self.name}: the first apply() needs the variables")
            trainable_variables = self._given_variables
        variables = list(trainable_variables)
        if len(grads) != len(variables):
            raise ValueError(f"{self.name}: expected {len(variables)} gradients, received {len(grads)}")
        if not self.built:
            self.build(variables)
        pairs = [(g, v) for g, v in zip(grads, variables, strict=True) if g is not None]
        if not pairs:
            raise ValueError(f"{self.name}: no variable has a gradient; does the loss depend on them?")
        if not context.is_tracing():
            self.before_step()
        with _core.no_grad(), _core.layer_scope(self.name):
            self._apply(pairs)
        _core_realise(self)

    def _apply(self, pairs: list[Any]) -> None:
        steps = self.gradient_accumulation_steps
        scale = self.loss_scale_factor or 1.0
        pairs = [(g, v) for g, v in pairs if self.updates(v)]
        updated = [(g, v) for g, v in pairs if not is_overwritten(v)]
        tensors = [(tensor_of(g) if scale == 1.0 else tensor_of(g) / scale, v) for g, v in updated]
        overwritten = [(tensor_of(g), v) for g, v in pairs if is_overwritten(v)]
        if steps is None:
            for value, variable in overwritten:
                variable.assign(value.astype(variable.dtype))
            self._update(tensors, None)
            self._iterations.assign(self._iterations + 1)
            return
        # All of it happens every step; what is not due is selected away.
        due = raw.equal(raw.mod(self._iterations.value + 1, steps), 0)
        for value, variable in overwritten:
            # Such values are statistics, of which the largest counts, as in Keras.
            slot = self._accumulated_gradients[self._index(variable)]
            largest = raw.maximum(slot.value, value)
            variable.assign(raw.where(due, largest.astype(variable.dtype), variable.value))
            slot.assign(raw.where(due, raw.mul(largest, 0.0), largest))
        summed = []
        for gradient, variable in tensors:
            slot = self._accumulated_gradients[self._index(variable)]
            total = slot + gradient
            slot.assign(raw.where(due, raw.mul(total, 0.0), total))
            summed.append((total / float(steps), variable))
        self._update(summed, due)
        self._iterations.assign(self._iterations + 1)

    def _update(self, pairs: list[Any], due: Any) -> None:
        before = {v.id: v.value for v in self._variables} if due is not None else {}
        kept = {v.id: v.value for _, v in pairs} if due is not None else {}
        pairs = self._clip(pairs)
        rate = self._rate()
        rate = rate.value if isinstance(rate, _core.Variable) else rate
        rate_of = self._grouping.rates(rate, self._step_of)
        for _, variable in pairs:
            decay = self._decay(variable) if self._decouples_decay else None
            if decay:
                variable.assign(variable - variable * rate_of(variable) * float(decay))
        self._prepare()
        for gradient, variable in pairs:
            self.update_step(gradient, variable, rate_of(variable))
        for _, variable in pairs:
            if variable.constraint is not None:
                variable.assign(variable.constraint(variable.value))
        if self.use_ema:
            self._average(pairs)
        if due is not None:
            slots = {id(v) for v in self._accumulated_gradients}
            for variable in [v for v in self._variables if id(v) not in slots] + [v for _, v in pairs]:
                old = before.get(variable.id, kept.get(variable.id))
                now = variable.value
                if now is not old:
                    variable.assign(raw.where(due, now, old))

    def _average(self, pairs: list[Any]) -> None:
        momentum = float(self.ema_momentum)
        for _, variable in pairs:
            average = self._averages[self._index(variable)]
            # The first step starts from the weights as they are then.
            fresh = raw.equal(self._updates(), 0)
            own = variable.value.astype(average.dtype)
            average.assign(raw.where(fresh, own, momentum * average + (1.0 - momentum) * own))
            if self.ema_overwrite_frequency:
                step = self._updates() + 1
                now = raw.equal(raw.mod(step, int(self.ema_overwrite_frequency)), 0)
                averaged = average.value.astype(variable.dtype)
                variable.assign(raw.where(now, averaged, variable.value))

    def finalize_variable_values(self, var_list: Any) -> None:
        """At the end of training: weights become their moving averages, with `use_ema`."""
        if self.use_ema:
            for variable in filter(lambda v: not is_overwritten(v) and self.updates(v), var_list):
                variable.assign(self._averages[self._index(variable)].value)

    def _clip(self, pairs: list[Any]) -> list[Any]:
        def square(gradient: Any) -> Any:
            return raw.sum(raw.square(gradient))

        if self.clipvalue is not None:
            limit = float(self.clipvalue)
            return [(raw.clip(g, min=-limit, max=limit), v) for g, v in pairs]
        if self.clipnorm is not None:
            limit = float(self.clipnorm)
            return [(g * (limit / raw.maximum(raw.sqrt(square(g)), limit)), v) for g, v in pairs]
        if self.global_clipnorm is not None and pairs:
            total = square(pairs[0][0])
            for g, _ in pairs[1:]:
                total = total + square(g)
            limit = float(self.global_clipnorm)
            scale = limit / raw.maximum(raw.sqrt(total), limit)
            return [(g * scale, v) for g, v in pairs]
        return pairs

    def _decay(self, variable: Any) -> float | None:
        """The weight decay of a variable: None if it is excluded, that of its group, or the optimizer's."""
        if variable.id in self._excluded:
            return None
        return self._grouping.decay(variable, self._decay_of(variable))

    def _decay_of(self, variable: Any) -> float | None:
        """The weight decay of a variable that neither is excluded from it nor has that of a group."""
        return self.weight_decay

    def _prepare(self) -> None:
        """What an update does once, before its variables; nothing by default."""

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Updates one variable."""
        raise NotImplementedError(f"{type(self).__name__} must define update_step")

    def assign(self, variable: Any, value: Any) -> None:
        """variable ← value."""
        variable.assign(value)

    def assign_add(self, variable: Any, value: Any) -> None:
        """variable ← variable + value."""
        variable.assign(variable + value)

    def assign_sub(self, variable: Any, value: Any) -> None:
        """variable ← variable - value."""
        variable.assign(variable - value)

    def scale_loss(self, loss: Any) -> Any:
        """`loss` times `loss_scale_factor`, for the gradients that `apply` takes."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def exclude_from_weight_decay(self, var_list: Any = None, var_names: Any = None) -> None:
        """Takes variables, or those whose names contain a string, out of weight decay."""
        self._excluded |= {v.id for v in var_list or []}
        self._excluded_names += list(var_names or [])
        self._excluded |= {
            v.id for v in self._trainable_variables if any(part in v.name for part in self._excluded_names)
        }

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        if self._schedule is not None:
            rate: Any = serialization.serialize_keras_object(self._schedule)
        elif self._host_schedule is not None:
            rate = serialization.serialize_keras_object(self._host_schedule)
        else:
            rate = float(self._learning_rate.numpy())
        return {
            "name": self.name,
            "learning_rate": rate,
            "weight_decay": self.weight_decay,
            "clipnorm": self.clipnorm,
            "clipvalue": self.clipvalue,
            "global_clipnorm": self.global_clipnorm,
            "use_ema": self.use_ema,
            "ema_momentum": self.ema_momentum,
            "ema_overwrite_frequency": self.ema_overwrite_frequency,
            "loss_scale_factor": self.loss_scale_factor,
            "gradient_accumulation_steps": self.gradient_accumulation_steps,
            **self._groups_config(),
        }

    def _groups_config(self) -> dict[str, Any]:
        """The argument `parameter_groups`, which Keras's optimizers lack: only where there are some."""
        groups = self._grouping.groups
        return {"parameter_groups": serialization.serialize_keras_object(groups)} if groups else {}

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> Optimizer:
        """The optimizer of a config."""
        config = dict(config)
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = schedules.deserialize(config["learning_rate"], custom_objects)
        if config.get("parameter_groups"):
            config["parameter_groups"] = [
                serialization.deserialize_keras_object(group, custom_objects)
                if isinstance(group, dict)
                else group
                for group in config["parameter_groups"]
            ]
        return cls(**config)

    def __reduce__(self) -> Any:
        return reduce_optimizer(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}>"


def is_overwritten(variable: Any) -> bool:
    """Whether the gradient of a variable is its next value."""
    return bool(getattr(variable, "overwrite_with_gradient", False))


def tensor_of(gradient: Any) -> Any:
    """A gradient as a float32 tensor, in which updates are computed."""
    if isinstance(gradient, _core.Variable):
        gradient = gradient.value
    if not isinstance(gradient, _core.Tensor):
        return _core.tensor(gradient, dtype="float32")
    return gradient.astype("float32") if gradient.dtype in STORED else gradient


def _core_realise(optimizer: Optimizer) -> None:
    """Outside of traces the update runs now, in one plan."""
    if not context.is_tracing():
        variables = optimizer.variables + optimizer._trainable_variables
        _core.realise([v.value for v in variables])


def slot_dtype(variable: Any) -> str:
    """float32, so that slots add up what 16 bits would lose; float64 for a variable of that type."""
    return "float64" if variable.dtype == "float64" else "float32"


def _slot_name(variable: Any, name: str) -> str:
    return f"{variable.path}_{name}".replace("/", "_")
