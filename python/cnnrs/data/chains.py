"""Chains of augmentation: steps that the core runs on arrays of elements, between plans or by themselves."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnrs import _core, ops
from cnnrs.base import context
from cnnrs.base.image_steps import SIZING_STEPS, SizedStep, Step, UnsizedImage
from cnnrs.base.recent import Recent

__all__ = ["Chain", "EagerChains", "RecordedChains", "SizedChain", "packed"]

_DTYPES = ("uint8", "float32")
# Sizes of images for which a chain is kept: the numbers of each take some kilobytes.
_MAX_SIZES = 64

Steps = Sequence[Step | SizedStep]


def _described(steps: Sequence[Step]) -> list[Any]:
    """Steps without what is drawn, as the core takes them."""
    return [
        (step.name, [float(n) for n in step.numbers], [_described(part) for part in step.parts])
        for step in steps
    ]


def _params(steps: Steps) -> list[Any]:
    """What is drawn, in the order in which the core reads it."""
    found: list[Any] = []
    for step in steps:
        found += step.params
        for part in step.parts:
            found += _params(part)
    return found


def packed(steps: Steps, batch: int) -> Any:
    """What is drawn, of shape (batch, numbers): a tensor, or an array where all is numbers."""
    columns = []
    for param in _params(steps):
        if not hasattr(param, "shape"):
            columns.append(np.full((batch, 1), param, np.float32))
            continue
        value = ops.cast(param, "float32")
        wide = len(value.shape) == 2 and value.shape[1] > 1
        value = value if wide else ops.reshape(value, (-1, 1))
        columns.append(ops.broadcast_to(value, (batch, value.shape[1])))
    if all(isinstance(column, np.ndarray) for column in columns):
        return np.concatenate(columns or [np.zeros((batch, 0), np.float32)], axis=1)
    return ops.concatenate(columns, axis=1)


class Chain:
    """Steps for images of one shape.

    Args:
        steps: The steps.
        shape: The shape of an image, or of a batch of them.
        channels_first: Whether channels stand in front of height and width.

    Attributes:
        result_shape: The shape of the results.
        result_dtype: Their element type.
    """

    def __init__(self, steps: Sequence[Step], shape: Sequence[int], channels_first: bool):
        self._core = _core.Augmentation(_described(steps))
        self._channels_first = channels_first
        self._shape = tuple(shape)
        a, b, c = self._shape[-3:]
        last = self._core.result_shape((a, b, c), channels_first)
        self.result_shape = (*self._shape[:-3], *last)
        self.result_dtype = "uint8" if steps[-1].name == "round" else "float32"

    def run(self, images: np.ndarray, params: np.ndarray, to: np.ndarray | None = None) -> np.ndarray:
        """What the steps make of images, which may have further axes in front.

        Args:
            images: Array of uint8 or float32.
            params: What `packed` gives, with the same axes in front.
            to: Where the result of one image goes; None for an array of its own.
        """
        front = images.shape[:-3]
        count = math.prod(front)
        images = np.ascontiguousarray(images).reshape(count, *images.shape[-3:])
        params = np.ascontiguousarray(params, np.float32).reshape(count, -1 if count else self._core.params)
        shape = (count, *self.result_shape[-3:])
        results = np.empty(shape, self.result_dtype) if to is None else to.reshape(shape)
        self._core.apply(images, params, results, self._channels_first)
        return to if to is not None else results.reshape(*front, *results.shape[1:])


class SizedChain:
    """Steps for images of any size, channels last: a chain for each size, made when an image has it.

    Args:
        steps: The steps.
        example: The shape of an image, with the channels of all.

    Attributes:
        result_shape: The shape of the results.
        result_dtype: Their element type.
    """

    def __init__(self, steps: Steps, example: Sequence[int]):
        self._steps = steps
        self._chains: Recent[tuple[int, ...], Chain] = Recent(_MAX_SIZES)
        chain = self._of(tuple(example))
        self.result_shape, self.result_dtype = chain.result_shape, chain.result_dtype

    def _of(self, shape: tuple[int, ...]) -> Chain:
        chain = self._chains.get(shape)
        if chain is None:
            steps: list[Step] = []
            for step in self._steps:
                steps += step.steps(*shape[:2]) if isinstance(step, SizedStep) else [step]
            self._chains[shape] = chain = Chain(steps, shape, channels_first=False)
        return chain

    def run(self, images: np.ndarray, params: np.ndarray, to: np.ndarray | None = None) -> np.ndarray:
        """What the steps make of one image; see `Chain.run`."""
        return self._of(images.shape).run(images, params, to)


def _chain(steps: Steps, shape: Sequence[int], channels_first: bool) -> Chain | SizedChain:
    plain = [step for step in steps if not isinstance(step, SizedStep)]
    return Chain(plain, shape, channels_first) if len(plain) == len(steps) else SizedChain(steps, shape)


def _taken(images: Any, steps: Steps, channels_first: bool) -> bool:
    """Whether steps can be run on such images."""
    if isinstance(images, UnsizedImage):
        return steps[0].name in SIZING_STEPS and not channels_first
    return images.dtype in _DTYPES and len(images.shape) in (3, 4) and 0 not in images.shape


def _shape(images: Any) -> Sequence[int]:
    """The shape that steps are checked with."""
    shape: Sequence[int] = images.example if isinstance(images, UnsizedImage) else images.shape
    return shape


def _batch(images: Any) -> int:
    return 1 if len(images.shape) == 3 else int(images.shape[0])


class EagerChains:
    """A collector that runs steps at once: where Python runs the function of a mapping."""

    def add(self, images: Any, steps: Steps, channels_first: bool) -> Any:
        if not _taken(images, steps, channels_first):
            return None
        chain = _chain(steps, images.shape, channels_first)
        drawn = packed(steps, _batch(images))
        params = drawn if isinstance(drawn, np.ndarray) else drawn.numpy()
        params = params if len(images.shape) == 4 else params[0]
        return _core.tensor(chain.run(images.numpy(), params))

    def follows(self, images: Any) -> bool:
        return False


class _Call:
    """A chain that stands between plans.

    Attributes:
        images: The tensor of its images.
        place: The place of it among the placeholders; None if it is computed.
        result: The place of the result among them.
    """

    def __init__(self, images: Any, place: int | None, steps: Steps, channels_first: bool, result: int):
        self.images, self.place, self.result = images, place, result
        self.steps, self.channels_first = steps, channels_first
        self.chain = _chain(steps, _shape(images), channels_first)


class RecordedChains:
    """A collector for a function that is being recorded: results are placeholders, which chains fill.

    Args:
        recorder: The `_core.Trace`.

    Attributes:
        calls: The chains in their order. Steps that follow on a result become a longer chain of their own.
    """

    def __init__(self, recorder: Any):
        self._recorder = recorder
        self._depth = context.trace_depth()
        self.calls: list[_Call] = []

    def _made(self, place: int | None) -> _Call | None:
        """The call whose result stands at a place."""
        return next((call for call in self.calls if call.result == place), None)

    def _place(self, images: Any) -> int | None:
        """The place of images among the placeholders."""
        if isinstance(images, UnsizedImage):
            return images.place
        place: int | None = self._recorder.place_of(images)
        return place

    def add(self, images: Any, steps: Steps, channels_first: bool) -> Any:
        # What is recorded inside of this function has placeholders of its own.
        if not _taken(images, steps, channels_first) or context.trace_depth() != self._depth:
            return None
        place = self._place(images)
        before = self._made(place)
        if before is not None and before.channels_first == channels_first:
            images, place = before.images, before.place
            steps = [*before.steps, *steps]
        chain = _chain(steps, _shape(images), channels_first)
        result = self._recorder.placeholder(list(chain.result_shape), chain.result_dtype, "augmented")
        at = self._recorder.place_of(result)
        self.calls.append(_Call(images, place, steps, channels_first, at))
        return result

    def follows(self, images: Any) -> bool:
        inside = context.trace_depth() != self._depth
        return not inside and self._made(self._place(images)) is not None
