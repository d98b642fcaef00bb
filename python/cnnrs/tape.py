"""`GradientTape` and `value_and_grad`: gradients of what has just been computed."""

from __future__ import annotations

import contextlib
import threading
import weakref
from collections.abc import Callable
from typing import Any

from cnnrs import _core, ops, tree
from cnnrs.base import context
from cnnrs.base.arguments import NamedArguments, named
from cnnrs.base.dtypes import FLOATS
from cnnrs.ops import raw
from cnnrs.ops.dispatch import as_float, as_tensor

# Calls of `gradient` whose results nobody has read yet. A plan that computes all of them holds what
# the layers of each forward pass made: a loop that only collects gradients would need much memory.
_MAX_UNREAD = 4
_UNREAD = threading.local()

__all__ = ["GradientTape", "grad", "value_and_grad"]


class GradientTape(NamedArguments):
    """Context manager around a computation whose gradients are wanted.

    Tensors remember how they were made, so that the tape only has to mark constants (`watch`) and to ask.

    Args:
        persistent: Whether `gradient` may be called more than once.
        watch_accessed_variables: True; trainable variables are always watched.

    >>> import cnnrs
    >>> x = cnnrs.Variable(3.0)
    >>> with cnnrs.GradientTape() as tape:
    ...     y = x * x
    >>> float(tape.gradient(y, x))
    6.0
    """

    def __init__(self, persistent: bool = False, watch_accessed_variables: bool = True):
        if not watch_accessed_variables:
            raise ValueError(
                "GradientTape: watch_accessed_variables: expected True; gradients are taken only for the "
                "sources that gradient() is given"
            )
        self.persistent = persistent
        self._used = False
        self._watched: list[Any] = []

    def __enter__(self) -> GradientTape:
        return self

    def __exit__(self, *exception: object) -> None:
        """The computation is over; `gradient` may be called now."""

    def watch(self, tensor: Any) -> None:
        """Marks constants, so that gradients with respect to them can be taken."""
        for leaf in tree.flatten(tensor):
            if not isinstance(leaf, (_core.Tensor, _core.Variable)):
                raise TypeError(f"watch: expected a tensor, received {type(leaf).__name__}")
            if isinstance(leaf, _core.Tensor) and not leaf.requires_grad:
                if leaf.dtype not in FLOATS:
                    raise TypeError(f"watch: expected a tensor of floats, received {leaf.dtype}{leaf.shape}")
                leaf.requires_grad = True
            self._watched.append(leaf)

    def watched_variables(self) -> tuple[Any, ...]:
        """The variables that were given to `watch`."""
        return tuple(leaf for leaf in self._watched if isinstance(leaf, _core.Variable))

    def stop_recording(self) -> Any:
        """Context manager under which nothing is tracked."""
        return _core.no_grad()

    def reset(self) -> None:
        """Forgets what was watched and asked."""
        self._watched.clear()
        self._used = False

    def gradient(
        self, target: Any, sources: Any, output_gradients: Any = None, unconnected_gradients: str = "none"
    ) -> Any:
        """Gradients of the sum of `target` with respect to `sources`, in their structure.

        Args:
            target: A tensor, or a structure of them.
            sources: Variables and watched tensors, nested or not.
            output_gradients: A factor for each element of the target.
            unconnected_gradients: "none" or "zero": what a source gets that the target does not depend on.

        Raises:
            RuntimeError: The tape is not persistent and has been asked before.
        """
        self._use("gradient", unconnected_gradients)
        flat = tree.flatten(sources)
        root = _sum(target, output_gradients)
        gradients = _core.gradients(root, flat)
        _bound_unread(gradients, flat)
        if unconnected_gradients == "zero":
            gradients = [
                ops.zeros(source.shape, source.dtype) if gradient is None else gradient
                for gradient, source in zip(gradients, flat, strict=True)
            ]
        return tree.pack_sequence_as(sources, gradients)

    def _use(self, method: str, unconnected_gradients: str) -> None:
        """The tape is asked, which it may be once unless it is persistent."""
        if self._used and not self.persistent:
            raise RuntimeError(f"{method}: expected GradientTape(persistent=True) for a second call")
        if unconnected_gradients not in ("none", "zero"):
            raise ValueError(
                f"unconnected_gradients: expected 'none' or 'zero', received {unconnected_gradients!r}"
            )
        self._used = True

    def jacobian(self, target: Any, sources: Any, unconnected_gradients: str = "none") -> Any:
        """The derivative of each element of a tensor with respect to each element of the sources.

        It takes as many gradients as the target has elements, all in one plan.

        Args:
            target: A tensor.
            sources: Variables and watched tensors, nested or not.
            unconnected_gradients: "none" or "zero": what a source gets that the target does not depend on.

        Returns:
            For each source a tensor of shape `target.shape + source.shape`, in the structure of the sources.

        Raises:
            RuntimeError: The tape is not persistent and has been asked before.

        >>> import cnnrs
        >>> x = cnnrs.Variable([1.0, 2.0])
        >>> with cnnrs.GradientTape() as tape:
        ...     y = x * x
        >>> tape.jacobian(y, x).tolist()
        [[2.0, 0.0], [0.0, 4.0]]
        """
        self._use("jacobian", unconnected_gradients)
        stacked = _stacked(as_tensor(target), tree.flatten(sources), unconnected_gradients)
        return tree.pack_sequence_as(sources, stacked)

    def batch_jacobian(self, target: Any, source: Any, unconnected_gradients: str = "none") -> Any:
        """The derivatives of each sample of a tensor with respect to the same sample of the source.

        Samples must not depend on other samples of the source.

        Args:
            target: A tensor of shape (batch, ...).
            source: A watched tensor or variable of shape (batch, ...).
            unconnected_gradients: "none" or "zero": what is given if the target does not depend on it.

        Returns:
            A tensor of shape `(batch,) + target.shape[1:] + source.shape[1:]`.

        Raises:
            RuntimeError: The tape is not persistent and has been asked before.
            ValueError: The batches differ.

        >>> import cnnrs
        >>> x = cnnrs.Variable([[1.0, 2.0], [3.0, 4.0]])
        >>> with cnnrs.GradientTape() as tape:
        ...     y = x * x
        >>> tape.batch_jacobian(y, x)[1].tolist()
        [[6.0, 0.0], [0.0, 8.0]]
        """
        self._use("batch_jacobian", unconnected_gradients)
        target = as_tensor(target)
        if not target.shape or not source.shape or target.shape[0] != source.shape[0]:
            raise ValueError(
                f"batch_jacobian: expected the same number of samples, received shapes {target.shape} and "
                f"{source.shape}"
            )
        inner = (*target.shape[1:], *source.shape[1:])
        # The sum over samples has the gradient of each in its own row.
        (stacked,) = _stacked(raw.sum(target, axes=[0]), [source], unconnected_gradients)
        if stacked is None:
            return None
        return raw.reshape(ops.moveaxis(stacked, target.ndim - 1, 0), (target.shape[0], *inner))


def _stacked(target: Any, sources: list[Any], unconnected: str) -> list[Any]:
    """The derivatives of each element of a tensor with respect to each source; None where there are none."""
    flat = raw.reshape(target, (-1,))
    rows = [_core.gradients(flat[i], sources) for i in range(flat.shape[0])]
    stacked: list[Any] = []
    for source, column in zip(sources, zip(*rows, strict=True), strict=True):
        shape = (*target.shape, *source.shape)
        if column[0] is not None:
            stacked.append(raw.reshape(ops.stack(list(column)), shape))
        else:
            stacked.append(ops.zeros(shape) if unconnected == "zero" else None)
    return stacked


def _sum(target: Any, factors: Any) -> Any:
    targets = [as_tensor(t) for t in tree.flatten(target)]
    if factors is not None:
        pairs = zip(targets, tree.flatten(factors), strict=True)
        targets = [t if f is None else raw.mul(t, f) for t, f in pairs]
    total = None
    for t in targets:
        scalar = t if t.shape == () else raw.sum(t)
        total = scalar if total is None else raw.add(total, scalar)
    if total is None:
        raise ValueError("gradient: target: expected at least one tensor, received none")
    return total


@named
def value_and_grad(
    function: Callable[..., Any], wrt: Any = None, has_aux: bool = False
) -> Callable[..., Any]:
    """A function that gives the value of `function` and its gradients, computed in one run.

    Args:
        function: Gives a scalar, or `(scalar, anything)` with `has_aux`.
        wrt: Variables (nested or not), or a layer for its trainable weights; None for the first argument.
        has_aux: Whether the function gives something besides.

    Returns:
        A function of the same arguments that gives `(value, gradients)`, or `((value, aux), gradients)`.

    >>> import cnnrs
    >>> w = cnnrs.Variable([1.0, 2.0])
    >>> value, grad = cnnrs.value_and_grad(lambda x: cnnrs.ops.sum(w * x), wrt=w)([3.0, 4.0])
    >>> float(value), grad.tolist()
    (11.0, [3.0, 4.0])
    """

    return _with_gradients(function, wrt, has_aux, "value_and_grad")


@named
def grad(function: Callable[..., Any], wrt: Any = None, has_aux: bool = False) -> Callable[..., Any]:
    """A function that gives the gradients of `function`; `value_and_grad` without the value.

    Args:
        function: Gives a scalar, or `(scalar, anything)` with `has_aux`.
        wrt: Variables (nested or not), or a layer for its trainable weights; None for the first argument.
        has_aux: Whether the function gives something besides.

    Returns:
        A function of the same arguments that gives the gradients, or `(gradients, aux)`.

    >>> import cnnrs
    >>> cnnrs.grad(lambda x: cnnrs.ops.sum(x * x))(cnnrs.ops.array([1.0, 3.0])).tolist()
    [2.0, 6.0]
    >>> cube = lambda x: x * x * x
    >>> float(cnnrs.grad(cnnrs.grad(cube))(2.0))
    12.0
    """
    both = _with_gradients(function, wrt, has_aux, "grad")

    def gradients_alone(*args: Any, **kwargs: Any) -> Any:
        value, gradients = both(*args, **kwargs)
        return (gradients, value[1]) if has_aux else gradients

    return gradients_alone


def _with_gradients(function: Callable[..., Any], wrt: Any, has_aux: bool, caller: str) -> Callable[..., Any]:
    """What `value_and_grad` gives; errors name the caller."""
    if not callable(function):
        raise TypeError(f"{caller}: function: expected a function, received {function!r}")

    def with_gradients(*args: Any, **kwargs: Any) -> Any:
        if wrt is None:
            if not args:
                raise TypeError(f"{caller}: expected an argument to take the gradient with respect to")
            sources = tree.map_structure(_leaf, args[0])
            args = (sources, *args[1:])
        else:
            sources = wrt.trainable_variables if hasattr(wrt, "trainable_variables") else wrt
        result = function(*args, **kwargs)
        if has_aux and not (isinstance(result, tuple) and len(result) == 2):
            raise TypeError(
                f"{caller}: has_aux: expected (value, aux) from the function, received {result!r}"
            )
        value, aux = result if has_aux else (result, None)
        value = as_tensor(value)
        if value.shape != ():
            raise ValueError(f"{caller}: expected a scalar from the function, received shape {value.shape}")
        flat = tree.flatten(sources)
        gradients = _core.gradients(value, flat)
        if not context.is_tracing():
            _core.realise([value, *(g for g in gradients if g is not None)])
        packed = tree.pack_sequence_as(sources, gradients)
        return ((value, aux), packed) if has_aux else (value, packed)

    return with_gradients


def _bound_unread(gradients: list[Any], sources: list[Any]) -> None:
    """Computes the gradients of earlier calls on this thread, if many of them wait to be read."""
    if context.is_tracing():
        return
    unread: list[Any] = getattr(_UNREAD, "first", [])
    alive = [tensor for tensor in (reference() for reference in unread) if tensor is not None]
    waiting = [reference for reference in unread if _waits(reference())]
    if len(waiting) >= _MAX_UNREAD:
        for tensor in filter(_waits, alive):
            # What a recording made that was given up has no value, and nobody asks for it.
            with contextlib.suppress(_core.TracedValueError):
                _core.realise([tensor])
        waiting = []
    for gradient, source in zip(gradients, sources, strict=True):
        if isinstance(gradient, _core.Tensor):
            # An optimizer reads that of a variable. That of a tensor is held, as what the caller keeps may be
            # made of it: its first row alone keeps all that it is computed of.
            held = not isinstance(source, _core.Variable)
            waiting.append((lambda gradient=gradient: gradient) if held else weakref.ref(gradient))
            break
    _UNREAD.first = waiting


def _waits(tensor: Any) -> bool:
    return tensor is not None and not tensor.is_realised


def _leaf(x: Any) -> Any:
    """A tensor to take gradients with respect to."""
    if isinstance(x, _core.Variable) or (isinstance(x, _core.Tensor) and x.requires_grad):
        return x
    leaf = as_float(x).detach() if isinstance(x, _core.Tensor) else _core.tensor(x, "float32")
    leaf.requires_grad = True
    return leaf
