"""`Layer`: weights, a computation, and what surrounds a call of it."""

from __future__ import annotations

import functools
import inspect
import weakref
from typing import Any

import numpy as np

from cnnrs import _core, dtype_policies, regularizers, symbolic, tree
from cnnrs.base import context, naming, policies
from cnnrs.base.arguments import integer, reject
from cnnrs.base.building import building
from cnnrs.base.dtypes import FLOAT, FLOATS, widened
from cnnrs.layers import masking
from cnnrs.layers.arguments import looked_up
from cnnrs.layers.calls import (
    _autocast,
    _batch_of,
    _call_signature,
    _CallSignature,
    _holds_tensor,
    _is_numbers,
    _shape_of,
    _symbols,
    _to_tensors,
    _tuples,
)
from cnnrs.layers.input_spec import check_inputs
from cnnrs.layers.ownership import WeightOwner
from cnnrs.layers.refused import RefusedMethods
from cnnrs.serialization.copies import reduce_layer

__all__ = ["Layer"]

# Layers with losses of their last call. Most programs have none, and need not look for them.
_HOLDING_LOSSES: weakref.WeakSet[Any] = weakref.WeakSet()


def holding_losses() -> bool:
    """Whether some layer has losses of its last call."""
    return len(_HOLDING_LOSSES) > 0


class Layer(RefusedMethods, WeightOwner):
    """The base of all layers.

    A subclass makes its weights in `build(input_shape)` or `__init__` with `add_weight`, and computes in
    `call(inputs, ...)` with `cnnrs.ops`. Layers, variables and metrics that are attributes, also inside of
    lists, tuples and dicts, belong to the layer.

    Args:
        activity_regularizer: Regularizer of the output.
        trainable: Whether training changes the weights.
        dtype: The policy of element types, or its name: "float32", "mixed_float16", "mixed_bfloat16",
            "float16" or "bfloat16". None takes `config.dtype_policy()`. It says in which type weights are
            kept (`variable_dtype`), and in which the layer computes (`compute_dtype`).
        autocast: Whether float inputs, and float weights where `call` reads them, become of `compute_dtype`.
        name: Name, by default the class's in snake case, numbered.

    >>> import numpy as np
    >>> from cnnrs import layers, ops
    >>> class Scale(layers.Layer):
    ...     def build(self, input_shape):
    ...         self.scale = self.add_weight(shape=(input_shape[-1],), initializer="ones", name="scale")
    ...     def call(self, inputs):
    ...         return inputs * self.scale
    >>> layer = Scale()
    >>> layer(np.full((2, 3), 5.0)).tolist()
    [[5.0, 5.0, 5.0], [5.0, 5.0, 5.0]]
    >>> layer.count_params()
    3
    """

    _input_spec: Any = None
    # Whether positional arguments of a call may be other things than tensors.
    _takes_plain_arguments = False
    # Whether the layer computes in float32 where its policy says 16 bits, and rounds its outputs at the end.
    _widens = False
    # Whether the outputs have masks if the input has one; None: if the class defines `compute_mask`.
    _supports_masking: bool | None = None

    # Whether arrays in a list are samples of one batch, and not several inputs.
    _batches_lists = False
    # Whether it is an activation: what it receives are what units give before they are activated.
    _is_activation = False
    # Whether the layers inside give the outputs their masks.
    _carries_masks = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        # A build may also come from a class beside the layer's.
        if cls.build is not Layer.build and not hasattr(cls.build, "wraps_build"):
            cls.build = _wrap_build(cls.build)  # type: ignore[method-assign]

    # What every layer takes besides what `__init__` names: the shape of the first input, or its only extent.
    further_arguments: tuple[str, ...] = ("input_shape", "input_dim")

    def __init__(
        self,
        *,
        activity_regularizer: Any = None,
        trainable: bool = True,
        dtype: Any = None,
        autocast: bool = True,
        name: str | None = None,
        **kwargs: Any,
    ):
        input_shape = kwargs.pop("input_shape", None)
        input_dim = kwargs.pop("input_dim", None)
        reject(type(self), kwargs)
        super().__init__(name)
        if not isinstance(trainable, (bool, np.bool_)):
            raise ValueError(f"{self.name}: trainable: expected True or False, received {trainable!r}")
        self._dtype_policy = self._checked_policy(dtype)
        if activity_regularizer is not None:
            activity_regularizer = looked_up(
                activity_regularizer, regularizers, self.name, "activity_regularizer"
            )
        self._trainable = bool(trainable)
        self._losses: list[Any] = []
        self.built = False
        self.autocast = bool(autocast)
        self.activity_regularizer = activity_regularizer
        self._build_shapes: dict[str, Any] | None = None
        if input_dim is not None:
            input_shape = (integer(input_dim, type(self).__name__, "input_dim", least=1),)
        if input_shape is not None:
            self._input_shape_argument = tuple(input_shape)

    # ---- what a subclass defines

    def build(self, input_shape: Any) -> None:
        """Makes the weights, knowing the shape of the input. Called once, before the first call."""
        self.built = True

    def _build_at_init(self) -> None:
        """Ends the `__init__` of a layer without weights, which is built unless a subclass has a `build`."""
        self.built = type(self).build is Layer.build

    def call(self, *args: Any, **kwargs: Any) -> Any:
        """The computation, in terms of `cnnrs.ops`."""
        raise NotImplementedError(f"{type(self).__name__}: expected the class to define call(inputs)")

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The mask of the outputs, from the inputs and theirs. A subclass may define it."""
        return previous_mask

    @property
    def input_spec(self) -> Any:
        """What calls check inputs by: an `InputSpec`, a structure of them, or None. A layer may set it."""
        return self._input_spec

    @input_spec.setter
    def input_spec(self, value: Any) -> None:
        self._input_spec = value

    @property
    def supports_masking(self) -> bool:
        """Whether outputs have a mask, if inputs have one. A layer may set it."""
        if self._supports_masking is None:
            return type(self).compute_mask is not Layer.compute_mask
        return self._supports_masking

    @supports_masking.setter
    def supports_masking(self, value: bool) -> None:
        self._supports_masking = bool(value)

    def get_config(self) -> dict[str, Any]:
        """The arguments from which `from_config` makes the layer again, without its weights.

        Raises:
            NotImplementedError: A subclass has arguments of other types than numbers, strings and containers
                of them, and does not define `get_config`.
        """
        dtype = dtype_policies.serialize(self._dtype_policy)
        config: dict[str, Any] = {"name": self.name, "trainable": self.trainable, "dtype": dtype}
        if self.activity_regularizer is not None:
            config["activity_regularizer"] = regularizers.serialize(self.activity_regularizer)
        if type(self).get_config is Layer.get_config and type(self).__init__ is not Layer.__init__:
            return self._arguments_as_config(config)
        return config

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Any:
        """The layer with these arguments. A policy of element types that has a name is given by it."""
        dtype = config.get("dtype")
        if isinstance(dtype, dict):
            policy = dtype_policies.deserialize(dtype)
            named = not isinstance(policy, dtype_policies.DTypePolicyMap)
            config = {**config, "dtype": policy.name if named else policy}
        return super().from_config(config)

    # ---- losses and metrics

    def add_loss(self, loss: Any) -> None:
        """Adds a tensor, or a list of them, to the loss of the model. Called from `call`.

        A tensor with axes, as of one loss for each sample, counts with the sum of its elements.
        """
        for value in loss if isinstance(loss, (list, tuple)) else [loss]:
            self._keep_loss(value)

    def _keep_loss(self, loss: Any) -> None:
        self._losses.append(loss)
        _HOLDING_LOSSES.add(self)

    @property
    def losses(self) -> list[Any]:
        """What `add_loss` collected in the last call, and the penalties of regularized trainable weights."""
        losses = [loss for layer in self._flatten_layers() for loss in layer._losses]
        for variable in self.trainable_weights:
            if variable.regularizer is not None:
                losses.append(variable.regularizer(variable.value))
        return losses

    def _clear_losses(self) -> None:
        for layer in self._flatten_layers():
            layer._losses.clear()
            _HOLDING_LOSSES.discard(layer)

    @property
    def metrics(self) -> list[Any]:
        """The metrics that belong to the layer and to those inside."""
        # Layers that predict need no metrics, whose folder takes a tenth of the time in which layers load.
        from cnnrs.metrics import Metric

        found: dict[int, Any] = {}
        for layer in self._flatten_layers():
            for value in layer._attributes():
                if isinstance(value, Metric):
                    found.setdefault(id(value), value)
        return list(found.values())

    @property
    def metrics_variables(self) -> list[Any]:
        """The variables of `metrics`."""
        return [variable for metric in self.metrics for variable in metric.variables]

    # ---- calls

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Builds the layer if need be, checks the inputs, and computes.

        Args:
            *args: Tensors, arrays or symbolic tensors, nested or not.
            **kwargs: Further arguments of `call`. `training` is handed on to the layers inside.
        """
        self._check_ready()
        signature = _call_signature(type(self))
        position = signature.training_position
        training = kwargs.pop("training", None)
        if training is None and position is not None and len(args) > position:
            training = args[position]
        given = training is not None
        if not given:
            training = context.current_training()
        # A default of the class is its own matter: layers inside do not see it.
        if training is not None and position is not None and len(args) <= position:
            kwargs["training"] = bool(training)
        elif signature.needs_training and "training" not in kwargs:
            kwargs["training"] = False
        if len(args) > 1 and not self._takes_plain_arguments:
            self._check_positional(args[1:])
        try:
            if args and isinstance(args[0], list):
                args = (self._of_list(args[0]), *args[1:])
            dtype = self.compute_dtype
            args = tuple(_to_tensors(a, dtype) for a in args)
            if kwargs:
                kwargs = {k: _to_tensors(v, dtype) for k, v in kwargs.items()}
        except (TypeError, OverflowError) as error:
            raise type(error)(f"{self.name}: {error}") from error
        if not args and not kwargs:
            raise TypeError(f"{self.name}: expected at least one input")
        if self.input_spec is not None and args:
            check_inputs(self.input_spec, args[0], self.name)
        if not self.built:
            self._build_for(signature, args, kwargs)
        if not self._called:
            self._called = True
        masks = masking.find(signature, args, kwargs)
        if symbolic.any_symbolic(args, kwargs):
            # The mode of a node is that of the model's call, unless it was set here.
            if not given:
                kwargs.pop("training", None)
            if not masks.arguments:
                outputs = self.symbolic_call(*args, **kwargs)
            else:
                # The node finds the masks anew, when it runs.
                outputs = self.compute_output_spec(*args, **kwargs, **masks.arguments)
                symbolic.Node(self, args, kwargs, outputs)
        else:
            complete = {**kwargs, **masks.arguments} if masks.arguments else kwargs
            outputs = self._compute(training, args, complete)
        self._mask_outputs(args, kwargs, outputs, masks.previous, warn=True)
        return outputs

    def _of_list(self, given: list[Any]) -> Any:
        """Inputs that came as a list: a tensor of numbers, a batch of samples, or several inputs."""
        if _is_numbers(given):
            return _core.tensor(given)
        return _batch_of(given, self.name) if self._batches_lists else given

    def _mask_outputs(self, args: Any, kwargs: Any, outputs: Any, previous: Any, warn: bool) -> None:
        if previous is not None or type(self).compute_mask is not Layer.compute_mask:
            first = args[0] if args else next(iter(kwargs.values()))
            masking.hand_on(self, first, outputs, previous, warn)

    def _check_positional(self, args: tuple[Any, ...]) -> None:
        for value in tree.flatten(args):
            if value is not None and not hasattr(value, "shape") and not isinstance(value, (int, float)):
                wrong: Any = value
            elif isinstance(value, bool):
                wrong = value
            else:
                continue
            raise ValueError(
                f"{self.name}: expected tensors as positional arguments, received {wrong!r}; "
                "pass it by its name"
            )

    def _run_node(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """A call on tensors whose shapes were checked when the node of a functional model was recorded."""
        signature = _call_signature(type(self))
        position = signature.training_position
        training = kwargs.get("training")
        if training is None and position is not None and len(args) > position:
            training = args[position]
        if training is None:
            training = context.current_training()
            if position is not None and len(args) <= position:
                if training is not None:
                    kwargs = {**kwargs, "training": bool(training)}
                elif signature.needs_training:
                    kwargs = {**kwargs, "training": False}
        masks = masking.find(signature, args, kwargs)
        outputs = self._compute(training, args, {**kwargs, **masks.arguments} if masks.arguments else kwargs)
        self._mask_outputs(args, kwargs, outputs, masks.previous, warn=False)
        return outputs

    def _compute(self, training: bool | None, args: Any, kwargs: Any) -> Any:
        if _HOLDING_LOSSES and context.is_outermost():
            self._clear_losses()
        dtype = self._working_dtype()
        if dtype is not None and self._casts_inputs():
            args, kwargs = _autocast(args, dtype), _autocast(kwargs, dtype)
        with context.calling(training), _core.layer_scope(self.name, dtype):
            scopes = naming.enter_scopes(self._scopes())
            try:
                outputs = self.call(*args, **kwargs)
            except _core.TracedValueError as error:
                # The core knows the tensor's origin; the innermost layer around the read is named here, once.
                if not context.is_tracing() or isinstance(error.__cause__, _core.TracedValueError):
                    raise
                raise _core.TracedValueError(f"layer {self.name!r} reads a value: {error}") from error
            except (IndexError, TypeError, ValueError) as error:
                _name_layer(error, self.name)
                raise
            finally:
                naming.enter_scopes(scopes)
        if self._widens and dtype is not None:
            outputs = _autocast(outputs, self.compute_dtype)
        if self.activity_regularizer is not None:
            for output in tree.flatten(outputs):
                # Sums over an activation are larger than 16 bits hold.
                penalty = self.activity_regularizer(_autocast(output, widened(output.dtype)))
                # Keras divides by the batch, so that the penalty does not depend on its size.
                rows = output.shape[0] if output.shape else 1
                self._keep_loss(penalty / float(max(1, rows)))
        return outputs

    def _working_dtype(self) -> str | None:
        """The float type of what `call` works on; None where it takes all as it comes."""
        if not self.autocast:
            return None
        return widened(self.compute_dtype) if self._widens else self.compute_dtype

    def _casts_inputs(self) -> bool:
        """Whether float inputs are brought to the type in which the layer computes."""
        return True

    def compute_output_spec(self, *args: Any, **kwargs: Any) -> Any:
        """Symbolic outputs for symbolic inputs: shapes and dtypes only.

        A class that defines `compute_output_shape` is asked; else `call` is recorded.
        """
        if type(self).compute_output_shape is not Layer.compute_output_shape:
            return self._spec_by_shape(args, kwargs)
        return self._recorded_spec(args, kwargs)

    def _recorded_spec(self, args: Any, kwargs: Any) -> Any:
        position = _call_signature(type(self)).training_position
        if _call_signature(type(self)).needs_training and position is not None and len(args) <= position:
            kwargs = {"training": False, **kwargs}
        training = kwargs.get("training", False)
        outputs = symbolic.infer(lambda *a, **k: self._compute(training, a, k), args, kwargs)
        self._clear_losses()
        return outputs

    def _spec_by_shape(self, args: Any, kwargs: Any) -> Any:
        parameters = inspect.signature(type(self).compute_output_shape).parameters
        named = dict(zip(_call_signature(type(self)).names, args, strict=False)) | kwargs
        shapes = {n: tree.map_structure(_shape_of, v) for n, v in named.items() if _holds_tensor(v)}
        by_name = {
            n: shapes[n.removesuffix("_shape")] for n in parameters if n.removesuffix("_shape") in shapes
        }
        if not by_name or "input_shape" in parameters:
            output = self.compute_output_shape(next(iter(shapes.values())))
        else:
            output = self.compute_output_shape(**by_name)
        return _symbols(output, self.compute_dtype)

    def compute_output_shape(self, *args: Any, **kwargs: Any) -> Any:
        """The shape of the output for an input of this shape; None stands for an unknown extent."""
        if type(self).call is Layer.call:
            raise NotImplementedError(
                f"{type(self).__name__}: compute_output_shape: expected the class to define "
                "compute_output_shape(input_shape) or call(inputs)"
            )
        shapes = [_symbols(shape) for shape in args]
        named = {k: _symbols(v) for k, v in kwargs.items()}
        if not self.built:
            self._build_with(args[0] if args else next(iter(kwargs.values())))
        outputs = self.compute_output_spec(*shapes, **named)
        return tree.map_structure(lambda x: x.shape, outputs)

    def _build_for(self, signature: _CallSignature, args: Any, kwargs: Any) -> None:
        names = signature.build_names
        shapes = [tree.map_structure(_shape_of, a) for a in (*args, *kwargs.values()) if _holds_tensor(a)]
        if len(names) > 1:
            self._check_build_names(signature)
            named = dict(zip(signature.names, args, strict=False)) | kwargs
            by_name = {
                n: tree.map_structure(_shape_of, named[n.removesuffix("_shape")])
                for n in names
                if n.removesuffix("_shape") in named
            }
            if by_name.keys() >= set(signature.required_build_names):
                self._build_by_name(by_name)
                return
        if not shapes:
            raise TypeError(f"{self.name}: expected a tensor as input, received {args}")
        self._build_with(shapes[0])

    def _check_build_names(self, signature: _CallSignature) -> None:
        for name in signature.required_build_names:
            if not name.endswith("_shape"):
                raise ValueError(
                    f"{self.name}: build: expected names of arguments of call() with '_shape' behind, "
                    f"received {name!r}"
                )
            if name.removesuffix("_shape") not in signature.every:
                raise ValueError(
                    f"{self.name}: build: received {name!r}, but call() has no argument "
                    f"{name.removesuffix('_shape')!r}"
                )

    def _build_with(self, shape: Any) -> None:
        with building(self), context.calling(None):
            if not self.built:
                self.build(shape)
                self.built = True

    def _build_by_name(self, shapes: dict[str, Any]) -> None:
        with building(self), context.calling(None):
            if not self.built:
                self.build(**shapes)
                self.built = True

    def get_build_config(self) -> dict[str, Any] | None:
        """The shapes with which the layer was built."""
        if self._build_shapes is None:
            return None
        if len(self._build_shapes) == 1:
            return {"input_shape": next(iter(self._build_shapes.values()))}
        return {"shapes_dict": self._build_shapes}

    def build_from_config(self, config: dict[str, Any] | None) -> None:
        """Builds the layer with what `get_build_config` gave."""
        if not config:
            return
        if "input_shape" in config:
            self._build_with(_tuples(config["input_shape"]))
        elif "shapes_dict" in config:
            self._build_by_name({k: _tuples(v) for k, v in config["shapes_dict"].items()})

    # ---- what is known about inputs and outputs

    @property
    def dtype_policy(self) -> dtype_policies.DTypePolicy:
        """The policy of element types, which may be set: what is made and what is computed later follows it.

        >>> from cnnrs import layers
        >>> layers.Dense(2, dtype="mixed_bfloat16").dtype_policy
        <DTypePolicy "mixed_bfloat16">
        """
        policy = self._dtype_policy
        return policy[self.path] if isinstance(policy, dtype_policies.DTypePolicyMap) else policy

    @dtype_policy.setter
    def dtype_policy(self, value: Any) -> None:
        policy = self._checked_policy(value)
        if isinstance(self._dtype_policy, dtype_policies.DTypePolicyMap):
            if self.path in self._dtype_policy:
                del self._dtype_policy[self.path]
            self._dtype_policy[self.path] = policy
        else:
            self._dtype_policy = policy
            policies.note_change()

    def _restore_policy(self, config: dict[str, Any]) -> None:
        """Takes the policy of a config. Those that name none were written when all was float32."""
        self._dtype_policy = self._checked_policy(config.get("dtype", FLOAT))

    def _checked_policy(self, dtype: Any) -> dtype_policies.DTypePolicy:
        try:
            policy = dtype_policies.get(dtype)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{self.name}: dtype: {error}") from error
        if policy.compute_dtype not in FLOATS:
            known = ", ".join(FLOATS)
            raise ValueError(
                f"{self.name}: dtype: expected a policy that computes in {known}, received {policy}"
            )
        return policy

    @property
    def dtype(self) -> str:
        """Element type of the weights."""
        return self.variable_dtype

    @property
    def compute_dtype(self) -> str:
        """Element type of the computation: of inputs, of weights as `call` reads them, and of outputs."""
        return self.dtype_policy.compute_dtype

    @property
    def variable_dtype(self) -> str:  # type: ignore[override]
        """Element type of the weights."""
        return self.dtype_policy.variable_dtype

    @property
    def input_dtype(self) -> str:
        """Element type that float inputs are converted to."""
        return self.compute_dtype

    @property
    def quantization_mode(self) -> None:
        """None: no layer is quantized."""
        return None

    @property
    def path(self) -> str:
        """The name after those of the layers inside of which it was built or called first."""
        return self.name if self._scope_names is None else "/".join(self._scope_names)

    def __reduce__(self) -> Any:
        return reduce_layer(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} name={self.name}, built={self.built}>"


def _wrap_build(build: Any) -> Any:
    """`build` that names weights after the layer, and remembers the shapes.

    If it is interrupted, the weights that it has made are given up: the layer is not `built`, and the next
    `build` makes them all.
    """
    signature = inspect.signature(build)

    @functools.wraps(build)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        if type(self).build is not wrapped:
            # A part of a subclass's build.
            build(self, *args, **kwargs)
            return
        arguments = dict(list(signature.bind(self, *args, **kwargs).arguments.items())[1:])
        count = len(self._own)
        try:
            outer = naming.enter_scopes(self._scopes())
            try:
                build(self, *args, **kwargs)
            finally:
                naming.enter_scopes(outer)
            self._build_shapes = arguments
            self.built = True
        except BaseException:
            self.built = False
            del self._own[count:]
            raise

    wrapped.wraps_build = True  # type: ignore[attr-defined]
    return wrapped


def _name_layer(error: Exception, layer: str) -> None:
    """Begins the message of an error with the innermost layer whose call raised it."""
    if getattr(error, "names_layer", False) or len(error.args) != 1 or not isinstance(error.args[0], str):
        return
    # The core says the whole path of a layer inside of others.
    named, colon, _ = error.args[0].partition(": ")
    if not (colon and (named == layer or named.endswith(f"/{layer}"))):
        error.args = (f"{layer}: {error.args[0]}",)
    error.names_layer = True  # type: ignore[attr-defined]
