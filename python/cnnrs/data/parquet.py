"""Rows of Parquet files, read as they are needed: pyarrow, of the extra `parquet`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cnnrs.base.extras import library
from cnnrs.data.decoding import Decoding
from cnnrs.data.strings import StringTensor

__all__ = ["ParquetFiles"]

# Rows that are read at once.
_ROWS = 256


class ParquetFiles:
    """Parquet files with the same columns.

    Attributes:
        columns: The names of the columns that are read.
        length: How many rows there are.
        has_images: Whether a column may hold images: bytes, or records.

    Args:
        paths: The files.
        columns: Names of columns; None for all.
        where: What errors call the function.

    Raises:
        ImportError: pyarrow is not there.
        FileNotFoundError: There is no such file.
        ValueError: A file is none of Parquet, or lacks a column.
    """

    def __init__(self, paths: list[str], columns: list[str] | None, where: str):
        self._parquet = library("pyarrow.parquet", "parquet", where)
        self._arrow = library("pyarrow", "parquet", where)
        self.paths, self.where = paths, where
        self.length, self._counts = 0, []
        for path in paths:
            with self._opened(path) as file:
                names = file.schema_arrow.names
                types = {field.name: field.type for field in file.schema_arrow}
                columns = names if columns is None else columns
                missing = [name for name in columns if name not in names]
                if missing:
                    raise ValueError(f"{where}: {path}: expected a column {missing[0]!r}, found {names}")
                self._counts.append(file.metadata.num_rows)
        self.columns = list(columns or ())
        kinds = self._arrow.types
        self.has_images = any(
            kinds.is_struct(types[name]) or kinds.is_binary(types[name]) or kinds.is_large_binary(types[name])
            for name in self.columns
        )
        self.length = sum(self._counts)

    def _opened(self, path: str) -> Any:
        try:
            return self._parquet.ParquetFile(path)
        except FileNotFoundError:
            raise
        except (OSError, ValueError, self._arrow.ArrowException) as error:
            raise ValueError(f"{self.where}: {path}: not a Parquet file, or damaged: {error}") from error

    def rows(self, order: np.ndarray, first: int = 0) -> Iterator[tuple[str, int, list[Any]]]:
        """Rows as the values of their columns, with their files and numbers.

        Args:
            order: The files, in their order.
            first: How many rows are left out; whole groups of them are not read.
        """
        for index in order.tolist():
            if first >= self._counts[index]:
                first -= self._counts[index]
                continue
            path = self.paths[index]
            with self._opened(path) as file:
                groups: list[int] = []
                place = skipped = 0
                for group in range(file.metadata.num_row_groups):
                    count = file.metadata.row_group(group).num_rows
                    if not groups and place + count <= first:
                        skipped += count
                    else:
                        groups.append(group)
                    place += count
                number = skipped
                try:
                    for batch in file.iter_batches(_ROWS, row_groups=groups, columns=self.columns):
                        if number + len(batch) > first:
                            lists = [batch.column(name).to_pylist() for name in self.columns]
                            for i, values in enumerate(zip(*lists, strict=True), number):
                                if i >= first:
                                    yield path, i, list(values)
                        number += len(batch)
                except (OSError, self._arrow.ArrowException) as error:
                    raise ValueError(f"{self.where}: {path}: damaged at row {number}: {error}") from error
            first = 0

    def value(self, row: tuple[str, int, list[Any]], column: int, decoding: Decoding) -> Any:
        """A value of a row as a leaf of an element.

        Bytes in a record are an image, and so are others if images are to have a size.
        """
        path, number, values = row
        value, name = values[column], self.columns[column]
        place = f"{self.where}: {path}: row {number}, column {name!r}"
        if value is None:
            raise ValueError(f"{place}: expected a value, found null")
        if isinstance(value, dict) and isinstance(value.get("bytes"), bytes):
            return decoding.one(value["bytes"], place)
        if isinstance(value, bytes) and decoding.size is not None:
            return decoding.one(value, place)
        if isinstance(value, (str, bytes)):
            return StringTensor(value)
        if isinstance(value, bool):
            return np.bool_(value)
        if isinstance(value, int):
            return np.int64(value)
        if isinstance(value, (float, list)):
            try:
                array = np.asarray(value)
            except ValueError:
                array = np.asarray(value, object)
            if array.dtype.kind in "biuf":
                return array.astype(np.float32) if array.dtype.kind == "f" else array
        raise TypeError(f"{place}: expected numbers, text, lists of numbers or images, found {value!r:.80}")
