"""`ElementFunction`: a function of elements, recorded once for each signature and replayed as a plan."""

from __future__ import annotations

import logging
import threading
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.base import context, policies
from cnnrs.base.dtypes import host_dtype
from cnnrs.base.image_steps import UnsizedImage, collecting
from cnnrs.base.key_scope import KeyScope
from cnnrs.base.recent import Recent
from cnnrs.data.chains import EagerChains, RecordedChains
from cnnrs.data.elements import as_element, for_user, host
from cnnrs.data.encoded import EncodedImage, decoded
from cnnrs.data.recording import Recording
from cnnrs.data.slots import Slot
from cnnrs.data.spec import TensorSpec, merged, plain_name, spec_of
from cnnrs.ops.dispatch import as_tensor

__all__ = ["ElementFunction", "arguments_of", "as_bool", "on_the_processor"]

# Files of images differ in size: that a line of a function meets many shapes tells nobody anything.
warnings.filterwarnings("ignore", r".*\d+ plans have been compiled", RuntimeWarning, r"cnnrs\.data\.mapping")

_LOG = logging.getLogger("cnnrs.data")
# Signatures for which a function is recorded. One that meets more is run by Python, whose ops find their
# plans by their graphs: recording would cost more than it saves.
_MAX_SIGNATURES = 16
# What stands for unknown extents where only shapes are asked for.
_EXTENTS = (40, 41)
_NUMBERS = (np.ndarray, _core.Tensor, np.generic, EncodedImage)
_NESTED = (tuple, list, dict, deque)


class on_the_processor:
    """Context manager in which this thread computes on the processor: a pipeline feeds the device."""

    def __enter__(self) -> None:
        self._before = _core.set_thread_device("cpu")

    def __exit__(self, *exception: object) -> None:
        _core.restore_thread_device(self._before)


class ElementFunction:
    """A user's function of elements, whose parts are its arguments if they come in a tuple.

    The first call with a signature (shapes and types) records the function on placeholders; further ones
    replay its plan without Python, in any thread. A function that cannot be recorded, for it reads values,
    files or text, or returns data sets, runs in Python for each element; the log says so once.

    Random draws depend on the key of the element alone, see `base.key_scope`.

    Args:
        function: The user's function.
        where: What errors and the log call it: "Dataset.map".
        returns_datasets: Whether it is there to return data sets, so that Python runs it.
        known: Gives the specs of the elements, or None. Of images whose size is not known there, the function
            is recorded once for all sizes if it can be.
    """

    def __init__(
        self,
        function: Callable[..., Any],
        where: str,
        returns_datasets: bool = False,
        known: Callable[[], Any] = lambda: None,
    ):
        if not callable(function):
            raise TypeError(f"{where}: expected a function, received {function!r}")
        self.function = function
        self.where = where
        self.runs_in_python = returns_datasets
        self._known = known
        self._unsized: list[bool] | None = None
        self._recordings: Recent[Any, Recording] = Recent(_MAX_SIGNATURES)
        # Those for images of all sizes; None where there is none.
        self._of_any_size: Recent[Any, tuple[Recording | None]] = Recent(_MAX_SIGNATURES)
        self._lock = threading.Lock()

    def __call__(self, arguments: tuple[Any, ...], key: np.ndarray, slot: Slot | None = None) -> Any:
        """What the function makes of one element.

        Args:
            arguments: The arguments, structures of leaves.
            key: The key of the element, two int32.
            slot: The place of the result in a batch, for arrays that are not made otherwise.

        Returns:
            An element, whose tensors are computed.
        """
        with on_the_processor():
            leaves = _leaves(arguments)
            unsized = self._for_any_size(arguments, leaves)
            if unsized is not None:
                return unsized(leaves, key, slot)
            if any(type(leaf) is EncodedImage for leaf in leaves):
                arguments = decoded(arguments)
                leaves = _leaves(arguments)
            recording = None if self.runs_in_python else self._recording(arguments, leaves)
            if recording is None:
                return self._in_python(arguments, key)
            return recording(leaves, key, slot)

    def of_pair(self, pair: tuple[Any, ...]) -> Any:
        """What the function makes of an element with its key, and perhaps its slot."""
        element, *rest = pair
        return self(arguments_of(element), *rest)

    @property
    def groups(self) -> bool:
        """Whether groups of some elements are computed by one plan."""
        return not self.runs_in_python and any(r.groups for r in self._recordings.values())

    def prepare(self, pair: tuple[Any, ...]) -> None:
        """Records the function for elements such as this one, if it can be recorded."""
        arguments = arguments_of(pair[0])
        if not self.runs_in_python:
            with on_the_processor():
                if self._for_any_size(arguments, _leaves(arguments)) is None:
                    arguments = decoded(arguments)
                    self._recording(arguments, _leaves(arguments))

    def many(self, pairs: list[tuple[Any, ...]]) -> list[Any]:
        """What the function makes of the elements of a group, by one plan if they have one signature."""
        arguments = [arguments_of(pair[0]) for pair in pairs]
        leaves = [_leaves(each) for each in arguments]
        with on_the_processor():
            recording = None if self.runs_in_python else self._group(arguments, leaves)
            if recording is None:
                return [self(each, *pair[1:]) for each, pair in zip(arguments, pairs, strict=True)]
            columns = [np.stack([host(leaf) for leaf in column]) for column in zip(*leaves, strict=True)]
            return recording.of_group(columns, np.stack([pair[1] for pair in pairs]))

    def _group(self, arguments: list[tuple[Any, ...]], leaves: list[Sequence[Any]]) -> Recording | None:
        """The recording for a group of elements; None if their signatures differ or groups bring nothing."""
        recording = self._recording(arguments[0], leaves[0])
        if recording is None or not recording.groups:
            return None
        facts = [(leaf.shape, leaf.dtype) for leaf in leaves[0]]
        for each in leaves[1:]:
            if len(each) != len(facts) or any(
                not isinstance(leaf, _NUMBERS) or (leaf.shape, leaf.dtype) != fact
                for leaf, fact in zip(each, facts, strict=True)
            ):
                return None
        return recording

    def _recording(self, arguments: tuple[Any, ...], leaves: Sequence[Any]) -> Recording | None:
        """The plan for such arguments and the structure of its outputs; None if there is none."""
        facts: list[Any] = []
        for leaf in leaves:
            if not isinstance(leaf, _NUMBERS):
                return self._give_up("elements hold text or data sets")
            facts += (leaf.shape, leaf.dtype)
        # Arguments of one function have one structure, but for dicts with other keys and the like.
        layout = None if leaves is arguments else repr(tree.map_structure(_nothing, arguments))
        signature = (tuple(facts), layout, _core.plan_key(), policies.changes())
        found = self._recordings.get(signature)
        if found is not None:
            return found
        with self._lock:
            found = self._recordings.get(signature)
            if found is not None or self.runs_in_python:
                return found
            if len(self._recordings) == _MAX_SIGNATURES:
                return self._give_up(f"elements have more than {_MAX_SIGNATURES} shapes")
            try:
                found = self._record(arguments)
            except Exception as error:
                # What is wrong with the function, if anything is, comes out where Python runs it.
                return self._give_up(f"{type(error).__name__}: {error}")
            if found is None:
                return self._give_up("it returns text or data sets")
            self._recordings[signature] = found
        return found

    def _for_any_size(self, arguments: tuple[Any, ...], leaves: Sequence[Any]) -> Recording | None:
        """The recording for images of all sizes; None if sizes are known, or matter to the function."""
        if self.runs_in_python or self._unsized == []:
            return None
        if self._unsized is None:
            self._unsized = _unsized(self._known(), leaves)
            if not any(self._unsized):
                self._unsized = []
                return None
        if len(leaves) != len(self._unsized) or not all(isinstance(leaf, _NUMBERS) for leaf in leaves):
            return None
        facts: list[Any] = []
        for leaf, unsized in zip(leaves, self._unsized, strict=True):
            facts += (leaf.shape[2:] if unsized else leaf.shape, leaf.dtype)
        signature = (tuple(facts), _core.plan_key(), policies.changes())
        found = self._of_any_size.get(signature)
        if found is not None:
            return found[0]
        with self._lock:
            found = self._of_any_size.get(signature)
            if found is None:
                try:
                    found = (self._record(arguments, self._unsized),)
                except Exception as error:
                    # As text: the error holds the trace, which this thread alone may drop.
                    _LOG.info("%s: recorded for each size of images: %s", self.where, str(error))
                    found = (None,)
                self._of_any_size[signature] = found
        return found[0]

    def _record(self, arguments: tuple[Any, ...], unsized: Sequence[bool] = ()) -> Recording | None:
        with context.trace() as recorder:
            images: list[UnsizedImage] = []
            sizes_differ = iter(unsized)

            def numbers(count: int) -> tuple[Any, int]:
                tensor = recorder.placeholder([count], "float32", "sizes")
                return tensor, recorder.place_of(tensor)

            def place(leaf: Any) -> Any:
                if not next(sizes_differ, False):
                    return recorder.placeholder(list(leaf.shape), plain_name(leaf.dtype), "element")
                # It keeps the place; no plan reads it.
                stand_in = recorder.placeholder([1, 1, leaf.shape[2]], "uint8", "image")
                images.append(UnsizedImage(leaf.shape[2], recorder.place_of(stand_in), numbers))
                return images[-1]

            placed = tree.map_structure(place, arguments)
            chains = RecordedChains(recorder)
            with KeyScope(recorder.placeholder([4], "int32", "key")), collecting(chains):
                outputs = self._returned(placed)
            leaves = tree.flatten(outputs)
            if any(
                not (leaf is None or isinstance(leaf, (np.ndarray, np.generic, _core.Tensor)))
                for leaf in leaves
            ):
                return None
            spec = spec_of(outputs)
            tensors = [as_tensor(leaf) for leaf in leaves if leaf is not None]
            size = sum(leaf.size for leaf in (*tensors, *_leaves(arguments)))
            return Recording(recorder, chains, outputs, spec, tensors, size, images)

    def _in_python(self, arguments: tuple[Any, ...], key: np.ndarray) -> Any:
        with KeyScope(key), _core.no_grad(), collecting(EagerChains()):
            outputs = self._returned(tree.map_structure(for_user, arguments))
        tensors = [leaf for leaf in tree.flatten(outputs) if isinstance(leaf, _core.Tensor)]
        if tensors:
            try:
                _core.realise(tensors)
            except RuntimeWarning:
                # Where warnings are errors. The values are there.
                pass
        return outputs

    def _returned(self, arguments: tuple[Any, ...]) -> Any:
        """What the function returns, as an element: a list is as a tuple, as in tf.data."""
        result = self.function(*arguments)
        return as_element(tuple(result) if isinstance(result, list) else result, self.where)

    def _give_up(self, reason: str) -> Recording | None:
        if not self.runs_in_python:
            self.runs_in_python = True
            name = getattr(self.function, "__qualname__", type(self.function).__name__)
            _LOG.info("%s: %s runs in Python for each element: %s", self.where, name, reason)
        return None

    def spec(self, arguments: tuple[Any, ...]) -> Any:
        """The specs of the result, by those of the arguments; None if only a call tells.

        Recording tells. Unknown extents are tried with two numbers: what differs in the results is unknown.
        """
        leaves = tree.flatten(arguments)
        known = all(isinstance(s, TensorSpec) and s.shape is not None for s in leaves)
        if self.runs_in_python or not known or any(s.dtype == "string" for s in leaves):
            return None
        if all(None not in s.shape for s in leaves):
            examples = _examples(arguments, 0)
            with on_the_processor():
                recording = self._recording(examples, _leaves(examples))
            return None if recording is None else recording.spec
        found = []
        for extent in _EXTENTS:
            try:
                with on_the_processor():
                    recording = self._record(_examples(arguments, extent))
            except Exception:
                # It may fit other extents.
                return None
            if recording is None:
                return None
            found.append(recording.spec)
        return merged(*found)


def _unsized(specs: Any, leaves: Sequence[Any]) -> list[bool]:
    """Which leaves are images of bytes, channels last, whose height and width the specs do not know."""
    known = [] if specs is None else tree.flatten(specs)
    if len(known) != len(leaves):
        return []
    return [
        isinstance(spec, TensorSpec)
        and spec.dtype == "uint8"
        and spec.shape is not None
        and len(spec.shape) == 3
        and spec.shape[:2] == (None, None)
        and spec.shape[2] is not None
        for spec in known
    ]


def _examples(specs: tuple[Any, ...], extent: int) -> tuple[Any, ...]:
    """Arrays of such specs, with `extent` for unknown extents."""

    def example(spec: Any) -> np.ndarray:
        return np.zeros([extent if n is None else n for n in spec.shape], host_dtype(spec.dtype))

    examples: tuple[Any, ...] = tree.map_structure(example, specs)
    return examples


def _nothing(_: Any) -> int:
    return 0


def _leaves(arguments: tuple[Any, ...]) -> Sequence[Any]:
    """The leaves of arguments in order: the arguments themselves, if nothing is nested."""
    if any(isinstance(argument, _NESTED) for argument in arguments):
        return tree.flatten(arguments)
    return arguments


def arguments_of(element: Any) -> tuple[Any, ...]:
    """The arguments of a function of an element: the parts of a tuple."""
    return tuple(element) if isinstance(element, tuple) else (element,)


def as_bool(value: Any, where: str) -> bool:
    """What a predicate returned, as a bool.

    Raises:
        ValueError: It is no single bool or number.
    """
    value = host(value)
    if np.ndim(value) != 0 or not isinstance(value, (bool, np.bool_, int, np.ndarray, np.generic)):
        raise ValueError(f"{where}: expected a function that returns a single bool, received {value!r}")
    return bool(value)
