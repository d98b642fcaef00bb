"""Calls of functional models that are recorded once and then replayed as one node, without Python.

`model(x)` records nodes for whatever may be asked of them later: a value, a gradient. The Python of ten
layers takes longer for that than a small network does to compute. The second call with a shape and a mode is
recorded; from then on a call makes one node of what was recorded. Models whose layers run Python of the
user's are left alone, and so are calls that draw numbers, assign variables or add losses.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import context, generation, policies
from cnnrs.base.recent import Recent
from cnnrs.base.tensor_info import Logits
from cnnrs.layers import Lambda
from cnnrs.layers.base import Layer, holding_losses
from cnnrs.ops.annotated import AnnotatedTensor, annotate
from cnnrs.ops.masks import mask_of
from cnnrs.symbolic import OpFunction

__all__ = ["Replays"]

# Shapes and modes whose recordings a model keeps.
_MAX_RECORDINGS = 16

# Attributes of layers that may hold a function of the user's.
_FUNCTIONS = ("activation", "recurrent_activation")


class _Recording(NamedTuple):
    """A recorded call.

    Attributes:
        function: Gives the outputs, then the logits of those that are probabilities.
        structure: The structure of the outputs.
        logits: For each output what its probabilities were made by, the function and the axis, or None.
    """

    function: _core.CompiledFunction
    structure: Any
    logits: list[tuple[Any, Any] | None]


class _Known:
    """What is known of the calls of a model in one state of all layers.

    Attributes:
        state: How often layers and policies had changed before.
        recordings: Recordings by shape, dtype and mode; None of a call that cannot be replayed.
        called: What has been called once.
    """

    def __init__(self, state: tuple[int, int]) -> None:
        self.state = state
        self.recordings: Recent[Any, tuple[_Recording | None]] = Recent(_MAX_RECORDINGS)
        self.called: Recent[Any, bool] = Recent(_MAX_RECORDINGS)


class Replays:
    """The recorded calls of a model."""

    def __init__(self) -> None:
        self._known = _Known((-1, -1))

    def outputs(self, model: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """The outputs of a call; None if Python has to run."""
        if len(args) != 1 or context.is_busy() or holding_losses() or _core.get_debug():
            return None
        x, training = args[0], None
        if kwargs:
            training = kwargs.get("training")
            if len(kwargs) > 1 or "training" not in kwargs or training not in (None, True, False):
                return None
        if type(x) is np.ndarray:
            if x.dtype != np.float32:
                return None
        elif type(x) is not _core.Tensor or mask_of(x) is not None:
            return None
        state = (generation.current(), policies.changes())
        known = self._known
        if known.state != state:
            known = self._known = _Known(state)
        key = (x.shape, x.dtype, bool(training))
        found = known.recordings.get(key)
        if found is None:
            # One call may well be the only one.
            if not known.called.get(key):
                known.called[key] = True
                return None
            # Where another thread has changed a layer by now, `known` is no longer asked.
            found = known.recordings[key] = (_record(model, x, training),)
        (recording,) = found
        if recording is None:
            return None
        values = recording.function.record(x)
        if len(values) == 1 and not tree.is_nested(recording.structure):
            return values[0]
        rest = iter(values[len(recording.logits) :])
        leaves = [
            value if made is None else annotate(value, logits=Logits(next(rest), *made))
            for value, made in zip(values, recording.logits, strict=False)
        ]
        return tree.pack_sequence_as(recording.structure, leaves)


def _record(model: Any, x: Any, training: Any) -> _Recording | None:
    """The recording of a call; None if it is more than a function of tensors."""
    if not _is_plain(model):
        return None
    with context.trace() as recorder:
        placeholder = recorder.placeholder(list(x.shape), str(x.dtype), model.name)
        outputs = Layer.__call__(model, placeholder, training=training)
        leaves = tree.flatten(outputs)
        logits: list[tuple[Any, Any] | None] = []
        further = []
        for leaf in leaves:
            info = leaf.info if type(leaf) is AnnotatedTensor else None
            if not isinstance(leaf, _core.Tensor) or mask_of(leaf) is not None:
                return None
            if info is None:
                logits.append(None)
            elif info.mask is not None or info.logits is None:
                return None
            else:
                logits.append((info.logits.function, info.logits.axis))
                further.append(info.logits.tensor)
        function = recorder.compile(leaves + further)
    if holding_losses():
        model._clear_losses()
        return None
    if not function.is_pure:
        return None
    return _Recording(function, tree.map_structure(lambda _: None, outputs), logits)


def _is_plain(model: Any) -> bool:
    """Whether a call runs no Python of the user's."""
    if not _is_ours(model.call):
        return False
    for layer in model._flatten_layers():
        if layer is not model and not (_is_ours(type(layer)) and _is_ours(layer.call)):
            return False
        if isinstance(layer, Lambda):
            return False
        functions = (getattr(layer, name, None) for name in _FUNCTIONS)
        if not all(function is None or _is_ours(function) for function in functions):
            return False
        graph = getattr(layer, "_graph", None)
        for operation in [] if graph is None else graph.operations:
            what = operation.function if isinstance(operation, OpFunction) else type(operation)
            if not _is_ours(what) and operation is not model:
                return False
            given = tree.flatten([node.arguments for node in operation._inbound_nodes])
            if not all(_is_ours(value) for value in given if callable(value) and not isinstance(value, type)):
                return False
    return True


def _is_ours(what: Any) -> bool:
    module = getattr(what, "__module__", None) or type(what).__module__
    return module.startswith("cnnrs.")
