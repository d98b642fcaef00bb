"""Rows of CSV files as elements: tf.data's `CsvDataset` and `make_csv_dataset`."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cnnrs.base.arguments import flag
from cnnrs.base.suggest import did_you_mean
from cnnrs.data.dataset import Dataset
from cnnrs.data.elements import as_leaf, host
from cnnrs.data.ordering import count_of, drawn
from cnnrs.data.passes import Passes
from cnnrs.data.pipeline import INFINITE_CARDINALITY, UNKNOWN_CARDINALITY, Pipeline, worker_count
from cnnrs.data.records import compression_of
from cnnrs.data.shards import shard_paths
from cnnrs.data.spec import TensorSpec
from cnnrs.data.strings import StringTensor

__all__ = ["Column", "CsvDataset", "make_csv_dataset"]

_TYPES = ("string", "float32", "float64", "int32", "int64")
_PLAIN = {int: "int32", float: "float32", str: "string"}


class Column:
    """How the fields of a column are read.

    Attributes:
        dtype: The name of the type.
        default: What an empty field means; None if there must be none.

    Args:
        default: A value, or a list of one: what an empty field means, which says the type, too. A type, or an
            empty array, if fields must not be empty.
        where: What errors call the argument.
    """

    def __init__(self, default: Any, where: str):
        name = getattr(default, "name", None)
        if default in _PLAIN if isinstance(default, type) else False:
            self.dtype, self.default = _PLAIN[default], None
        elif isinstance(default, (type, np.dtype)):
            self.dtype, self.default = np.dtype(default).name, None
        elif isinstance(name, str) and name in _TYPES and not hasattr(default, "shape"):
            self.dtype, self.default = str.__str__(name), None
        else:
            leaf = host(as_leaf(default, where))
            self.dtype = "string" if isinstance(leaf, StringTensor) else leaf.dtype.name
            if leaf.size > 1:
                raise ValueError(
                    f"{where}: expected at most one value of string, float32, float64, int32 or int64 for a "
                    f"column, received {default!r}"
                )
            self.default = leaf.reshape(-1).tolist()[0] if leaf.size else None
        if self.dtype not in _TYPES:
            raise ValueError(
                f"{where}: expected string, float32, float64, int32 or int64 for a column, "
                f"received {default!r}"
            )

    def value(self, text: str, na_value: str, where: str) -> Any:
        """The value of a field.

        Raises:
            ValueError: It is empty and must not be, or is no number.
        """
        if text in ("", na_value):
            if self.default is None:
                raise ValueError(f"{where}: expected a value, found none")
            return self.default
        if self.dtype == "string":
            return text
        try:
            return float(text) if self.dtype.startswith("float") else int(text)
        except ValueError:
            raise ValueError(f"{where}: expected {self.dtype}, found {text!r}") from None

    def leaf(self, values: Any) -> Any:
        """A value, or a list of them, as a leaf of an element."""
        return StringTensor(values) if self.dtype == "string" else np.asarray(values, self.dtype)


class _Rows:
    """The rows of CSV files, as lists of text with the place where each stands.

    Args:
        paths: The files.
        where: What errors call the function.
        delimiter: What separates fields.
        quotes: Whether fields may stand in double quotes.
        compression: "", "GZIP" or "ZLIB".
        encoding: Of the text.
        header: Whether the first line of each file names the columns.
    """

    def __init__(
        self,
        paths: Any,
        where: str,
        delimiter: str,
        quotes: Any,
        compression: Any,
        encoding: str = "utf-8",
        header: Any = False,
    ):
        self.paths, self.where, self.encoding = paths, where, encoding
        self._header = flag(header, where, "header")
        self._compression = compression_of(compression, where)
        if not isinstance(delimiter, str) or len(delimiter) != 1:
            raise ValueError(f"{where}: field_delim: expected one character, received {delimiter!r}")
        self._delimiter = delimiter
        self._quoting: Any = csv.QUOTE_MINIMAL if flag(quotes, where, "use_quote_delim") else csv.QUOTE_NONE

    def _lines(self, path: str) -> Iterator[list[str]]:
        if self._compression == "ZLIB":
            with open(path, "rb") as file:
                opened: Any = io.BytesIO(zlib.decompress(file.read()))
        else:
            opened = gzip.open(path) if self._compression == "GZIP" else open(path, "rb")
        with io.TextIOWrapper(opened, self.encoding, newline="") as text:
            reader = csv.reader(text, delimiter=self._delimiter, quoting=self._quoting, strict=True)
            try:
                yield from reader
            except (csv.Error, UnicodeDecodeError) as error:
                raise ValueError(f"{self.where}: {path}: line {reader.line_num + 1}: {error}") from None

    def names(self) -> list[str]:
        """The names of the columns, by the first file."""
        path = self.paths[0]
        first = next(self._lines(path), None)
        if first is None:
            raise ValueError(f"{self.where}: {path}: expected a header, found an empty file")
        return first

    def of(self, path: str) -> Iterator[tuple[str, int, list[str]]]:
        """The rows of a file, with its name and their numbers, from 1."""
        lines = enumerate(self._lines(path), 1)
        if self._header:
            next(lines, None)
        for number, row in lines:
            if row:
                yield path, number, row


class CsvDataset(Dataset):
    """The rows of CSV files, each a tuple of single values.

    Args:
        filenames: A path, a list or tensor of them, or a `Dataset` of them.
        record_defaults: Of each column that is read what an empty field means, which also says its type; or
            a type such as `np.float32`, if fields must not be empty.
        compression_type: "", "GZIP" or "ZLIB".
        buffer_size: None or a positive integer: files are read by usual buffers.
        header: Whether the first line of each file is left out.
        field_delim: What separates fields.
        use_quote_delim: Whether fields may stand in double quotes.
        na_value: A text that stands for an empty field, besides none at all.
        select_cols: The indices of the columns that are read, in order; None for all.
        exclude_cols: The indices of those that are not read; None for none. Only one of both is given.

    Raises:
        ValueError: An argument is none of these. While elements come: a row has another number of fields, or
            a field is empty or no number; the message names the file and the line.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from cnnrs.data.csv_rows import CsvDataset
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text("x,label\\n1.5,0\\n,1\\n")
        ...     [(float(x), int(y)) for x, y in CsvDataset(folder + "/a.csv", [[0.0], np.int32], header=True)]
        [(1.5, 0), (0.0, 1)]
    """

    def __init__(
        self,
        filenames: Any,
        record_defaults: Any,
        compression_type: Any = None,
        buffer_size: Any = None,
        header: bool = False,
        field_delim: str = ",",
        use_quote_delim: bool = True,
        na_value: str = "",
        select_cols: Any = None,
        exclude_cols: Any = None,
    ):
        where = "CsvDataset"
        if buffer_size is not None:
            count_of(buffer_size, where, "buffer_size", 1)
        if select_cols is not None and exclude_cols is not None:
            raise ValueError(f"{where}: select_cols, exclude_cols: expected at most one, received both")
        columns = [Column(default, f"{where}: record_defaults") for default in record_defaults]
        chosen = None if select_cols is None else [int(i) for i in host(select_cols)]
        left_out = None if exclude_cols is None else {int(i) for i in host(exclude_cols)}
        if chosen is not None and len(chosen) != len(columns):
            raise ValueError(
                f"{where}: select_cols: expected {len(columns)} columns, as record_defaults has, "
                f"received {chosen}"
            )
        of_dataset = isinstance(filenames, Pipeline)
        rows = _Rows((), where, field_delim, use_quote_delim, compression_type, header=header)

        def opened(peek: bool) -> Iterator[Any]:
            given = filenames._open(peek) if of_dataset else [filenames]
            for leaf in given:
                texts = as_leaf(leaf, f"{where}: filenames")
                for path in texts.reshape(-1).tolist():
                    for row in rows.of(path.decode() if isinstance(path, bytes) else path):
                        yield tuple(_values(row, columns, chosen, left_out, na_value, where))

        spec = tuple(TensorSpec((), column.dtype) for column in columns)
        super().__init__(opened, spec=spec, sources=(filenames,) if of_dataset else ())


def _values(
    row: tuple[str, int, list[str]],
    columns: Sequence[Column],
    chosen: list[int] | None,
    left_out: set[int] | None,
    na_value: str,
    where: str,
) -> Iterator[Any]:
    path, number, fields = row
    place = f"{where}: {path}: line {number}"
    places = chosen
    if places is None:
        places = [i for i in range(len(fields)) if not left_out or i not in left_out]
    if len(places) != len(columns) or (places and max(places) >= len(fields)):
        raise ValueError(f"{place}: expected {len(columns)} fields, received {len(fields)}")
    for index, column in zip(places, columns, strict=True):
        yield column.leaf(column.value(fields[index], na_value, f"{place}, field {index}"))


def _inferred(fields: Sequence[str], na_value: str) -> Column:
    """The narrowest type that holds some fields."""
    kinds = [_kind(field) for field in fields if field not in ("", na_value)]
    widest = max((_WIDTH[kind] for kind in kinds), default=_WIDTH["int32"])
    dtype = next(name for name, width in _WIDTH.items() if width == widest)
    return Column(np.zeros(1, dtype) if dtype != "string" else "", "make_csv_dataset")


_WIDTH = {"int32": 0, "int64": 1, "float32": 2, "float64": 3, "string": 4}


def _kind(field: str) -> str:
    try:
        number = int(field)
        return "int32" if -(2**31) <= number < 2**31 else "int64" if -(2**63) <= number < 2**63 else "string"
    except ValueError:
        pass
    try:
        value = float(field)
    except ValueError:
        return "string"
    return "float32" if not np.isfinite(value) or abs(value) <= np.finfo(np.float32).max else "float64"


def make_csv_dataset(
    file_pattern: Any,
    batch_size: Any,
    column_names: Any = None,
    column_defaults: Any = None,
    label_name: Any = None,
    select_columns: Any = None,
    field_delim: str = ",",
    use_quote_delim: bool = True,
    na_value: str = "",
    header: bool = True,
    num_epochs: Any = None,
    shuffle: bool = True,
    shuffle_buffer_size: Any = 10000,
    shuffle_seed: Any = None,
    prefetch_buffer_size: Any = None,
    num_parallel_reads: Any = None,
    sloppy: bool = False,
    num_rows_for_inference: Any = 100,
    compression_type: Any = None,
    ignore_errors: bool = False,
    encoding: str = "utf-8",
) -> Any:
    """Batches of the rows of CSV files, as dicts of columns.

    Args:
        file_pattern: Paths of files, or patterns of them.
        batch_size: Rows of a batch.
        column_names: The names of all columns; None for those of the header.
        column_defaults: Of each column that is read what an empty field means, which says its type, or a
            type; None infers the types from the first rows, and an empty field is 0 or "".
        label_name: The column of labels: elements are pairs (columns, labels) then.
        select_columns: The names or indices of the columns that are read; None for all.
        field_delim: What separates fields.
        use_quote_delim: Whether fields may stand in double quotes.
        na_value: A text that stands for an empty field, besides none at all.
        header: Whether the first line of each file names the columns.
        num_epochs: How often the rows come; None for ever, with batches that are all full.
        shuffle: Whether rows come in random order, another one each time.
        shuffle_buffer_size: How many rows are held to draw from.
        shuffle_seed: Of the order; None draws one.
        prefetch_buffer_size: How many batches a thread prepares; None for 2.
        num_parallel_reads: A positive integer or None: files are read one after the other.
        sloppy: Whether another order is allowed; rows keep theirs.
        num_rows_for_inference: How many rows of each file types are inferred from; None for all.
        compression_type: "", "GZIP" or "ZLIB".
        ignore_errors: Whether rows that are damaged are left out.
        encoding: Of the text.

    Returns:
        A `Dataset` of dicts from the names of columns to arrays of `batch_size` values, or of pairs.

    Raises:
        ValueError: No file matches, or an argument is none of these. While elements come: a row is damaged;
            the message names the file and the line.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnnrs.data.csv_rows import make_csv_dataset
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     _ = Path(folder, "a.csv").write_text("x,kind,label\\n1.5,a,0\\n,b,1\\n")
        ...     data = make_csv_dataset(folder + "/*.csv", 2, label_name="label", num_epochs=1, shuffle=False)
        ...     [(row["x"].tolist(), row["kind"].numpy().tolist(), label.tolist()) for row, label in data]
        [([1.5, 0.0], [b'a', b'b'], [0, 1])]
    """
    where = "make_csv_dataset"
    paths = sorted(shard_paths(file_pattern, where))
    rows = _Rows(paths, where, field_delim, use_quote_delim, compression_type, encoding, header)
    size = count_of(batch_size, where, "batch_size", 1)
    names = [str(name) for name in column_names] if column_names is not None else None
    if names is None:
        if not header:
            raise ValueError(f"{where}: column_names: expected names, for there is no header, received None")
        names = rows.names()
    if len(set(names)) != len(names):
        raise ValueError(f"{where}: column_names: expected different names, received {names}")
    places = _selected(select_columns, names, where)
    if label_name is not None and label_name not in [names[i] for i in places]:
        raise ValueError(
            f"{where}: label_name: expected a column that is read, received {label_name!r}"
            f"{did_you_mean(str(label_name), [names[i] for i in places])}"
        )
    if column_defaults is not None:
        columns = [Column(default, f"{where}: column_defaults") for default in column_defaults]
        if len(columns) != len(places):
            raise ValueError(
                f"{where}: column_defaults: expected {len(places)} of them, received {len(columns)}"
            )
    else:
        most = None if num_rows_for_inference is None else int(num_rows_for_inference)
        head = [row for path in paths for _, _, row in itertools.islice(rows.of(path), most)]
        whole = [row for row in head if len(row) == len(names)]
        columns = [_inferred([row[i] for row in whole], na_value) for i in places]
    epochs = None if num_epochs is None or num_epochs == -1 else count_of(num_epochs, where, "num_epochs", 0)
    mixes, skips = flag(shuffle, where, "shuffle"), flag(ignore_errors, where, "ignore_errors")
    buffer = count_of(shuffle_buffer_size, where, "shuffle_buffer_size", 1)
    worker_count(num_parallel_reads, where)
    flag(sloppy, where, "sloppy")
    passes = Passes(shuffle_seed, orders=True)

    def values(row: tuple[str, int, list[str]]) -> list[Any] | None:
        path, number, fields = row
        try:
            if len(fields) != len(names):
                raise ValueError(
                    f"{where}: {path}: line {number}: expected {len(names)} fields, received {len(fields)}"
                )
            return [
                column.value(fields[i], na_value, f"{where}: {path}: line {number}, column {names[i]!r}")
                for i, column in zip(places, columns, strict=True)
            ]
        except ValueError:
            if skips:
                return None
            raise

    def ordered(peek: bool) -> Iterator[Any]:
        for _ in itertools.count() if epochs is None else range(epochs):
            found = (row for path in paths for row in rows.of(path))
            rng = np.random.default_rng(passes.next(peek))
            yield from drawn(found, 1 if peek else buffer, rng) if mixes else found

    def batches(peek: bool) -> Iterator[Any]:
        kept = (row for row in map(values, ordered(peek)) if row is not None)
        while group := list(itertools.islice(kept, size)):
            made = {
                names[i]: column.leaf([row[place] for row in group])
                for place, (i, column) in enumerate(zip(places, columns, strict=True))
            }
            yield made if label_name is None else (made, made.pop(label_name))

    extent = size if epochs is None else None
    spec: Any = {names[i]: TensorSpec((extent,), c.dtype) for i, c in zip(places, columns, strict=True)}
    if label_name is not None:
        label = spec.pop(label_name)
        spec = (spec, label)
    length = INFINITE_CARDINALITY if epochs is None else UNKNOWN_CARDINALITY
    made = Dataset(batches, length, spec, kept=(passes,))
    return made.prefetch(2 if prefetch_buffer_size is None else prefetch_buffer_size)


def _selected(select_columns: Any, names: list[str], where: str) -> list[int]:
    if select_columns is None:
        return list(range(len(names)))
    places = []
    for one in select_columns:
        if isinstance(one, str) and one not in names:
            raise ValueError(
                f"{where}: select_columns: expected columns, received {one!r}{did_you_mean(one, names)}"
            )
        place = names.index(one) if isinstance(one, str) else int(one)
        if not 0 <= place < len(names):
            raise ValueError(
                f"{where}: select_columns: expected indices of {len(names)} columns, received {place}"
            )
        places.append(place)
    return sorted(places)
