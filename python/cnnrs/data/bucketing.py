"""`Bucketing`: elements sorted into groups by what a function says of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs.base.arguments import flag, integers
from cnnrs.data.elements import as_element, host
from cnnrs.data.functions import Functions
from cnnrs.data.grouping import batch_of
from cnnrs.data.mapping import ElementFunction, arguments_of
from cnnrs.data.ordering import count_of
from cnnrs.data.padding import padded, padding_of
from cnnrs.data.passes import Passes
from cnnrs.data.pipeline import UNKNOWN_CARDINALITY, Pipeline
from cnnrs.data.spec import TensorSpec, batched

__all__ = ["Bucketing"]


class Bucketing(Functions):
    """The methods of data sets that sort elements by what a function says of them."""

    def group_by_window(
        self,
        key_func: Callable[..., Any],
        reduce_func: Callable[[Any, Any], Any],
        window_size: Any = None,
        window_size_func: Callable[[Any], Any] | None = None,
        name: str | None = None,
    ) -> Any:
        """The elements of data sets that a function makes of groups of elements with the same key.

        Args:
            key_func: The function of an element; it returns a key, a single integer.
            reduce_func: The function of a key and a `Dataset` of a group; it returns a `Dataset`.
            window_size: How many elements make a group; at the end, a group may have fewer.
            window_size_func: A function of a key that says so, in the place of `window_size`.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of unknown length.

        Raises:
            ValueError: Both or none of the sizes are given. While elements come: a function returns something
                else.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.range(6).group_by_window(
            ...     lambda x: x % 2, lambda key, group: group.batch(3), window_size=3
            ... )
            >>> [x.tolist() for x in data]
            [[0, 2, 4], [1, 3, 5]]
        """
        where = "Dataset.group_by_window"
        if (window_size is None) == (window_size_func is None):
            raise ValueError(f"{where}: expected window_size or window_size_func, received both or neither")
        size = None if window_size is None else count_of(window_size, where, "window_size", 1)
        function, passes = ElementFunction(key_func, where), Passes()
        sizes: dict[int, int] = {}

        def size_of(key: int) -> int:
            if window_size_func is None:
                assert size is not None
                return size
            if key not in sizes:
                sizes[key] = count_of(window_size_func(np.int64(key)), where, "window_size_func", 1)
            return sizes[key]

        def reduced(key: int, members: list[Any], peek: bool) -> Iterator[Any]:
            group = self._made(lambda _: iter(members), len(members), self._known_spec)
            result = reduce_func(as_element(np.int64(key), where), group)
            if not isinstance(result, Pipeline):
                raise TypeError(f"{where}: reduce_func: expected a Dataset in return, received {result!r}")
            return result._open(peek)

        def grouped(peek: bool) -> Iterator[Any]:
            groups: dict[int, list[Any]] = {}
            for element, key in passes.keyed(self._open(peek), peek):
                group = _key(function(arguments_of(element), key), where)
                members = groups.setdefault(group, [])
                members.append(element)
                if len(members) >= size_of(group):
                    yield from reduced(group, groups.pop(group), peek)
            for group in sorted(groups):
                yield from reduced(group, groups[group], peek)

        return self._step(grouped, UNKNOWN_CARDINALITY, name=name, kept=(passes,))

    def bucket_by_sequence_length(
        self,
        element_length_func: Callable[..., Any],
        bucket_boundaries: Any,
        bucket_batch_sizes: Any,
        padded_shapes: Any = None,
        padding_values: Any = None,
        pad_to_bucket_boundary: bool = False,
        no_padding: bool = False,
        drop_remainder: bool = False,
        name: str | None = None,
    ) -> Any:
        """Batches of elements of about the same length, padded.

        Args:
            element_length_func: The function of an element; it returns its length.
            bucket_boundaries: The lengths at which buckets begin, in order.
            bucket_batch_sizes: The batch size of each bucket; one more than boundaries.
            padded_shapes: As for `padded_batch`.
            padding_values: As for `padded_batch`.
            pad_to_bucket_boundary: Whether elements are padded to one less than the next boundary; then no
                element may be as long as the last one.
            no_padding: Whether elements are not padded: those of a bucket have one shape.
            drop_remainder: Whether last batches with fewer elements are left out.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of batches.

        Raises:
            ValueError: Arguments do not fit together. While elements come: a length is none of a bucket.

        Example:
            >>> import numpy as np
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.range(1, 5).map(lambda n: np.ones(int(n)))
            >>> batches = data.bucket_by_sequence_length(lambda x: x.shape[0], [3], [2, 2])
            >>> [x.shape for x in batches]
            [(2, 2), (2, 4)]
        """
        where = "Dataset.bucket_by_sequence_length"
        boundaries = integers(host(bucket_boundaries), where, "bucket_boundaries")
        sizes = integers(host(bucket_batch_sizes), where, "bucket_batch_sizes", least=1)
        if boundaries != sorted(boundaries) or len(sizes) != len(boundaries) + 1:
            raise ValueError(
                f"{where}: expected boundaries in order and one batch size more, "
                f"received {boundaries} and {sizes}"
            )
        to_boundary = flag(pad_to_bucket_boundary, where, "pad_to_bucket_boundary")
        drop, plain = flag(drop_remainder, where, "drop_remainder"), flag(no_padding, where, "no_padding")
        if plain and (padded_shapes is not None or padding_values is not None or to_boundary):
            raise ValueError(f"{where}: no_padding: expected no other argument about padding with it")
        function, passes = ElementFunction(element_length_func, where), Passes()

        def batch(members: list[Any], bucket: int) -> Any:
            if plain:
                return batch_of(members, where)
            least = None
            if to_boundary:
                if bucket == len(boundaries):
                    raise ValueError(
                        f"{where}: pad_to_bucket_boundary: expected elements shorter than {boundaries[-1]}"
                    )
                least = boundaries[bucket] - 1
            return padded(members, padding_of(padded_shapes, padding_values, where, least), where)

        def batches(peek: bool) -> Iterator[Any]:
            buckets: list[list[Any]] = [[] for _ in sizes]
            for element, key in passes.keyed(self._open(peek), peek):
                length = _key(function(arguments_of(element), key), where)
                bucket = int(np.searchsorted(boundaries, length, side="right"))
                buckets[bucket].append(element)
                if len(buckets[bucket]) == sizes[bucket]:
                    yield batch(buckets[bucket], bucket)
                    buckets[bucket] = []
            for bucket, members in enumerate(buckets):
                if members and not drop:
                    yield batch(members, bucket)

        def spec() -> Any:
            of = self._known_spec()
            if of is None:
                return None
            return batched(of if plain else padding_of(padded_shapes, None, where).spec(of), None)

        return self._step(batches, UNKNOWN_CARDINALITY, spec, name=name, kept=(passes,))

    def rejection_resample(
        self,
        class_func: Callable[..., Any],
        target_dist: Any,
        initial_dist: Any = None,
        seed: Any = None,
        name: str | None = None,
    ) -> Any:
        """Elements of which some are left out, so that classes come as often as is wanted.

        Args:
            class_func: The function of an element; it returns its class, an integer from 0.
            target_dist: How often each class shall come: numbers that are divided by their sum.
            initial_dist: How often each comes before; None counts them while elements come.
            seed: Of the draws, an integer; None draws one.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of pairs `(class, element)`.

        Raises:
            ValueError: The numbers are negative, all 0, or of different length. While elements come: a class
                is none of them.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.range(1000).rejection_resample(lambda x: x % 10 == 0, [0.5, 0.5], seed=1)
            >>> classes = [int(c) for c, _ in data]
            >>> 0.4 < sum(classes) / len(classes) < 0.6
            True
        """
        where = "Dataset.rejection_resample"
        target = _distribution(target_dist, where, "target_dist", None)
        initial = (
            None if initial_dist is None else _distribution(initial_dist, where, "initial_dist", len(target))
        )
        function, passes, draws = ElementFunction(class_func, where), Passes(), Passes(seed)

        def resampled(peek: bool) -> Iterator[Any]:
            rng = np.random.default_rng(draws.next(peek))
            counts = np.zeros(len(target))
            for element, key in passes.keyed(self._open(peek), peek):
                chosen = _key(function(arguments_of(element), key), where)
                if not 0 <= chosen < len(target):
                    raise ValueError(
                        f"{where}: expected classes of 0 to {len(target) - 1}, received {chosen}"
                    )
                counts[chosen] += 1
                before = counts / counts.sum() if initial is None else initial
                with np.errstate(divide="ignore", invalid="ignore"):
                    ratios = np.where(before > 0, target / before, 0.0)
                if rng.random() * ratios.max() < ratios[chosen]:
                    yield np.int64(chosen), element

        def spec() -> Any:
            of = self._known_spec()
            return None if of is None else (TensorSpec((), "int64"), of)

        return self._step(resampled, UNKNOWN_CARDINALITY, spec, name=name, kept=(passes, draws))


def _key(value: Any, where: str) -> int:
    """What a function returned for an element, as an integer."""
    found = host(value)
    if np.ndim(found) or not np.can_cast(np.asarray(found).dtype, np.int64):
        raise ValueError(f"{where}: expected a function that returns a single integer, received {value!r}")
    return int(found)


def _distribution(numbers: Any, where: str, argument: str, count: int | None) -> np.ndarray:
    given = np.asarray(host(numbers), np.float64)
    if (
        given.ndim != 1
        or not (given >= 0).all()
        or not given.sum() > 0
        or len(given) != (count or len(given))
    ):
        expected = "numbers >= 0" if count is None else f"{count} numbers >= 0"
        raise ValueError(f"{where}: {argument}: expected {expected}, received {numbers!r}")
    return given / given.sum()
