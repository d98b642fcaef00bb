"""Data sets of the lines and records of files."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from cnnrs.base.arguments import file_path
from cnnrs.data.dataset import Dataset
from cnnrs.data.elements import as_leaf
from cnnrs.data.ordering import count_of
from cnnrs.data.pipeline import Pipeline, worker_count
from cnnrs.data.records import compression_of, read_records
from cnnrs.data.spec import TensorSpec
from cnnrs.data.strings import StringTensor

__all__ = ["FixedLengthRecordDataset", "TFRecordDataset", "TextLineDataset"]


def _paths(filenames: Any, owner: str) -> Callable[[], Iterator[str]]:
    """The paths of files, which may be elements of a data set."""
    if isinstance(filenames, Pipeline):

        def of_dataset() -> Iterator[str]:
            for element in filenames._open(False):
                yield from _texts(element, owner)

        return of_dataset
    paths = _texts(filenames, owner)
    return lambda: iter(paths)


def _texts(given: Any, owner: str) -> list[str]:
    leaf = as_leaf(given, f"{owner}: filenames")
    if not isinstance(leaf, StringTensor):
        raise TypeError(f"{owner}: filenames: expected paths, or a Dataset of them, received {given!r}")
    return [file_path(path, owner) for path in leaf.reshape(-1).tolist()]


class _FileDataset(Dataset):
    """The parts of files, as text.

    Args:
        read: Gives the parts of a file.
        filenames: The paths.
        buffer_size: Bytes that are read at once; None for a usual number.
        num_parallel_reads: How many files are read in turns, each by a thread; None for one file after the
            other.
        name: What `repr` calls the data set.
    """

    def __init__(
        self,
        read: Callable[[str], Iterator[bytes]],
        filenames: Any,
        buffer_size: Any,
        num_parallel_reads: Any,
        name: str | None,
    ):
        owner = type(self).__name__
        paths = _paths(filenames, owner)
        if buffer_size is not None:
            count_of(buffer_size, owner, "buffer_size", 0)
        spec = TensorSpec((), "string")

        def parts(path: Any) -> Any:
            return Dataset(lambda peek: map(StringTensor, read(path)), spec=spec)

        def opened(peek: bool) -> Iterator[Any]:
            if peek or num_parallel_reads is None:
                for path in paths():
                    yield from map(StringTensor, read(path))
                return
            files = Dataset.from_tensor_slices(list(paths()))
            turns = files.interleave(
                lambda path: parts(path.numpy().decode()), num_parallel_calls=num_parallel_reads
            )
            yield from turns._open(peek)

        worker_count(num_parallel_reads, owner)
        super().__init__(
            opened, spec=spec, name=name, sources=(filenames,) if isinstance(filenames, Pipeline) else ()
        )


def _buffered(buffer_size: Any) -> int:
    return int(buffer_size) if buffer_size else 2**18


class TextLineDataset(_FileDataset):
    """The lines of text files, without their ends.

    Args:
        filenames: A path, a list or tensor of them, or a `Dataset` of them.
        compression_type: "", "GZIP" or "ZLIB".
        buffer_size: Bytes that are read at once; None for a usual number.
        num_parallel_reads: How many files are read in turns, each by a thread; None for one file after the
            other.
        name: What `repr` calls the data set.

    Raises:
        FileNotFoundError: While elements come: there is no such file.
        ValueError: Another argument is none of these.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnnrs.data.readers import TextLineDataset
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.txt").write_text("one\\ntwo\\n")
        ...     [line.numpy() for line in TextLineDataset(f"{folder}/a.txt")]
        [b'one', b'two']
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
        name: str | None = None,
    ):
        compression = compression_of(compression_type, "TextLineDataset")

        def lines(path: str) -> Iterator[bytes]:
            if compression == "ZLIB":
                with open(path, "rb") as file:
                    yield from zlib.decompress(file.read()).splitlines()
                return
            if compression == "GZIP":
                opened: Any = gzip.open(path, "rb")
            else:
                opened = open(path, "rb", buffering=max(_buffered(buffer_size), 2))
            with opened as file:
                for line in file:
                    yield line.removesuffix(b"\n").removesuffix(b"\r")

        super().__init__(lines, filenames, buffer_size, num_parallel_reads, name)


class TFRecordDataset(_FileDataset):
    """The records of TFRecord files, as bytes.

    Args:
        filenames: A path, a list or tensor of them, or a `Dataset` of them.
        compression_type: "", "GZIP" or "ZLIB".
        buffer_size: Bytes that are read at once; None for a usual number.
        num_parallel_reads: How many files are read in turns, each by a thread; None for one file after the
            other.
        name: What `repr` calls the data set.

    Raises:
        FileNotFoundError: While elements come: there is no such file.
        ValueError: Another argument is none of these. While elements come: a record is damaged; the message
            says at which byte it begins.

    Example:
        >>> import tempfile
        >>> from cnnrs.data.readers import TFRecordDataset
        >>> from cnnrs.data.records import RecordWriter
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with RecordWriter(f"{folder}/a.tfrecord") as writer:
        ...         writer.write(b"first")
        ...     [record.numpy() for record in TFRecordDataset([f"{folder}/a.tfrecord"])]
        [b'first']
    """

    def __init__(
        self,
        filenames: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        num_parallel_reads: Any = None,
        name: str | None = None,
    ):
        compression = compression_of(compression_type, "TFRecordDataset")
        size = _buffered(buffer_size)
        super().__init__(
            lambda path: read_records(path, compression, "TFRecordDataset", size),
            filenames,
            buffer_size,
            num_parallel_reads,
            name,
        )


class FixedLengthRecordDataset(_FileDataset):
    """Parts of files, all of the same number of bytes.

    Args:
        filenames: A path, a list or tensor of them, or a `Dataset` of them.
        record_bytes: The number of bytes of a part.
        header_bytes: How many bytes at the beginning of a file are left out.
        footer_bytes: How many at its end.
        buffer_size: Bytes that are read at once; None for a usual number.
        compression_type: "", "GZIP" or "ZLIB".
        num_parallel_reads: How many files are read in turns, each by a thread; None for one file after the
            other.
        name: What `repr` calls the data set.

    Raises:
        FileNotFoundError: While elements come: there is no such file.
        ValueError: Another argument is none of these. While elements come: a file has another length.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnnrs.data.readers import FixedLengthRecordDataset
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.bin").write_bytes(b"headaabbcc")
        ...     [part.numpy() for part in FixedLengthRecordDataset(f"{folder}/a.bin", 2, header_bytes=4)]
        [b'aa', b'bb', b'cc']
    """

    def __init__(
        self,
        filenames: Any,
        record_bytes: Any,
        header_bytes: Any = None,
        footer_bytes: Any = None,
        buffer_size: Any = None,
        compression_type: Any = None,
        num_parallel_reads: Any = None,
        name: str | None = None,
    ):
        owner = "FixedLengthRecordDataset"
        size = count_of(record_bytes, owner, "record_bytes", 1)
        head = count_of(header_bytes or 0, owner, "header_bytes", 0)
        foot = count_of(footer_bytes or 0, owner, "footer_bytes", 0)
        compression = compression_of(compression_type, owner)

        def parts(path: str) -> Iterator[bytes]:
            with open(path, "rb") as file:
                data = file.read()
            if compression:
                data = gzip.decompress(data) if compression == "GZIP" else zlib.decompress(data)
            body = len(data) - head - foot
            if body < 0 or body % size:
                raise ValueError(
                    f"{owner}: {path}: expected records of {size} bytes between {head} and {foot} bytes, "
                    f"found {len(data)} bytes in all"
                )
            for first in range(head, head + body, size):
                yield data[first : first + size]

        super().__init__(parts, filenames, buffer_size, num_parallel_reads, name)
