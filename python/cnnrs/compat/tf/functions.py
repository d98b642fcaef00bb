"""`tf.function`, `tf.GradientTape`, and what scripts ask of eager execution.

>>> import cnnrs.compat.tf as tf
>>> @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
... def double(x):
...     return x * 2.0
>>> double([1.0, 2.0]).numpy().tolist()
[2.0, 4.0]
>>> w = tf.Variable(3.0)
>>> with tf.GradientTape(watch_accessed_variables=False) as tape:
...     y = w * w
>>> tape.gradient(y, w) is None
True
"""

from __future__ import annotations

import contextlib
import functools
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import _core, ops, tape, tracing, tree
from cnnrs.base import context, devices
from cnnrs.base import naming as _naming
from cnnrs.base.devices import devices as _devices
from cnnrs.base.dtypes import is_number
from cnnrs.compat.tf.arguments import boolean, of_dtype, tensor
from cnnrs.compat.tf.dtypes import as_dtype
from cnnrs.compat.tf.namespaces import operation
from cnnrs.compat.tf.printing import print_values
from cnnrs.compat.tf.settings import SETTINGS
from cnnrs.compat.tf.shapes import TensorShape, TensorSpec
from cnnrs.data.strings import StringTensor
from cnnrs.ops.methods import KerasTensor

__all__ = [
    "Function",
    "GradientTape",
    "UnconnectedGradients",
    "control_dependencies",
    "custom_gradient",
    "device",
    "executing_eagerly",
    "function",
    "get_logger",
    "get_static_value",
    "grad_pass_through",
    "group",
    "init_scope",
    "inside_function",
    "is_symbolic_tensor",
    "name_scope",
    "no_op",
    "numpy_function",
    "print",
    "py_function",
    "recompute_grad",
    "stop_gradient",
    "timestamp",
]

_LOG = logging.getLogger("cnnrs.compat.tf")

print = print_values
init_scope = contextlib.nullcontext
custom_gradient = ops.custom_gradient


class _Tapes(threading.local):
    """How many blocks of tapes a thread is in."""

    open = 0


_TAPES = _Tapes()


class UnconnectedGradients:
    """What a source gets that the target does not depend on."""

    NONE = "none"
    ZERO = "zero"


class GradientTape(tape.GradientTape):
    """A gradient tape with TensorFlow's arguments.

    Args:
        persistent: Whether gradients may be asked for more than once.
        watch_accessed_variables: Whether variables are watched by themselves; else those given to `watch`.
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        super().__init__(persistent=boolean(persistent, "GradientTape", "persistent"))
        self._all_variables = boolean(watch_accessed_variables, "GradientTape", "watch_accessed_variables")

    def __enter__(self) -> GradientTape:
        _TAPES.open += 1
        return self

    def __exit__(self, *exception: object) -> None:
        """The computation is over; `gradient` may be called now."""
        _TAPES.open -= 1

    def _of_watched(self, sources: Any, gradients: Any, unconnected: str) -> Any:
        """Gradients without those of variables that are not watched."""
        if self._all_variables:
            return gradients
        watched = {id(x) for x in self._watched}
        flat = tree.flatten(sources)
        given = tree.flatten(gradients) if isinstance(gradients, (list, tuple, dict)) else [gradients]
        kept = [
            g
            if id(s) in watched or not isinstance(s, _core.Variable)
            else (ops.zeros(s.shape, s.dtype) if unconnected == "zero" else None)
            for s, g in zip(flat, given, strict=True)
        ]
        return tree.pack_sequence_as(sources, kept)

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """Gradients of the sum of `target` with respect to `sources`, in their structure.

        Args:
            target: A tensor, or a structure of them.
            sources: Variables and watched tensors, nested or not.
            output_gradients: A factor for each element of the target.
            unconnected_gradients: "none" or "zero": what a source gets that the target does not depend on.
        """
        found = super().gradient(target, sources, output_gradients, unconnected_gradients)
        return self._of_watched(sources, found, unconnected_gradients)

    def jacobian(
        self,
        target: Any,
        sources: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The derivative of each element of a tensor with respect to each element of the sources.

        Args:
            target: A tensor.
            sources: Variables and watched tensors, nested or not.
            unconnected_gradients: "none" or "zero": what a source gets that the target does not depend on.
            parallel_iterations: Advice to TensorFlow; all rows are computed in one plan.
            experimental_use_pfor: Either; all rows are computed in one plan.
        """
        _advice("jacobian", parallel_iterations, experimental_use_pfor)
        found = super().jacobian(target, sources, unconnected_gradients)
        return self._of_watched(sources, found, unconnected_gradients)

    def batch_jacobian(
        self,
        target: Any,
        source: Any,
        unconnected_gradients: str = "none",
        parallel_iterations: int | None = None,
        experimental_use_pfor: bool = True,
    ) -> Any:
        """The derivatives of each sample of a tensor with respect to the same sample of the source.

        Args:
            target: A tensor of shape (batch, ...).
            source: A watched tensor or variable of shape (batch, ...).
            unconnected_gradients: "none" or "zero": what is given if the target does not depend on it.
            parallel_iterations: Advice to TensorFlow; all rows are computed in one plan.
            experimental_use_pfor: Either; all rows are computed in one plan.
        """
        _advice("batch_jacobian", parallel_iterations, experimental_use_pfor)
        found = super().batch_jacobian(target, source, unconnected_gradients)
        return self._of_watched(source, found, unconnected_gradients)


def _advice(function: str, parallel_iterations: Any, pfor: Any) -> None:
    if parallel_iterations is not None and (
        not isinstance(parallel_iterations, int) or parallel_iterations < 1
    ):
        raise ValueError(
            f"{function}: parallel_iterations: expected at least 1, received {parallel_iterations!r}"
        )
    boolean(pfor, function, "experimental_use_pfor")


# What TensorFlow's functions tell of their graphs.
_OF_GRAPHS = frozenset(
    "captured_inputs function_def graph inputs outputs structured_input_signature structured_outputs "
    "trainable_variables variables".split()
)


class Function(tracing.Function):
    """What `tf.function` makes of a Python function.

    It is recorded once for each signature. Where recording reads a value, as in `if loss > 1:`, the function
    runs as Python from then on, with values, and logs so once; TensorFlow translates such code. In the block
    of a tape it runs as Python, too, for the results of a plan have no gradients.

    Args:
        python_function: The function.
        input_signature: Specs that arguments are converted to, or None.
        strict: Whether a function that reads values is an error instead.
        quiet: Whether many recordings are meant.
    """

    def __init__(
        self,
        python_function: Callable[..., Any],
        input_signature: Any = None,
        strict: bool = False,
        quiet: bool = False,
    ):
        super().__init__(python_function)
        self.input_signature = input_signature
        self._options = {"input_signature": input_signature, "strict": strict, "quiet": quiet}
        self._warned = quiet
        self._in_python = False

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Replays the function, after recording it if these shapes and values are new."""
        if self.input_signature is not None:
            args, kwargs = self._as_signature(args, kwargs), {}
        if self._in_python or SETTINGS.functions_run_eagerly or _TAPES.open or _has_data(args, kwargs):
            return _as_results(self.python_function(*args, **kwargs))
        try:
            return _as_results(super().__call__(*args, **kwargs))
        except _core.TracedValueError as error:
            if self._options["strict"] or context.is_tracing():
                raise
            self._in_python = True
            name = getattr(self.python_function, "__qualname__", repr(self.python_function))
            _LOG.warning("tf.function: %s runs as Python, for it reads values: %s", name, error)
            return _as_results(self.python_function(*args, **kwargs))

    def _as_signature(self, args: Any, kwargs: Any) -> tuple[Any, ...]:
        """Arguments as tensors of the signature.

        Raises:
            TypeError: They are others than it says.
        """
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        given = bound.args
        specs = tuple(self.input_signature)
        if len(given) < len(specs):
            raise TypeError(f"tf.function: expected {len(specs)} arguments, received {len(given)}")

        def fit(spec: Any, x: Any) -> Any:
            made = of_dtype(x, as_dtype(spec.dtype).name, "function")
            if not TensorShape(spec.shape).is_compatible_with(made.shape):
                raise TypeError(
                    f"tf.function: expected {spec!r}, received a tensor of shape {tuple(made.shape)}"
                )
            return made

        fitted = (_fitted(fit, spec, x) for spec, x in zip(specs, given, strict=False))
        return (*fitted, *given[len(specs) :])

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        cache = vars(instance).setdefault("_tf_functions", {})
        name = self.python_function.__name__
        if name not in cache:
            cache[name] = Function(self.python_function.__get__(instance, owner), **self._options)
        return cache[name]

    def __getattr__(self, name: str) -> Any:
        message = f"a function of tf.function has no {name!r}"
        if name in _OF_GRAPHS:
            message += ": it is recorded as a plan of cnnrs, and there is no graph of TensorFlow to look into"
        raise AttributeError(message, name=name, obj=self)

    def get_concrete_function(self, *args: Any, **kwargs: Any) -> Function:
        """The function itself: a signature is recorded when it is first called."""
        for leaf in tree.flatten([list(args), kwargs]):
            if not isinstance(
                leaf, (TensorSpec, _core.Tensor, _core.Variable, np.ndarray, int, float, str, bool)
            ):
                raise TypeError(f"get_concrete_function: expected specs or tensors, received {leaf!r}")
        return self

    def experimental_get_tracing_count(self) -> int:
        """How often the function has been recorded."""
        return self.traces


def _as_results(results: Any) -> Any:
    """What a function returned, with tensors in the place of numbers and arrays."""
    if results is None or isinstance(results, (_core.Tensor, _core.Variable)):
        return results
    from cnnrs.compat.tf.tensors import convert_to_tensor

    def made(leaf: Any) -> Any:
        numeric = isinstance(leaf, (bool, int, float, np.ndarray, np.generic)) and is_number(np.asarray(leaf))
        return convert_to_tensor(leaf) if numeric else leaf

    return tree.map_structure(made, results)


def _fitted(fit: Callable[[Any, Any], Any], spec: Any, x: Any) -> Any:
    """`fit` of each spec of a structure and its value."""
    if isinstance(spec, dict):
        return {key: _fitted(fit, spec[key], x[key]) for key in spec}
    if isinstance(spec, (list, tuple)):
        return type(spec)(_fitted(fit, s, v) for s, v in zip(spec, x, strict=True))
    return fit(spec, x)


def _has_data(args: Any, kwargs: Any) -> bool:
    """Whether a data set is among the arguments: its elements are no part of a recording."""
    return any(hasattr(leaf, "element_spec") for leaf in (*args, *kwargs.values()))


def function(
    func: Any = None,
    input_signature: Any = None,
    autograph: bool = True,
    jit_compile: bool | None = None,
    reduce_retracing: bool = False,
    experimental_implements: str | None = None,
    experimental_autograph_options: Any = None,
    experimental_attributes: Any = None,
    experimental_relax_shapes: bool | None = None,
    experimental_compile: bool | None = None,
    experimental_follow_type_hints: bool | None = None,
) -> Any:
    """Records a Python function once for each signature, and replays it.

    Args:
        func: The function; None where this is a decorator with arguments.
        input_signature: Specs that arguments are converted to; None for any.
        autograph: Whether a function that reads values runs as Python; else it is an error.
        jit_compile: True for an error if the function cannot be recorded.
        reduce_retracing: True if many signatures are meant, of which there is a warning otherwise.
        experimental_implements: None; functions have no other implementation.
        experimental_autograph_options: None; Python is not translated.
        experimental_attributes: None.
        experimental_relax_shapes: The older name of `reduce_retracing`.
        experimental_compile: The older name of `jit_compile`.
        experimental_follow_type_hints: None or False; hints are not looked at.

    Returns:
        A `Function`, or a decorator.
    """
    for argument, value in (
        ("experimental_implements", experimental_implements),
        ("experimental_autograph_options", experimental_autograph_options),
        ("experimental_attributes", experimental_attributes),
        ("experimental_follow_type_hints", experimental_follow_type_hints or None),
    ):
        if value is not None:
            raise ValueError(f"tf.function: {argument}: expected None, received {value!r}")
    strict = bool(jit_compile or experimental_compile) or not boolean(autograph, "function", "autograph")
    quiet = bool(reduce_retracing or experimental_relax_shapes)

    def decorate(python_function: Any) -> Any:
        if isinstance(python_function, tracing.Function):
            python_function = python_function.python_function
        return Function(python_function, input_signature, strict, quiet)

    return decorate if func is None else decorate(func)


def executing_eagerly() -> bool:
    """Whether values are there: outside of functions that are being recorded."""
    return not context.is_tracing()


def inside_function() -> bool:
    """Whether a function is being recorded."""
    return context.is_tracing()


def is_symbolic_tensor(tensor: Any) -> bool:
    """Whether it is a tensor of a functional model, without a value."""
    return isinstance(tensor, KerasTensor)


def get_static_value(tensor: Any, partial: bool = False) -> Any:
    """The value of a tensor as an array, None while it is not known; `partial` gives no less."""
    boolean(partial, "get_static_value", "partial")
    try:
        return np.asarray(tensor)
    except (_core.TracedValueError, ValueError):
        return None


@operation
def stop_gradient(input: Any) -> Any:
    """The tensor, through which no gradient flows."""
    return ops.stop_gradient(tensor(input))


def grad_pass_through(f: Any) -> Any:
    """A function whose gradient is that of the identity."""

    @functools.wraps(f)
    def passing(x: Any, *args: Any, **kwargs: Any) -> Any:
        given = tensor(x)
        return given + ops.stop_gradient(tensor(f(x, *args, **kwargs)) - given)

    return passing


def recompute_grad(f: Any) -> Any:
    """The function itself: plans recompute cheap values by themselves."""
    if not callable(f):
        raise TypeError(f"tf.recompute_grad: f: expected a function, received {f!r}")
    return f


def group(*inputs: Any, name: str | None = None) -> None:
    """Computes tensors now.

    Args:
        *inputs: Tensors, nested or not, and None.
        name: What begins the message of an error.
    """
    for leaf in tree.flatten(list(inputs)):
        if leaf is not None and not isinstance(leaf, (_core.Tensor, _core.Variable, KerasTensor)):
            raise TypeError(f"{name or 'tf.group'}: expected tensors, received {leaf!r}")
    if not context.is_tracing():
        _core.realise([leaf for leaf in tree.flatten(list(inputs)) if isinstance(leaf, _core.Tensor)])


def no_op(name: str | None = None) -> None:
    """Does nothing; `name` is a text or None."""
    if name is not None and not isinstance(name, str):
        raise TypeError(f"tf.no_op: name: expected text or None, received {name!r}")


@contextlib.contextmanager
def control_dependencies(control_inputs: Any) -> Iterator[None]:
    """Computes what is listed, functions too, before the block, whose lines run in their order."""
    for item in control_inputs or ():
        if callable(item) and not isinstance(item, (_core.Tensor, _core.Variable)):
            item = item()
        if item is not None:
            group(item)
    yield


@contextlib.contextmanager
def name_scope(name: str) -> Iterator[str]:
    """Variables made in the block have `name`, whose parts slashes separate, in their path."""
    with contextlib.ExitStack() as stack:
        for part in filter(None, name.split("/")):
            stack.enter_context(_naming.name_scope(part))
        yield _naming.current_path() + "/"


@contextlib.contextmanager
def device(device_name: Any) -> Iterator[None]:
    """Computes what the block asks for on a device.

    Args:
        device_name: "/GPU:0", "/device:CPU:0", "cpu" and the like; None for the one in use. On a machine
            without a GPU, "/GPU:0" is its processor, unless `tf.config.set_soft_device_placement(False)`
            was said.

    Raises:
        ValueError: There is no such device.
    """
    if device_name is None:
        yield
        return
    text = str(getattr(device_name, "name", device_name)).lower().rstrip("/")
    kind, _, number = (
        text.rpartition("/")[2].removeprefix("device:").removeprefix("physical_device:").partition(":")
    )
    wanted = f"{kind}:{number or 0}"
    known = {found.name for found in _devices()}
    if wanted not in known and SETTINGS.soft_device_placement and kind in ("cpu", "gpu"):
        wanted = "cpu:0"
    with devices.device(wanted):
        yield


def _ran(function: str, results: Any, types: Any, name: str | None) -> Any:
    """What a Python function gave, as tensors of the announced dtypes."""
    from cnnrs.compat.tf import strings

    several = isinstance(types, (list, tuple))
    wanted = list(types) if several else [] if types is None else [types]
    given = list(results) if isinstance(results, (list, tuple)) and several else [results] if wanted else []
    if len(given) != len(wanted):
        raise ValueError(f"{name or function}: expected {len(wanted)} results, received {len(given)}")
    made = [
        StringTensor(strings.as_array(x))
        if as_dtype(dtype) == "string"
        else tensor(np.asarray(x, as_dtype(dtype).as_numpy_dtype))
        for x, dtype in zip(given, wanted, strict=True)
    ]
    return made if several else made[0] if made else None


def _calling(call: Callable[..., Any], decorated: Callable[..., Any], Tout: Any, **options: Any) -> Any:
    """The function as its decorator gives it: its arguments are the inputs of `call`."""

    @functools.wraps(decorated)
    def called(*inputs: Any) -> Any:
        return call(decorated, list(inputs), Tout, **options)

    return called


def numpy_function(
    func: Any = None, inp: Any = None, Tout: Any = None, stateful: bool = True, name: str | None = None
) -> Any:
    """Calls a function with arrays.

    Values are read: in functions that are being recorded this is an error, and `tf.function` and data sets
    run their function as Python instead.

    Args:
        func: Function of arrays; None for a decorator of one.
        inp: Tensors.
        Tout: The dtypes of the results, in a list if there are several.
        stateful: Either; the function is called each time.
        name: What begins the message of an error.
    """
    if func is None:
        return lambda decorated: _calling(numpy_function, decorated, Tout, stateful=stateful, name=name)
    boolean(stateful, "numpy_function", "stateful")
    arrays = [np.asarray(x) for x in (inp if isinstance(inp, (list, tuple)) else [inp])]
    return _ran("tf.numpy_function", func(*arrays), Tout, name)


def py_function(func: Any = None, inp: Any = None, Tout: Any = None, name: str | None = None) -> Any:
    """Calls a function with tensors that have values; gradients flow through it.

    Args:
        func: Function of tensors; None for a decorator of one.
        inp: Tensors.
        Tout: The dtypes of the results, in a list if there are several; None for none.
        name: What begins the message of an error.
    """
    from cnnrs.compat.tf.tensors import convert_to_tensor

    if func is None:
        return lambda decorated: _calling(py_function, decorated, Tout, name=name)
    given = [convert_to_tensor(x) for x in inp or ()]
    if context.is_tracing():
        for x in given:
            np.asarray(x)  # which raises: there are no values yet
    results = func(*given)
    several = isinstance(Tout, (list, tuple))
    wanted = list(Tout) if several else [] if Tout is None else [Tout]
    found = list(results) if several else [results] if wanted else []
    if len(found) != len(wanted):
        raise ValueError(f"{name or 'tf.py_function'}: expected {len(wanted)} results, received {len(found)}")
    made = [convert_to_tensor(x, as_dtype(dtype)) for x, dtype in zip(found, wanted, strict=True)]
    return made if several else made[0] if made else None


@operation
def timestamp() -> Any:
    """Seconds since 1970, as float64."""
    return ops.array(np.array(time.time(), "float64"))


def get_logger() -> logging.Logger:
    """The logger of cnnrs."""
    return logging.getLogger("cnnrs")
