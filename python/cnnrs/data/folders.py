"""Files below a folder, one folder a class, and files that patterns mean: what data sets of files share."""

from __future__ import annotations

import glob
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from cnnrs.base.arguments import file_path
from cnnrs.base.user_warnings import warn_user

__all__ = ["files_below", "files_of_classes", "matching_files", "warn_of_classes"]


def files_below(folder: Path, follow_links: bool, suffixes: tuple[str, ...]) -> list[Path]:
    """The files below a folder whose names end so, in the order of their paths.

    Links to folders are followed on request, to each folder once, however many links lead to it. Those to
    folders in which the folder itself lies are not followed: a class would have the files of others.
    """
    walk = sorted(_walk(str(folder), follow_links), key=lambda entry: entry[0])
    return [
        Path(root, file) for root, files in walk for file in sorted(files) if file.lower().endswith(suffixes)
    ]


def _walk(folder: str, follow_links: bool) -> Iterator[tuple[str, list[str]]]:
    """The folders from this one on, with their files: all of them before those that links lead to."""
    seen = {str(parent) for parent in Path(os.path.realpath(folder)).parents} if follow_links else set()
    folders, links = [folder], deque[str]()
    while folders or links:
        here = folders.pop() if folders else links.popleft()
        if follow_links:
            real = os.path.realpath(here)
            if real in seen:
                continue
            seen.add(real)
        files: list[str] = []
        with os.scandir(here) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if entry.is_symlink():
                    # A link to nothing is an error where it is read.
                    if os.path.isfile(entry.path) or not os.path.exists(entry.path):
                        files.append(entry.name)
                    elif follow_links and os.path.isdir(entry.path):
                        links.append(entry.path)
                elif entry.is_dir():
                    folders.append(entry.path)
                elif entry.is_file():
                    # Opening a pipe may wait for ever.
                    files.append(entry.name)
        yield here, files


def files_of_classes(
    directory: Path,
    class_names: Iterable[str] | None,
    follow_links: bool,
    suffixes: tuple[str, ...],
    where: str,
) -> tuple[list[Path], list[int], list[str]]:
    """The files of a directory with one folder a class.

    Args:
        directory: The directory.
        class_names: The folders in the order of their labels; None for all in the order of their names.
        follow_links: Whether links to folders are followed.
        suffixes: What the files' names end in.
        where: What errors call the function.

    Returns:
        The files, their labels, and the names of the classes.

    Raises:
        ValueError: A class has no folder.
    """
    folders = sorted(
        entry.name for entry in directory.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if class_names is not None:
        names = list(class_names)
        if not set(names) <= set(folders):
            raise ValueError(
                f"{where}: class_names: expected names of the folders {folders}, received {names}"
            )
        folders = names
    found = [
        (path, label)
        for label, folder in enumerate(folders)
        for path in files_below(directory / folder, follow_links, suffixes)
    ]
    return [path for path, _ in found], [label for _, label in found], folders


def matching_files(given: Any, where: str, argument: str) -> list[str]:
    """The files that paths, patterns and braces mean: "train-{0000..0012}.tar", "train-*.tar".

    >>> matching_files("a-{08..11}.tar", "from_shards", "shards")
    ['a-08.tar', 'a-09.tar', 'a-10.tar', 'a-11.tar']

    Raises:
        ValueError: A pattern matches no file.
    """
    found: list[str] = []
    for one in [given] if isinstance(given, (str, bytes, os.PathLike)) else given:
        for path in _braces(file_path(one, where)):
            matches = sorted(glob.glob(path)) if glob.has_magic(path) and not os.path.exists(path) else [path]
            if not matches:
                raise ValueError(f"{where}: {argument}: no file matches {path!r}")
            found += matches
    if not found:
        raise ValueError(f"{where}: {argument}: expected paths of files, received none")
    return found


def _braces(path: str) -> list[str]:
    match = re.search(r"\{(\d+)\.\.(\d+)\}", path)
    if match is None:
        return [path]
    first, last = match.groups()
    return [
        f"{path[: match.start()]}{number:0{len(first)}}{rest}"
        for number in range(int(first), int(last) + 1)
        for rest in _braces(path[match.end() :])
    ]


def warn_of_classes(names: list[str], labels: list[int], folder: Path, where: str) -> None:
    """Warns of what makes classes of folders useless: one alone, or one without images."""
    if len(names) == 1 and labels:
        warn_user(
            f"{where}: {str(folder)!r} has one class, {names[0]!r}: a classifier has nothing to tell apart"
        )
    empty = sorted(set(range(len(names))) - set(labels)) if labels else []
    if empty:
        found = ", ".join(repr(names[i]) for i in empty[:5])
        warn_user(f"{where}: {str(folder)!r}: classes without images: {found}")
