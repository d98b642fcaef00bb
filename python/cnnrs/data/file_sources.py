"""`FileSources`: the class methods that make data sets of folders, lists, shards and tables of images."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from cnnrs import tree
from cnnrs.base.arguments import file_path, flag, integer, integers
from cnnrs.data.decoding import Decoding, DecodingArguments, takes_decoding
from cnnrs.data.elements import as_element
from cnnrs.data.folders import files_below, files_of_classes, matching_files, warn_of_classes
from cnnrs.data.image_files import IMAGE_SUFFIXES, ImageFiles
from cnnrs.data.parquet import ParquetFiles
from cnnrs.data.passes import Passes
from cnnrs.data.pipeline import AUTOTUNE, UNKNOWN_CARDINALITY, worker_count
from cnnrs.data.rows import Rows
from cnnrs.data.shards import Field, samples_of
from cnnrs.data.sources import Sources
from cnnrs.data.spec import TensorSpec
from cnnrs.data.tables import read_list
from cnnrs.data.workers import through

if TYPE_CHECKING:
    from typing_extensions import Unpack

__all__ = ["FileSources"]


class FileSources(Sources):
    """The class methods that make data sets of files of images and of other samples."""

    @classmethod
    @takes_decoding
    def from_folder(
        cls,
        path: Any,
        image_size: Any = None,
        *,
        labels: str | None = "inferred",
        class_names: Any = None,
        follow_links: bool = False,
        on_error: str = "raise",
        num_parallel_calls: Any = AUTOTUNE,
        name: str | None = None,
        **decoding: Unpack[DecodingArguments],
    ) -> Any:
        """The images below a folder that has one folder a class.

        `utils.image_dataset_from_directory` has Keras's arguments, and gives batches of floats. This gives
        single images of uint8, in the order of their paths. A shuffled data set decodes in its order.

        Args:
            path: The folder.
            image_size: (height, width) to which images are resized, or one number for both; None leaves each
                its size.
            labels: "inferred" for the folders' names, or None for images alone, from wherever they lie.
            class_names: The folders in the order of their labels; None for the alphabet's.
            follow_links: Whether links to folders are followed.
            on_error: "raise" an error at a file that is no image, or "skip" it with a warning. Then the
                number of elements is unknown.
            num_parallel_calls: Threads that decode the next images.
            name: What `repr` calls it.
            **decoding

        Returns:
            A `Dataset` of pairs (image, int32 label), or of images, with `class_names` and `file_paths`.

        Raises:
            ValueError: There are no images or no folders of classes, or an argument is none of these.

        Example:
            >>> import tempfile
            >>> from cnnrs.data import Dataset
            >>> from cnnrs.datasets import shapes
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     data = Dataset.from_folder(shapes.write_folder(folder, size=40, n=20), image_size=32)
            ...     data = data.shuffle(20).batch(4)
            ...     data.class_names[:3], [(x.shape, y.shape) for x, y in data][0]
            (['arrow', 'crescent', 'cross'], ((4, 32, 32, 3), (4,)))
        """
        where = "Dataset.from_folder"
        folder = Path(file_path(path, where))
        if not folder.is_dir():
            what = "which is a file" if folder.exists() else f"which is not there, from {os.getcwd()!r} on"
            raise ValueError(f"{where}: path: expected a folder, received {str(folder)!r}, {what}")
        if labels not in ("inferred", None):
            raise ValueError(f"{where}: labels: expected 'inferred' or None, received {labels!r}")
        follow = flag(follow_links, where, "follow_links")
        numbers, names = None, None
        if labels is None:
            paths = files_below(folder, follow, IMAGE_SUFFIXES)
        else:
            paths, numbers, names = files_of_classes(folder, class_names, follow, IMAGE_SUFFIXES, where)
            if not paths and files_below(folder, follow, IMAGE_SUFFIXES):
                raise ValueError(
                    f"{where}: path: expected one folder a class in {str(folder)!r}, found images alone; "
                    "sort them into folders, or say labels=None"
                )
            warn_of_classes(names, numbers, folder, where)
        if not paths:
            raise ValueError(
                f"{where}: path: expected images ({', '.join(IMAGE_SUFFIXES)}) in {str(folder)!r}, found none"
            )
        return cls._from_images(
            where, paths, numbers, names, Decoding(image_size, where, **decoding),
            on_error, num_parallel_calls, name,
        )  # fmt: skip

    @classmethod
    @takes_decoding
    def from_files(
        cls,
        paths: Any,
        labels: Any = None,
        image_size: Any = None,
        *,
        class_names: Any = None,
        on_error: str = "raise",
        num_parallel_calls: Any = AUTOTUNE,
        name: str | None = None,
        **decoding: Unpack[DecodingArguments],
    ) -> Any:
        """The images of files that are listed.

        Args:
            paths: Their paths.
            labels: An integer for each; None for images alone.
            image_size: As for `from_folder`.
            class_names: Names of the labels.
            on_error: "raise" or "skip".
            num_parallel_calls: Threads that decode the next images.
            name: What `repr` calls it.
            **decoding

        Returns:
            A `Dataset` of pairs (image, int32 label), or of images.

        Raises:
            ValueError: There are no paths, or another number of labels.

        Example:
            >>> import tempfile
            >>> from cnnrs.data import Dataset
            >>> from cnnrs.datasets import shapes
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     paths = sorted(shapes.write_folder(folder, size=40, n=10).rglob("*.jpg"))
            ...     data = Dataset.from_files(paths, labels=range(10), image_size=(24, 32))
            ...     [(x.shape, int(y)) for x, y in data.take(1)]
            [((24, 32, 3), 0)]
        """
        where = "Dataset.from_files"
        files = [file_path(path, where) for path in paths]
        if not files:
            raise ValueError(f"{where}: paths: expected at least one, received none")
        numbers = None
        if labels is not None:
            numbers = integers(np.asarray(labels).tolist(), where, "labels", least=0)
            if len(numbers) != len(files):
                raise ValueError(
                    f"{where}: labels: expected one for each of {len(files)} paths, received {len(numbers)}"
                )
        names = None if class_names is None else [str(one) for one in class_names]
        if names is not None and numbers and max(numbers) >= len(names):
            raise ValueError(
                f"{where}: class_names: expected a name for each label up to {max(numbers)}, received {names}"
            )
        return cls._from_images(
            where, files, numbers, names, Decoding(image_size, where, **decoding),
            on_error, num_parallel_calls, name,
        )  # fmt: skip

    @classmethod
    @takes_decoding
    def from_csv(
        cls,
        path: Any,
        image_size: Any = None,
        *,
        labels: str | None = "inferred",
        root: Any = None,
        split: str | None = None,
        path_column: Any = None,
        label_column: Any = None,
        split_column: Any = None,
        class_names: Any = None,
        header: bool | None = None,
        delimiter: str | None = None,
        on_error: str = "raise",
        num_parallel_calls: Any = AUTOTUNE,
        name: str | None = None,
        **decoding: Unpack[DecodingArguments],
    ) -> Any:
        """The images that a CSV file lists, with their labels: `cats/1.jpg,cat,train`.

        Args:
            path: The CSV file.
            image_size: As for `from_folder`.
            labels: "inferred" for the column of labels, or None for images alone.
            root: The folder to which paths are relative; None for that of the CSV file.
            split: Which split is wanted, as the column of splits calls it; None for all lines.
            path_column: The column of paths, by its name or its number from 0; None for one that is called
                so ("path", "file", "image" and the like), or the first one where there is no header.
            label_column: The same of labels: "label", "class", "target", or the second.
            split_column: The same of splits: "split", "subset", "set", or the third.
            class_names: The names of classes in the order of their labels; None for the alphabet's. Labels
                that are all numbers are taken as they are.
            header: Whether the first line names the columns; None looks whether it does.
            delimiter: What separates columns; None looks for a comma, semicolon or tabulator.
            on_error: "raise" or "skip".
            num_parallel_calls: Threads that decode the next images.
            name: What `repr` calls it.
            **decoding

        Returns:
            A `Dataset` of pairs (image, label), or of images, with `class_names` and `file_paths`. Labels are
            int32, or float32 where the column holds fractions; `class_names` is None where numbers are no
            indices of classes.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: Labels or paths are missing, files are not there, or a file is in two splits: the
                message names the lines. Or an argument is none of these.

        Example:
            >>> import tempfile
            >>> from cnnrs.data import Dataset
            >>> from cnnrs.datasets import shapes
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     made = shapes.write_folder(folder, size=32, n=20, test_n=10, labels_csv=True)
            ...     train = Dataset.from_csv(made / "labels.csv", split="train")
            ...     test = Dataset.from_csv(made / "labels.csv", split="test")
            ...     len(train), len(test), train.class_names[:2]
            (20, 10, ['arrow', 'crescent'])
        """
        where = "Dataset.from_csv"
        table = Path(file_path(path, where))
        folder = table.parent if root is None else Path(file_path(root, where))
        if labels not in ("inferred", None):
            raise ValueError(f"{where}: labels: expected 'inferred' or None, received {labels!r}")
        listed = read_list(
            table,
            folder,
            path_column=path_column,
            label_column=label_column,
            split=split,
            split_column=split_column,
            class_names=class_names,
            header=None if header is None else flag(header, where, "header"),
            delimiter=delimiter,
            labelled=labels is not None,
            where=where,
        )
        missing = [file for file in listed.paths if not os.path.isfile(file)] if on_error == "raise" else []
        if missing:
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            raise FileNotFoundError(
                f"{where}: {table}: expected its paths to be files below {str(folder)!r}, found no "
                f"{missing[0]!r}{more}; root= names another folder, on_error='skip' leaves them out"
            )
        return cls._from_images(
            where, listed.paths, listed.labels, listed.class_names,
            Decoding(image_size, where, **decoding), on_error, num_parallel_calls, name,
        )  # fmt: skip

    @classmethod
    def _from_images(
        cls,
        where: str,
        paths: Any,
        labels: Any,
        class_names: list[str] | None,
        decoding: Decoding,
        on_error: str,
        num_parallel_calls: Any,
        name: str | None,
    ) -> Any:
        if on_error not in ("raise", "skip"):
            raise ValueError(f"{where}: on_error: expected 'raise' or 'skip', received {on_error!r}")
        workers = worker_count(num_parallel_calls, where)
        numbers = None if labels is None else np.asarray(labels)
        if numbers is not None and numbers.dtype.kind != "f":
            numbers = numbers.astype(np.int32)
        files = ImageFiles(paths, numbers, decoding, workers, on_error == "skip", where)
        order = np.arange(len(files))
        rows = Rows(files, lambda peek: order)
        spec = decoding.spec if numbers is None else (decoding.spec, TensorSpec((), numbers.dtype.name))
        length = UNKNOWN_CARDINALITY if files.skips else len(files)
        made = cls._made(rows.open, length, spec, rows, name=name, open_at=rows.open_at)
        made.class_names, made.file_paths = class_names, files.paths
        return made

    @classmethod
    @takes_decoding
    def from_shards(
        cls,
        shards: Any,
        fields: Any = ("jpg;jpeg;png;webp;bmp;gif;tif;tiff", "cls"),
        image_size: Any = None,
        *,
        shuffle_shards: bool = False,
        seed: Any = None,
        num_parallel_calls: Any = AUTOTUNE,
        name: str | None = None,
        **decoding: Unpack[DecodingArguments],
    ) -> Any:
        """The samples of tar files in the layout of webdataset; `write_shards` writes such files.

        For a random order say `shuffle_shards=True` and let `shuffle(1000)` follow: shards come in another
        order in each pass, and samples are drawn from a buffer.

        Args:
            shards: Paths of tar files, which may be compressed; "train-{0000..0012}.tar" and
                "train-*.tar" mean several.
            fields: The parts of elements by the extensions of their files; a dict of them for elements that
                are dicts. "jpg;png" takes the first that is there; "json:key" an entry of a JSON file, and
                "__key__" the name of the sample. Images are uint8, "cls" is int64, "npy" an array, and what
                is not known is text.
            image_size: As for `from_folder`.
            shuffle_shards: Whether each pass has the shards in another random order.
            seed: Of this order; None draws one.
            num_parallel_calls: Threads that decode the next samples.
            name: What `repr` calls it.
            **decoding

        Returns:
            A `Dataset` of unknown length.

        Raises:
            ValueError: No file matches, or a field is a pickle. While elements come: a sample lacks a file,
                or a shard is damaged; the message names the shard and the sample.

        Example:
            >>> import tempfile
            >>> from cnnrs.data import Dataset, write_shards
            >>> from cnnrs.datasets import shapes
            >>> pictures = shapes.draw_pictures(10)
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     samples = ({"png": x, "cls": y[0]} for x, y in zip(pictures.images, pictures.labels))
            ...     _ = write_shards(samples, folder + "/train-{:03d}.tar", samples_per_shard=4)
            ...     data = Dataset.from_shards(folder + "/train-{000..002}.tar", shuffle_shards=True)
            ...     data = data.shuffle(100).batch(10)
            ...     [(x.shape, x.dtype, y.dtype) for x, y in data]
            [((10, 32, 32, 3), 'uint8', 'int64')]
        """
        where = "Dataset.from_shards"
        paths = matching_files(shards, where, "shards")
        images = Decoding(image_size, where, **decoding)
        single = isinstance(fields, str)
        given = (fields,) if single else tuple(fields) if isinstance(fields, list) else fields
        wanted = tree.map_structure(lambda field: Field(field, images, where), given)
        mixes = flag(shuffle_shards, where, "shuffle_shards")
        passes = Passes(seed, orders=True)
        workers = worker_count(num_parallel_calls, where)

        def read(pair: tuple[str, dict[str, Any]]) -> Any:
            shard, sample = pair
            parts = tree.map_structure(lambda field: field.of(sample, shard), wanted)
            return as_element(parts[0] if single else parts, where)

        def samples(number: list[int]) -> Iterator[Any]:
            order = np.arange(len(paths))
            for index in np.random.default_rng(number).permutation(order) if mixes else order:
                for sample in samples_of(paths[index], where):
                    yield paths[index], sample

        def opened(peek: bool, first: int = 0) -> Iterator[Any]:
            # Samples that are left out are read and not decoded.
            rest = _without(samples(passes.next(peek)), first)
            return through(read, rest, 1 if peek else workers)

        return cls._made(
            opened, UNKNOWN_CARDINALITY, name=name, kept=(passes,) if mixes else (),
            open_at=lambda first: opened(False, first),
        )  # fmt: skip

    @classmethod
    @takes_decoding
    def from_parquet(
        cls,
        paths: Any,
        columns: Any = None,
        image_size: Any = None,
        *,
        shuffle_files: bool = False,
        seed: Any = None,
        num_parallel_calls: Any = AUTOTUNE,
        name: str | None = None,
        **decoding: Unpack[DecodingArguments],
    ) -> Any:
        """The rows of Parquet files, which are read as they are needed.

        A column of records with `bytes`, as the data sets of Hugging Face have them, is images. With
        `image_size` a column of plain bytes is, too.

        Args:
            paths: Paths of files, or patterns: "train-*.parquet".
            columns: Names of columns: elements are tuples of them; a text for one column; None for all, as
                dicts.
            image_size: As for `from_folder`.
            shuffle_files: Whether each pass has the files in another random order.
            seed: Of this order; None draws one.
            num_parallel_calls: Threads that decode the next images.
            name: What `repr` calls it.
            **decoding

        Returns:
            A `Dataset` of as many elements as there are rows: int64 and float32, text, lists as arrays.

        Raises:
            ImportError: pyarrow, of the extra `parquet`, is not there.
            ValueError: A file is none of Parquet, or lacks a column. While elements come: a value is null;
                the message names the file and the row.

        Example:
            >>> import tempfile
            >>> import pyarrow, pyarrow.parquet
            >>> from cnnrs.data import Dataset
            >>> table = pyarrow.table({"x": [[1.0, 2.0], [3.0, 4.0]], "label": [0, 1]})
            >>> with tempfile.TemporaryDirectory() as folder:
            ...     pyarrow.parquet.write_table(table, folder + "/a.parquet")
            ...     data = Dataset.from_parquet(folder + "/a.parquet", ("x", "label"))
            ...     len(data), [(x.tolist(), int(y)) for x, y in data]
            (2, [([1.0, 2.0], 0), ([3.0, 4.0], 1)])
        """
        where = "Dataset.from_parquet"
        single = isinstance(columns, str)
        names = None if columns is None else [columns] if single else [str(column) for column in columns]
        files = ParquetFiles(matching_files(paths, where, "paths"), names, where)
        images = Decoding(image_size, where, **decoding)
        if images.size is not None and not files.has_images:
            raise ValueError(
                f"{where}: image_size: expected a column of images, bytes or records with 'bytes', among "
                f"{files.columns}, found none"
            )
        mixes = flag(shuffle_files, where, "shuffle_files")
        passes = Passes(seed, orders=True)
        workers = worker_count(num_parallel_calls, where)

        def read(row: Any) -> Any:
            values = [files.value(row, i, images) for i in range(len(files.columns))]
            if single:
                return values[0]
            return dict(zip(files.columns, values, strict=True)) if names is None else tuple(values)

        def opened(peek: bool, first: int = 0) -> Iterator[Any]:
            order = np.arange(len(files.paths))
            seeds = passes.next(peek)
            order = np.random.default_rng(seeds).permutation(order) if mixes else order
            return through(read, files.rows(order, first), 1 if peek else workers)

        return cls._made(
            opened, files.length, name=name, kept=(passes,) if mixes else (),
            open_at=lambda first: opened(False, first),
        )  # fmt: skip

    @classmethod
    def from_py_dataset(cls, dataset: Any, num_parallel_calls: Any = None, name: str | None = None) -> Any:
        """The batches of a `utils.PyDataset`, or of what has an index and a length.

        Args:
            dataset: It: `dataset[i]` is batch `i`. Its `on_epoch_end` is called behind the last one.
            num_parallel_calls: Threads that prepare the next batches; None for the `workers` of the data set.
            name: What `repr` calls it.

        Returns:
            A `Dataset` of its batches; `unbatch` gives their samples.

        Raises:
            TypeError: It has no index or no length.
            ValueError: It has no end.

        Example:
            >>> import numpy as np
            >>> from cnnrs import utils
            >>> from cnnrs.data import Dataset
            >>> class Batches(utils.PyDataset):
            ...     def __len__(self):
            ...         return 3
            ...     def __getitem__(self, index):
            ...         return np.full((2, 4), index), np.zeros(2)
            >>> data = Dataset.from_py_dataset(Batches()).unbatch().shuffle(6).batch(3)
            >>> [x.shape for x, _ in data]
            [(3, 4), (3, 4)]
        """
        where = "Dataset.from_py_dataset"
        if not hasattr(dataset, "__getitem__"):
            raise TypeError(f"{where}: expected a PyDataset, received {type(dataset).__name__}")
        count = getattr(dataset, "num_batches", None)
        if count is None:
            if not hasattr(dataset, "__len__"):
                raise ValueError(f"{where}: expected a dataset with a length, received {dataset!r}")
            count = len(dataset)
        if num_parallel_calls is None:
            workers = max(int(getattr(dataset, "workers", 1)), 1)
        else:
            workers = worker_count(num_parallel_calls, where)
        length = integer(count, where, "num_batches", least=0)
        batches = cls._of_function(dataset.__getitem__, length, workers, where=where)
        ended = getattr(dataset, "on_epoch_end", None)

        def opened(peek: bool, first: int = 0) -> Iterator[Any]:
            yield from batches._open_at(first) if first else batches._open(peek)
            if ended is not None and not peek:
                ended()

        return cls._made(
            opened, len(batches), name=name, sources=(batches,), open_at=lambda first: opened(False, first)
        )


def _without(samples: Iterator[Any], first: int) -> Iterator[Any]:
    """What comes behind the first samples."""
    for _ in range(first):
        if next(samples, None) is None:
            break
    return samples
