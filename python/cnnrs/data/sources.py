"""`Sources`: the class methods that make data sets of arrays, generators, files and other data sets."""

from __future__ import annotations

import glob
import itertools
import os
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.base.arguments import file_path, flag
from cnnrs.base.dtypes import standardize_dtype
from cnnrs.base.notes import noted
from cnnrs.data.elements import as_element, as_leaf, host
from cnnrs.data.grouping import Grouping
from cnnrs.data.passes import Passes
from cnnrs.data.pipeline import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Pipeline
from cnnrs.data.rows import FunctionRows, Rows
from cnnrs.data.signatures import as_spec, as_tuples, conforming, spec_of_types
from cnnrs.data.spec import TensorSpec, spec_of
from cnnrs.data.stored import read_elements
from cnnrs.data.strings import StringTensor

__all__ = ["Sources"]


class Sources(Grouping):
    """The class methods that make data sets."""

    @classmethod
    def of_function(
        cls,
        at: Callable[[int], Any],
        length: int,
        workers: int = 1,
        many: Callable[[np.ndarray], Any] | None = None,
    ) -> Any:
        """The elements that a function gives for the indices from 0; threads may prepare them.

        A shuffled data set of this kind calls the function in the order of the shuffle.

        Args:
            at: The function.
            length: How many elements there are.
            workers: How many threads call it.
            many: A function of several indices, which gives their elements along a new first axis: what
                `batch` calls, some batches ahead, in the place of `at`.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.of_function(lambda index: index * 10, 3)]
            [0, 10, 20]
        """
        return cls._of_function(at, length, workers, many)

    @classmethod
    def _of_function(
        cls,
        at: Callable[[int], Any],
        length: int,
        workers: int = 1,
        many: Callable[[np.ndarray], Any] | None = None,
        where: str = "Dataset.of_function",
        skips: bool = False,
    ) -> Any:
        """`of_function` for the function `where`; with `skips`, elements that are None are left out."""

        def element(index: int) -> Any:
            try:
                return as_element(at(index), where)
            except Exception as error:
                noted(error, f"{where}: index {index}")
                raise

        at_once = None if many is None else lambda indices: as_element(many(indices), where)
        rows = Rows(FunctionRows(element, length, workers, at_once, skips), _all(length))
        count = UNKNOWN_CARDINALITY if skips else length
        return cls._made(rows.open, count, None, rows, open_at=rows.open_at)

    @classmethod
    def from_tensor_slices(cls, tensors: Any, name: str | None = None) -> Any:
        """The rows of arrays: their slices along axis 0.

        Args:
            tensors: An array, a tensor, a list of numbers or text, or a tuple or dict of these.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of as many elements.

        Raises:
            TypeError: Something is no array.
            ValueError: An array has no axis, or lengths differ.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.from_tensor_slices({"x": [[1, 2], [3, 4]], "label": ["a", "b"]})
            >>> [(e["x"].tolist(), e["label"].numpy()) for e in data]
            [([1, 2], b'a'), ([3, 4], b'b')]
        """
        where = "Dataset.from_tensor_slices"
        arrays = tree.map_structure(host, as_element(_plain(tensors), where))
        leaves = [leaf for leaf in tree.flatten(arrays) if leaf is not None]
        if any(isinstance(leaf, Pipeline) for leaf in leaves):
            raise TypeError(f"{where}: expected arrays, received a data set; Dataset.zip joins data sets")
        lengths = [len(leaf) if leaf.ndim else -1 for leaf in leaves]
        if not lengths or -1 in lengths or len(set(lengths)) != 1:
            shapes = [tuple(leaf.shape) for leaf in leaves]
            raise ValueError(f"{where}: expected arrays with one extent of axis 0, received shapes {shapes}")
        spec = tree.map_structure(lambda s: TensorSpec(s.shape[1:], s.dtype), spec_of(arrays))
        return cls._from_arrays(arrays, lengths[0], spec, name)

    @classmethod
    def from_tensors(cls, tensors: Any, name: str | None = None) -> Any:
        """One element.

        Args:
            tensors: An array, a number, text, or a tuple or dict of these.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of this element.

        Raises:
            TypeError: Something is no array.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [x.tolist() for x in Dataset.from_tensors([1, 2])]
            [[1, 2]]
        """
        element = as_element(_plain(tensors), "Dataset.from_tensors")
        return cls._made(lambda peek: iter([element]), 1, spec_of(element), name=name)

    @classmethod
    def from_generator(
        cls,
        generator: Callable[..., Any],
        output_types: Any = None,
        output_shapes: Any = None,
        args: Any = None,
        output_signature: Any = None,
        name: str | None = None,
    ) -> Any:
        """What a generator of Python yields.

        Args:
            generator: A function that returns an iterator; it is called for each pass.
            output_types: Types of the elements in their structure; older than `output_signature`.
            output_shapes: Their shapes; None for unknown ones.
            args: Arguments of the function: a tuple of arrays or numbers, which it gets as numpy's.
            output_signature: `TensorSpec`s of the elements in their structure.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of unknown length.

        Raises:
            TypeError: `generator` is no function, or neither types nor a signature are given. While elements
                come: one has another type or structure.
            ValueError: Both are given. While elements come: one has another shape.

        Example:
            >>> from cnnrs.data import Dataset, TensorSpec
            >>> def count(stop):
            ...     for i in range(stop):
            ...         yield i, str(i)
            >>> signature = (TensorSpec((), "int32"), TensorSpec((), "string"))
            >>> data = Dataset.from_generator(count, args=(2,), output_signature=signature)
            >>> [(int(i), s.numpy()) for i, s in data]
            [(0, b'0'), (1, b'1')]
        """
        where = "Dataset.from_generator"
        if not callable(generator):
            raise TypeError(f"{where}: generator: expected a function, received {type(generator).__name__}")
        if output_signature is not None:
            if output_types is not None or output_shapes is not None:
                raise ValueError(
                    f"{where}: expected output_signature, or output_types and output_shapes, not both"
                )
            spec = tree.map_structure(as_spec, as_tuples(output_signature))
        elif output_types is not None:
            spec = spec_of_types(as_tuples(output_types), output_shapes)
        else:
            raise TypeError(f"{where}: expected output_signature, or output_types, received neither")
        given = tuple(np.asarray(host(a)) if not isinstance(a, (str, bytes)) else a for a in args or ())
        given = tuple(a[()] if isinstance(a, np.ndarray) and not a.ndim else a for a in given)

        def generated(peek: bool) -> Iterator[Any]:
            for element in generator(*given):
                yield conforming(element, spec, where)

        return cls._made(generated, UNKNOWN_CARDINALITY, spec, name=name)

    @classmethod
    def range(cls, *args: Any, output_type: Any = "int64", name: str | None = None) -> Any:
        """Numbers from a start to a stop.

        Args:
            *args: `stop`, or `start, stop`, or `start, stop, step`, as for Python's `range`.
            output_type: Their type.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of numbers.

        Raises:
            ValueError: There are none or too many arguments, or the step is 0.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.range(5, 0, -2)]
            [5, 3, 1]
        """
        if not 1 <= len(args) <= 3:
            raise ValueError(f"Dataset.range: expected stop, start and stop, or a step too, received {args}")
        numbers = range(*(int(host(a)) for a in args))
        dtype = standardize_dtype(output_type)
        if len(numbers) > 10**6:
            kind = np.dtype(dtype).type
            return cls._made(lambda peek: map(kind, numbers), len(numbers), TensorSpec((), dtype), name=name)
        values = np.array(numbers, np.int64).astype(dtype)
        return cls._from_arrays(values, len(values), TensorSpec((), dtype), name)

    @classmethod
    def counter(cls, start: Any = 0, step: Any = 1, dtype: Any = "int64", name: str | None = None) -> Any:
        """Numbers from a start on, without end.

        Args:
            start: The first.
            step: What is added for the next.
            dtype: Their type.
            name: What `repr` calls it.

        Returns:
            An infinite `Dataset`.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [int(x) for x in Dataset.counter(5, 2).take(3)]
            [5, 7, 9]
        """
        kind = np.dtype(standardize_dtype(dtype)).type
        first, apart = int(host(start)), int(host(step))
        return cls._made(
            lambda peek: map(kind, itertools.count(first, apart)),
            INFINITE_CARDINALITY,
            TensorSpec((), dtype),
            name=name,
        )

    @classmethod
    def random(
        cls,
        seed: Any = None,
        rerandomize_each_iteration: bool | None = None,
        name: str | None = None,
    ) -> Any:
        """Random numbers from 0 to 2**32 - 1, without end.

        Args:
            seed: An integer; None draws one.
            rerandomize_each_iteration: Whether each pass has other numbers; None means the same.
            name: What `repr` calls it.

        Returns:
            An infinite `Dataset` of int64.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = Dataset.random(seed=1).take(2)
            >>> [int(x) for x in data] == [int(x) for x in data]
            True
        """
        passes = Passes(seed, not rerandomize_each_iteration)

        def numbers(peek: bool) -> Iterator[Any]:
            rng = np.random.default_rng(passes.next(peek))
            while True:
                yield from rng.integers(2**32, size=1024)

        return cls._made(numbers, INFINITE_CARDINALITY, TensorSpec((), "int64"), name=name, kept=(passes,))

    @classmethod
    def list_files(
        cls, file_pattern: Any, shuffle: bool | None = None, seed: Any = None, name: str | None = None
    ) -> Any:
        """The paths of files that match patterns.

        Args:
            file_pattern: A pattern such as "images/*.png", or a list or tensor of them.
            shuffle: Whether they come in random order, another one for each pass; None means that they do.
            seed: Of this order; None draws one.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of paths.

        Raises:
            ValueError: No file matches.

        Example:
            >>> from pathlib import Path
            >>> import tempfile
            >>> from cnnrs.data import Dataset
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     for name in ("a.txt", "b.txt", "c.png"):
            ...         _ = Path(folder, name).write_text("")
            ...     data = Dataset.list_files(f"{folder}/*.txt", shuffle=False)
            ...     [Path(path).name for path in data]
            ['a.txt', 'b.txt']
        """
        where = "Dataset.list_files"
        if isinstance(file_pattern, Pipeline):
            file_pattern = list(file_pattern)
        leaf = as_leaf(file_pattern, f"{where}: file_pattern")
        if not isinstance(leaf, StringTensor):
            raise TypeError(f"{where}: file_pattern: expected text, received {file_pattern!r}")
        patterns = [file_path(pattern, where) for pattern in leaf.reshape(-1).tolist()]
        paths = [path for pattern in patterns for path in sorted(glob.glob(pattern)) if _is_file(path)]
        if not paths:
            raise ValueError(f"{where}: file_pattern: no files match {', '.join(map(repr, patterns))}")
        made = cls.from_tensor_slices(paths, name=name)
        mixes = shuffle is None or flag(shuffle, where, "shuffle")
        return made.shuffle(len(paths), seed, name=name) if mixes else made

    @classmethod
    def zip(cls, *args: Any, datasets: Any = None, name: str | None = None) -> Any:
        """Tuples of the elements of several data sets, as long as all have some.

        Args:
            *args: `Dataset`s, or one structure of them, such as a tuple or a dict.
            datasets: The same by name.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of elements in the structure of the data sets.

        Raises:
            TypeError: Something is no data set.

        Example:
            >>> from cnnrs.data import Dataset
            >>> [(int(a), int(b)) for a, b in Dataset.zip(Dataset.range(3), Dataset.range(5, 9))]
            [(0, 5), (1, 6), (2, 7)]
        """
        structure = datasets if datasets is not None else args[0] if len(args) == 1 else args
        sources = tree.flatten(structure)
        for source in sources:
            if not isinstance(source, Pipeline):
                raise TypeError(f"Dataset.zip: expected Datasets, received {type(source).__name__}")
        if not sources or (args and datasets is not None):
            raise TypeError("Dataset.zip: expected Datasets, or a structure of them, received none or both")

        def zipped(peek: bool, first: int = 0) -> Iterator[Any]:
            # One by one: zip() would ask the first ones for an element more.
            opened = tree.map_structure(
                lambda source: source._open_at(first) if first else source._open(peek), structure
            )
            end = object()
            while True:
                parts = tree.map_structure(lambda elements: next(elements, end), opened)
                if any(part is end for part in _shallow(structure, parts)):
                    return
                yield parts

        def spec() -> Any:
            if any(source._known_spec() is None for source in sources):
                return None
            return tree.map_structure(lambda source: source._known_spec(), structure)

        lengths = [source._length for source in sources]
        finite = [length for length in lengths if length != INFINITE_CARDINALITY]
        length = min(finite) if finite else INFINITE_CARDINALITY
        return cls._made(
            zipped,
            length,
            spec,
            name=name,
            sources=tuple(sources),
            open_at=lambda first: zipped(False, first),
        )

    @classmethod
    def sample_from_datasets(
        cls,
        datasets: Any,
        weights: Any = None,
        seed: Any = None,
        stop_on_empty_dataset: bool = False,
        rerandomize_each_iteration: bool | None = None,
    ) -> Any:
        """Elements of several data sets, each of one that is drawn.

        Args:
            datasets: A list of `Dataset`s.
            weights: How often each is drawn: a list of numbers, or a `Dataset` of such lists, one for each
                element; None for equally often.
            seed: Of the draws, an integer; None draws one.
            stop_on_empty_dataset: Whether the first data set without a further element ends the pass; else
                the others go on.
            rerandomize_each_iteration: Whether each pass has other draws; None means that it has.

        Returns:
            A `Dataset` of these elements.

        Raises:
            ValueError: There are no data sets, or as many weights.

        Example:
            >>> from cnnrs.data import Dataset
            >>> both = Dataset.sample_from_datasets([Dataset.range(3), Dataset.range(7, 9)], seed=1)
            >>> sorted(int(x) for x in both)
            [0, 1, 2, 7, 8]
        """
        where = "Dataset.sample_from_datasets"
        sources = _sources(datasets, where)
        stops = flag(stop_on_empty_dataset, where, "stop_on_empty_dataset")
        passes = Passes(seed, rerandomize_each_iteration is False, orders=True)
        fixed = None if isinstance(weights, Pipeline) else _weights(weights, len(sources), where)

        def sampled(peek: bool) -> Iterator[Any]:
            rng = np.random.default_rng(passes.next(peek))
            opened = [source._open(peek) for source in sources]
            open_ = np.ones(len(sources), bool)
            each = weights._open(peek) if fixed is None else itertools.repeat(fixed)
            for chances in each:
                chances = np.asarray(host(chances), np.float64) * open_
                if not chances.sum() > 0:
                    return
                choice = int(rng.choice(len(sources), p=chances / chances.sum()))
                while True:
                    try:
                        element = next(opened[choice])
                    except StopIteration:
                        open_[choice] = False
                        chances = chances * open_
                        if stops or not chances.sum() > 0:
                            return
                        choice = int(rng.choice(len(sources), p=chances / chances.sum()))
                        continue
                    yield element
                    break

        drawn_by = (weights,) if isinstance(weights, Pipeline) else ()
        return cls._made(
            sampled,
            _length_of_all(sources, stops),
            sources[0]._known_spec,
            sources=(*sources, *drawn_by),
            kept=(passes,),
        )

    @classmethod
    def choose_from_datasets(
        cls, datasets: Any, choice_dataset: Any, stop_on_empty_dataset: bool = True
    ) -> Any:
        """Elements of several data sets, each of the one that another data set names by its index.

        Args:
            datasets: A list of `Dataset`s.
            choice_dataset: A `Dataset` of indices.
            stop_on_empty_dataset: Whether the first data set without a further element ends the pass; else
                its choices are passed over.

        Returns:
            A `Dataset` of these elements.

        Raises:
            TypeError: `choice_dataset` is no data set.
            ValueError: There are no data sets. While elements come: an index is none of a data set.

        Example:
            >>> from cnnrs.data import Dataset
            >>> data = [Dataset.range(3), Dataset.range(7, 9)]
            >>> [int(x) for x in Dataset.choose_from_datasets(data, Dataset.from_tensor_slices([1, 0, 1]))]
            [7, 0, 8]
        """
        where = "Dataset.choose_from_datasets"
        sources = _sources(datasets, where)
        stops = flag(stop_on_empty_dataset, where, "stop_on_empty_dataset")
        if not isinstance(choice_dataset, Pipeline):
            raise TypeError(
                f"{where}: choice_dataset: expected a Dataset, received {type(choice_dataset).__name__}"
            )

        def chosen(peek: bool) -> Iterator[Any]:
            opened = [source._open(peek) for source in sources]
            end = object()
            for choice in choice_dataset._open(peek):
                index = int(host(choice))
                if not 0 <= index < len(sources):
                    raise ValueError(
                        f"{where}: expected choices of 0 to {len(sources) - 1}, received {index}"
                    )
                element = next(opened[index], end)
                if element is not end:
                    yield element
                elif stops:
                    return

        return cls._made(
            chosen, UNKNOWN_CARDINALITY, sources[0]._known_spec, sources=(*sources, choice_dataset)
        )

    @classmethod
    def load(cls, path: Any, name: str | None = None) -> Any:
        """The elements that `save` wrote.

        Args:
            path: The folder.
            name: What `repr` calls it.

        Returns:
            A `Dataset`.

        Raises:
            FileNotFoundError: There is no such folder.
            ValueError: It holds something else, is of a newer version, or is damaged.

        Example:
            >>> import tempfile
            >>> from cnnrs.data import Dataset
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     Dataset.range(3).save(f"{folder}/numbers")
            ...     [int(x) for x in Dataset.load(f"{folder}/numbers")]
            [0, 1, 2]
        """
        open_pass, length = read_elements(file_path(_text(path), "Dataset.load"))
        return cls._made(open_pass, length, name=name)


def _text(path: Any) -> Any:
    return path.numpy() if isinstance(path, StringTensor) else path


def _all(length: int) -> Callable[[bool], np.ndarray]:
    order = np.arange(length)
    return lambda peek: order


def _is_file(path: str) -> bool:
    return os.path.isfile(path)


def _plain(structure: Any) -> Any:
    """Tables of pandas as dicts of their columns."""
    if hasattr(structure, "columns") and hasattr(structure, "to_dict"):
        return {name: structure[name].to_numpy() for name in structure.columns}
    if isinstance(structure, dict) or not hasattr(structure, "keys"):
        return structure
    return dict(structure)


def _shallow(structure: Any, parts: Any) -> list[Any]:
    """The parts that stand where `structure` has its leaves."""
    found: list[Any] = []
    tree.map_structure_up_to(structure, lambda _, part: found.append(part), structure, parts)
    return found


def _sources(datasets: Any, where: str) -> list[Any]:
    sources = list(datasets) if isinstance(datasets, (list, tuple)) else []
    if not sources or not all(isinstance(source, Pipeline) for source in sources):
        raise ValueError(f"{where}: datasets: expected a list of Datasets, received {datasets!r}")
    return sources


def _weights(weights: Any, count: int, where: str) -> np.ndarray:
    if weights is None:
        return np.ones(count)
    given = np.asarray(host(weights), np.float64)
    if given.shape != (count,) or not (given >= 0).all() or not given.sum() > 0:
        raise ValueError(f"{where}: weights: expected {count} numbers >= 0, received {weights!r}")
    return given


def _length_of_all(sources: list[Any], stops: bool) -> int:
    lengths = [source._length for source in sources]
    if stops or UNKNOWN_CARDINALITY in lengths:
        return UNKNOWN_CARDINALITY
    return INFINITE_CARDINALITY if INFINITE_CARDINALITY in lengths else sum(lengths)
