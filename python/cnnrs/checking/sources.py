"""Text of scripts and notebooks, as Python reads it."""

from __future__ import annotations

import ast
import io
import json
import os
import re
import stat
import tokenize
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Source", "Unreadable", "programs", "read"]

SUFFIXES = (".py", ".ipynb")
# Scripts that people write have thousands of lines; notebooks hold pictures.
LARGEST = {".py": 5 << 20, ".ipynb": 100 << 20}

# Folders that hold what others wrote.
_OTHERS = {"__pycache__", "node_modules", "site-packages", "venv", "env"}

# Lines of a notebook that IPython reads: `!pip install`, `%matplotlib inline`, `x = !ls`, `?name`, `name?`.
_MAGIC = re.compile(r"^(\s*)(?:[!%?]|\S.*\?\s*$)")
_ASSIGNED = re.compile(r"^(\s*[\w, ]+=\s*)[!%]")
# Magics whose line is Python, after options such as `-n 10`.
_TIMED = re.compile(r"^(\s*(?:[\w, ]+=\s*)?)%(?:time|timeit|prun|memit)\s+(?:-\w+\s*\d*\s+)*(\S.*)$")
# Cells that are Python with a measure around it; others are of another language.
_PYTHON_CELLS = ("%%time", "%%timeit", "%%capture", "%%prun", "%%python", "%%python3")


class Unreadable(ValueError):
    """A file, or a cell of one, that is no Python."""


class Source(NamedTuple):
    """A program as a syntax tree.

    Attributes:
        path: The file.
        tree: The tree.
        cells: For a notebook the first line of each cell in the tree; otherwise None.
        problems: What of the file could not be read.
    """

    path: str
    tree: ast.Module
    cells: list[int] | None
    problems: list[str]

    def place(self, line: int) -> str:
        """A line for people.

        >>> Source("a.ipynb", ast.parse(""), [1, 5], []).place(6)
        'cell 2, line 2'
        """
        if self.cells is None:
            return f"line {line}"
        number = max(i for i, first in enumerate(self.cells) if first <= line)
        return f"cell {number + 1}, line {line - self.cells[number] + 1}"


def programs(path: str) -> Iterator[str]:
    """The scripts and notebooks that a path means: itself, or those below a folder, in order.

    Raises:
        Unreadable: There is no such path, or nothing in the folder.
    """
    if not Path(path).exists():
        raise Unreadable(f"{path}: no such file or folder")
    if not Path(path).is_dir():
        yield path
        return
    found = False
    for folder, below, files in os.walk(path):
        below[:] = sorted(name for name in below if name not in _OTHERS and not name.startswith("."))
        for name in sorted(files):
            if name.endswith(SUFFIXES) and not name.startswith("."):
                found = True
                yield os.path.join(folder, name)
    if not found:
        raise Unreadable(f"{path}: no {' or '.join(SUFFIXES)} files in this folder")


def read(path: str) -> Source:
    """Reads a script or a notebook.

    Raises:
        Unreadable: The message says what the file is instead.
    """
    content = _content(path)
    if path.endswith(".ipynb"):
        return _notebook(path, content)
    # An empty `__init__.py` makes a folder a package.
    if not content.strip() and Path(path).name != "__init__.py":
        raise Unreadable(f"{path}: the file is empty")
    if b"\0" in content:
        raise Unreadable(f"{path}: no Python: the file has bytes of 0; is it binary?")
    return Source(path, _parsed(path, _decoded(path, content)), None, [])


def _content(path: str) -> bytes:
    limit = LARGEST.get(Path(path).suffix, LARGEST[".py"])
    try:
        about = os.stat(path)
        if not stat.S_ISREG(about.st_mode):
            raise Unreadable(f"{path}: no regular file")
        if about.st_size > limit:
            raise Unreadable(f"{path}: {about.st_size:,} bytes; scripts of at most {limit:,} are read")
        return Path(path).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, Unreadable):
            raise
        raise Unreadable(f"{path}: {getattr(error, 'strerror', None) or error}") from None


def _decoded(path: str, content: bytes) -> str:
    """The text, in the encoding that its first lines name, as PEP 263 says."""
    try:
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode(encoding)
    except (SyntaxError, UnicodeDecodeError, LookupError) as error:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise Unreadable(
                f"{path}: encoded as UTF-16, which Python does not read; save it as UTF-8"
            ) from None
        where = f" (byte {error.start:,})" if isinstance(error, UnicodeDecodeError) else f": {error}"
        raise Unreadable(
            f"{path}: expected UTF-8, or the encoding that its first lines name{where}"
        ) from None


def _parsed(path: str, text: str) -> ast.Module:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the script's own spelling
            return ast.parse(text)
    except SyntaxError as error:
        line = f"line {error.lineno}" if error.lineno else "no line"
        raise Unreadable(f"{path}: {line}: does not parse: {error.msg}") from None
    except (RecursionError, MemoryError):
        raise Unreadable(f"{path}: does not parse: nested too deeply") from None
    except ValueError as error:
        raise Unreadable(f"{path}: does not parse: {error}") from None


def _notebook(path: str, content: bytes) -> Source:
    try:
        document: Any = json.loads(content.decode("utf-8-sig"))
        found = document["cells"] if "cells" in document else document["worksheets"][0]["cells"]
        cells = [
            "".join(cell.get("source", cell.get("input", "")))
            for cell in found
            if cell["cell_type"] == "code"
        ]
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        raise Unreadable(f"{path}: no Jupyter notebook: expected JSON with a list of cells") from None
    if not any(cell.strip() for cell in cells):
        raise Unreadable(f"{path}: the notebook has no code")
    lines: list[str] = []
    firsts = []
    problems = []
    for number, cell in enumerate(cells, 1):
        firsts.append(len(lines) + 1)
        text = _python_of(cell)
        try:
            _parsed(f"{path}: cell {number}", text)
        except Unreadable as error:
            problems.append(str(error))
            text = ""
        lines += (text + "\n" * (cell.count("\n") - text.count("\n"))).split("\n")
    return Source(path, _parsed(path, "\n".join(lines)), firsts, problems)


def _parses(text: str) -> bool:
    try:
        _parsed("", text)
        return True
    except Unreadable:
        return False


def _python_of(cell: str) -> str:
    """The Python of a cell, on the lines on which it stands."""
    if _parses(cell):
        return cell
    lines = cell.split("\n")
    first = next((line.split(maxsplit=1)[0] for line in lines if line.strip()), "")
    if first.startswith("%%") and first not in _PYTHON_CELLS:
        return ""
    goes_on = False
    for number, line in enumerate(lines):
        timed = None if goes_on else _TIMED.match(line)
        if timed and _parses(timed[2]):
            lines[number] = timed[1] + timed[2]
            continue
        magic = _MAGIC.match(line)
        assigned = _ASSIGNED.match(line)
        if goes_on or magic or assigned:
            goes_on, continued = line.endswith("\\"), goes_on
            if not continued:
                lines[number] = f"{assigned[1]}None" if assigned else f"{magic[1] if magic else ''}pass"
            else:
                lines[number] = ""
    return "\n".join(lines)
