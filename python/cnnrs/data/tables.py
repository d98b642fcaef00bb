"""Lists of images in CSV files: paths with labels, and which split each belongs to."""

from __future__ import annotations

import csv
import os
import re
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from cnnrs.base.suggest import did_you_mean

__all__ = ["Listed", "read_list"]

_PATHS = ("path", "file", "filename", "file_name", "filepath", "file_path", "image", "image_path", "img")
_LABELS = ("label", "class", "class_name", "target", "category", "y")
_SPLITS = ("split", "subset", "set", "fold")
# Lines that an error names.
_NAMED = 5
# Integers beyond are no indices of classes; names of all up to them would fill the memory.
_MOST_CLASSES = 10**6


class Listed(NamedTuple):
    """What a list of images holds.

    Attributes:
        paths: The files.
        labels: Their labels, or None if the list has none.
        class_names: The names of the classes, or None.
    """

    paths: list[str]
    labels: np.ndarray | None
    class_names: list[str] | None


_NUMBER = re.compile(r"[+-]?((\d+\.?\d*|\.\d+)(e[+-]?\d+)?|nan|inf|infinity)", re.ASCII | re.IGNORECASE)
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)


def _rows(path: Path, delimiter: str | None, where: str) -> list[tuple[int, list[str]]]:
    """The lines that are not empty, with their numbers."""
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            head = file.readline()
            file.seek(0)
            if delimiter is None:
                delimiter = max(",;\t", key=head.count)
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            return [(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(row)]
    except UnicodeDecodeError as error:
        raise ValueError(f"{where}: {path}: expected text in UTF-8: {error}") from None
    except csv.Error as error:
        raise ValueError(f"{where}: {path}: expected a CSV file: {error}") from None


def _column(
    given: Any, names: list[str] | None, known: tuple[str, ...], default: int, where: str
) -> int | None:
    """The index of a column: one that was named, or one that is called so."""
    if isinstance(given, str):
        if names is None or given not in names:
            found = "no header" if names is None else f"none of this name{did_you_mean(given, names)}"
            raise ValueError(f"{where}: expected a column {given!r}, found {found}")
        return names.index(given)
    if given is not None:
        return int(given)
    if names is None:
        return default
    lower = [name.lower() for name in names]
    return next((lower.index(name) for name in known if name in lower), None)


def _lines(numbers: list[int]) -> str:
    shown = ", ".join(map(str, numbers[:_NAMED]))
    more = f" and {len(numbers) - _NAMED} more" if len(numbers) > _NAMED else ""
    return f"line{'s' if len(numbers) > 1 else ''} {shown}{more}"


def read_list(
    path: Path,
    root: Path,
    *,
    path_column: Any,
    label_column: Any,
    split: str | None,
    split_column: Any,
    class_names: Any,
    header: bool | None,
    delimiter: str | None,
    labelled: bool,
    where: str,
) -> Listed:
    """Reads a list of images.

    Raises:
        ValueError: It is no such list; the message names the lines.
    """
    rows = _rows(path, delimiter, where)
    if not rows:
        raise ValueError(f"{where}: {path}: expected lines with a path and a label, found an empty file")
    first = [cell.lower() for cell in rows[0][1]]
    known = {*_PATHS, *_LABELS, *_SPLITS}
    has_header = header
    if header is None:
        named = any(isinstance(column, str) for column in (path_column, label_column, split_column))
        has_header = named or bool(known.intersection(first))
    names = rows[0][1] if has_header else None
    rows = rows[1:] if has_header else rows
    place = f"{where}: {path}"
    at_path = _column(path_column, names, _PATHS, 0, f"{place}: path_column")
    if at_path is None:
        raise ValueError(
            f"{place}: path_column: expected a column called {', '.join(map(repr, _PATHS[:4]))} or the like, "
            f"found {names}; name the column of paths"
        )
    width = len(names or rows[0][1])
    wider = [n for n, row in rows if any(row[width:])] if names else []
    if wider:
        raise ValueError(f"{place}: {_lines(wider)}: expected {width} fields, as the header has, found more")
    at_label = _column(label_column, names, _LABELS, 1, f"{place}: label_column") if labelled else None
    if labelled and (at_label is None or at_label >= width):
        raise ValueError(
            f"{place}: label_column: expected a column called {', '.join(map(repr, _LABELS[:3]))} or so, "
            f"found {names or f'{width} columns'}; name it, or say labels=None"
        )
    if split is not None:
        at_split = _column(split_column, names, _SPLITS, 2, f"{place}: split_column")
        if at_split is None or at_split >= width:
            raise ValueError(
                f"{place}: split_column: expected a column called 'split', "
                f"found {names or f'{width} columns'}"
            )
        _check_leaks(rows, at_path, at_split, place)
        found = Counter(row[at_split] for _, row in rows if at_split < len(row))
        rows = [(n, row) for n, row in rows if at_split < len(row) and row[at_split] == split]
        if not rows:
            raise ValueError(f"{place}: split: expected one of {sorted(found)}, received {split!r}")
    if not rows:
        raise ValueError(f"{place}: expected lines with a path and a label, found the header alone")
    missing = [n for n, row in rows if at_path >= len(row) or not row[at_path]]
    if missing:
        raise ValueError(f"{place}: {_lines(missing)}: expected a path, found none")
    paths = [os.path.join(root, row[at_path]) for _, row in rows]
    if at_label is None:
        return Listed(paths, None, None)
    missing = [n for n, row in rows if at_label >= len(row) or not row[at_label]]
    if missing:
        raise ValueError(f"{place}: {_lines(missing)}: expected a label, found none")
    return Listed(paths, *_numbered([(n, row[at_label]) for n, row in rows], class_names, place))


def _check_leaks(rows: list[tuple[int, list[str]]], at_path: int, at_split: int, place: str) -> None:
    """Raises a ValueError if a file is in two splits: what is tested on would be trained on."""
    seen: dict[str, tuple[int, str]] = {}
    for number, row in rows:
        if max(at_path, at_split) < len(row):
            line, of = seen.setdefault(row[at_path], (number, row[at_split]))
            if of != row[at_split]:
                raise ValueError(
                    f"{place}: lines {line} and {number}: expected each file in one split, found "
                    f"{row[at_path]!r} in {of!r} and {row[at_split]!r}"
                )


def _check_all(good: Any, labels: list[tuple[int, str]], kind: str, place: str) -> None:
    bad = [label for label, fits in zip(labels, good, strict=True) if not fits]
    if bad:
        raise ValueError(
            f"{place}: {_lines([n for n, _ in bad])}: expected {kind} labels, found {bad[0][1]!r}"
        )


def _numbered(
    labels: list[tuple[int, str]], class_names: Any, place: str
) -> tuple[np.ndarray, list[str] | None]:
    """Labels as numbers, and the names of the classes, if they are classes.

    Numbers are labels by themselves, and classes if they are integers from 0; text is sorted.
    """
    found = {label for _, label in labels}
    if class_names is None and all(_NUMBER.fullmatch(label) for label in found):
        if not all(_INTEGER.fullmatch(label) for label in found):
            with np.errstate(over="ignore"):
                values = np.array([float(label) for _, label in labels]).astype(np.float32)
            _check_all(np.isfinite(values), labels, "finite float32", place)
            return values, None
        integers = [int(label) for _, label in labels]
        _check_all([-(2**31) <= value < 2**31 for value in integers], labels, "int32", place)
        numbers = np.array(integers, np.int32)
        classes = numbers.min() >= 0 and numbers.max() < _MOST_CLASSES
        return numbers, [str(i) for i in range(int(numbers.max()) + 1)] if classes else None
    names = sorted(found) if class_names is None else [str(name) for name in class_names]
    index = {name: i for i, name in enumerate(names)}
    unknown = [(n, label) for n, label in labels if label not in index]
    if unknown:
        raise ValueError(
            f"{place}: {_lines([n for n, _ in unknown])}: expected one of the classes {names}, "
            f"found {unknown[0][1]!r}"
        )
    return np.array([index[label] for _, label in labels], np.int32), names
