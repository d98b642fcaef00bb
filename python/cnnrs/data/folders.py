"""Files below a folder, one folder a class: what data sets of images, texts and sounds have in common."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

__all__ = ["files_below", "files_of_classes"]


def files_below(folder: Path, follow_links: bool, suffixes: tuple[str, ...]) -> list[Path]:
    """The files below a folder whose names end so, in the order of their paths.

    Links to folders are followed on request; a folder that lies in its own path, by a link, is left out.
    """
    walk = sorted(_walk(str(folder), follow_links, ()), key=lambda entry: entry[0])
    return [
        Path(root, file) for root, files in walk for file in sorted(files) if file.lower().endswith(suffixes)
    ]


def _walk(folder: str, follow_links: bool, above: tuple[str, ...]) -> Iterator[tuple[str, list[str]]]:
    real = os.path.realpath(folder) if follow_links else folder
    if real in above:
        return
    files: list[str] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=follow_links):
                yield from _walk(entry.path, follow_links, (*above, real))
            else:
                files.append(entry.name)
    yield folder, files


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
