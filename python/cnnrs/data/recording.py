"""`Recording`: a recorded function of elements, as plans and chains of augmentation one after another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from cnnrs import ops, tree
from cnnrs.base import context
from cnnrs.base.image_steps import UnsizedImage
from cnnrs.data.chains import Chain, RecordedChains, SizedChain, packed
from cnnrs.data.elements import host
from cnnrs.data.encoded import EncodedImage
from cnnrs.data.slots import Slot
from cnnrs.data.spec import TensorSpec, plain_name
from cnnrs.data.workers import GROUP

__all__ = ["TENSOR", "Recording"]

# What stands for tensors in the structure of what a function returns.
TENSOR = object()
# A group of elements shares a plan if one by one the calls would cost more than the work: if an element has
# few numbers and few steps.
_GROUP_SIZE = 2**15
_GROUP_STEPS = 64


class _Part:
    """A plan of a part of the function.

    Args:
        recorder: The trace.
        outputs: What it computes.
    """

    def __init__(self, recorder: Any, outputs: Sequence[Any]):
        self.count = len(outputs)
        self._plan, self._places = recorder.compile_part(outputs) if outputs else (None, [])
        self._group: Any = None

    @property
    def is_pure(self) -> bool:
        return self._plan is None or self._plan.is_pure

    @property
    def steps(self) -> int:
        return 0 if self._plan is None else self._plan.describe().count("\n")

    def __call__(self, values: Sequence[Any]) -> list[Any]:
        """The outputs, by the values of placeholders."""
        return [] if self._plan is None else self._plan(*(values[place] for place in self._places))

    def of_group(self, columns: Sequence[np.ndarray]) -> list[Any]:
        """The outputs for `GROUP` elements, along a first axis, by such values of placeholders."""
        if self._plan is None:
            return []
        given = [columns[place] for place in self._places]
        if self._group is None:
            # Two threads may record it, and one of the plans stays.
            self._group = self._recorded(given)
        outputs: list[Any] = self._group(*given)
        return outputs

    def _recorded(self, given: Sequence[np.ndarray]) -> Any:
        with context.trace() as recorder:
            columns = [
                recorder.placeholder(list(value.shape), plain_name(value.dtype), "elements")
                for value in given
            ]
            results = [self._plan.record(*(column[i] for column in columns)) for i in range(GROUP)]
            return recorder.compile([ops.stack(list(parts)) for parts in zip(*results, strict=True)])


class _Link:
    """A chain, with the plan of what it needs.

    Attributes:
        result: The place of the result among the placeholders.
    """

    def __init__(
        self,
        chain: Chain | SizedChain,
        place: int | None,
        part: _Part,
        constant: Any,
        single: bool,
        result: int,
    ):
        self._chain, self._place, self.part = chain, place, part
        self._constant, self._single, self.result = constant, single, result

    def run(
        self,
        values: Sequence[Any],
        outputs: list[Any],
        front: tuple[int, ...] = (),
        slot: Slot | None = None,
    ) -> np.ndarray:
        """The result, by the values of placeholders and the outputs of the plan.

        Args:
            values: Of placeholders.
            outputs: Of the plan.
            front: The axes of a group.
            slot: The place of the result in a batch.
        """
        images = host(outputs.pop(0) if self._place is None else values[self._place])
        if isinstance(images, EncodedImage):
            images = images.array()
        if self._constant is None:
            params = host(outputs.pop(0))
        else:
            params = np.broadcast_to(self._constant, (*front, *self._constant.shape))
        if self._single:
            # One image has one row of numbers.
            params = params.reshape(*front, params.shape[-1])
        to = None
        if slot is not None:
            to = slot.row(self, self._chain.result_shape, self._chain.result_dtype)
        return self._chain.run(images, params, to)


class Recording:
    """A recorded function.

    Args:
        recorder: The trace, which is under way.
        chains: The chains that layers handed over.
        outputs: What the function returned.
        spec: The specs of that.
        tensors: Its tensors.
        size: How many numbers arguments and results have.
        unsized: The images whose size each element tells.

    Attributes:
        spec: The specs of what the function returns.
        groups: Whether groups of elements share plans.
    """

    def __init__(
        self,
        recorder: Any,
        chains: RecordedChains,
        outputs: Any,
        spec: Any,
        tensors: list[Any],
        size: int,
        unsized: Sequence[UnsizedImage] = (),
    ):
        places = [recorder.place_of(tensor) for tensor in tensors] if chains.calls else [None] * len(tensors)
        self._results = places
        self._last = _Part(recorder, [t for t, place in zip(tensors, places, strict=True) if place is None])
        self._links = self._needed(recorder, chains, {place for place in places if place is not None})
        # What is known once the size of an image is: the places of the image and of the numbers.
        self._sizes = [(image.place, place, numbers) for image in unsized for place, numbers in image.asked]
        self._extra = len(chains.calls) + len(self._sizes)
        structure = tree.map_structure(lambda leaf: None if leaf is None else TENSOR, outputs)
        flat = type(structure) is tuple and all(part is TENSOR for part in structure)
        # None for a tuple of tensors, which is the common one.
        self._structure = None if flat else structure
        self.spec = spec
        specs = [leaf for leaf in tree.flatten(spec) if isinstance(leaf, TensorSpec)]
        # What decides is the same in each run. numpy may lack bfloat16, and would give another type.
        plain = all(s.dtype != "bfloat16" for s in specs)
        parts = [self._last, *(link.part for link in self._links)]
        fits = bool(specs) and size <= _GROUP_SIZE and plain and all(part.is_pure for part in parts)
        fits = fits and not unsized
        self.groups = fits and sum(part.steps for part in parts) <= _GROUP_STEPS
        if self._links and not all(part.is_pure for part in parts):
            raise ValueError("a function that assigns variables has layers of augmentation")

    def _needed(self, recorder: Any, chains: RecordedChains, wanted: set[int]) -> list[_Link]:
        """The chains whose results are read, in their order."""
        wanted = {*wanted, *self._last._places}
        links: list[_Link] = []
        for call in reversed(chains.calls):
            if call.result not in wanted:
                continue
            single = len(call.images.shape) == 3
            drawn = packed(call.steps, 1 if single else int(call.images.shape[0]))
            constant = drawn if isinstance(drawn, np.ndarray) else None
            outputs = [call.images] if call.place is None else []
            part = _Part(recorder, outputs if constant is not None else [*outputs, drawn])
            wanted.update(part._places)
            if call.place is not None:
                wanted.add(call.place)
            links.append(_Link(call.chain, call.place, part, constant, single, call.result))
        return links[::-1]

    def __call__(self, leaves: Sequence[Any], key: np.ndarray, slot: Slot | None = None) -> Any:
        """What the function makes of an element, given by its leaves and key, and its place in a batch."""
        values = [*leaves, key, *([None] * self._extra)]
        for image, place, numbers in self._sizes:
            values[place] = np.array(numbers(*values[image].shape[:2]), np.float32)
        for link in self._links:
            # What is no result is not kept.
            own = slot if link.result in self._results else None
            values[link.result] = link.run(values, link.part(values), slot=own)
        return self._returned(values, self._last(values))

    def of_group(self, columns: Sequence[np.ndarray], keys: np.ndarray) -> list[Any]:
        """What the function makes of `GROUP` elements, whose leaves lie along a first axis."""
        values: list[Any] = [*columns, keys, *([None] * self._extra)]
        for link in self._links:
            values[link.result] = link.run(values, link.part.of_group(values), (GROUP,))
        last = [np.asarray(host(output)) for output in self._last.of_group(values)]
        values = [None if value is None else host(value) for value in values]

        def row(column: Any, i: int) -> Any:
            return None if column is None else column[i]

        return [
            self._returned([row(column, i) for column in values], [output[i] for output in last])
            for i in range(GROUP)
        ]

    def _returned(self, values: Sequence[Any], last: Sequence[Any]) -> Any:
        """What the function returned, by the values of placeholders and the last plan's outputs."""
        rest = iter(last)
        tensors = [next(rest) if place is None else values[place] for place in self._results]
        if self._structure is TENSOR:
            return tensors[0]
        if self._structure is None:
            return tuple(tensors)
        leaves = iter(tensors)
        return tree.map_structure(lambda leaf: next(leaves) if leaf is TENSOR else leaf, self._structure)
