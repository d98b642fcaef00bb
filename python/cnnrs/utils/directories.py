"""Files of a directory, one folder a class, as a data set: what images, texts and sounds have in common."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs.base.arguments import choice, file_path, flag, integer, number
from cnnrs.data.folders import files_below, files_of_classes, warn_of_classes
from cnnrs.data.image_files import leaving_out
from cnnrs.random import draw_seed
from cnnrs.utils.data_set import Dataset, check_format

__all__ = ["data_set_of_files"]

_WORKERS = min(4, os.cpu_count() or 1)


def data_set_of_files(
    function: str,
    kind: str,
    suffixes: tuple[str, ...],
    read: Callable[[Path], Any],
    batch: Callable[[Dataset, int], Dataset],
    read_many: Callable[[list[Path]], Any] | None = None,
    *,
    directory: Any,
    labels: Any,
    label_mode: str | None,
    class_names: Any,
    batch_size: int | None,
    shuffle: bool,
    seed: int | None,
    validation_split: float | None,
    subset: str | None,
    follow_links: bool,
    format: str,
    verbose: bool,
    on_error: str = "raise",
) -> Any:
    """Makes a data set of files, or two of them. Files are read while the data set is gone through.

    The files are brought to Keras's order for a seed, so that its splits have the same files.

    Args:
        function: What the user called, for errors.
        kind: What the files are, as "images".
        suffixes: What their names end in.
        read: Makes a sample of a file.
        batch: Puts samples together.
        read_many: Makes a batch of samples of files, at less cost than one by one.
        on_error: "raise" an error at a file that cannot be read, or "skip" it with a warning.

    Returns:
        A `Dataset` of samples, or of pairs of samples and labels; with the subset "both" a list of two.

    Raises:
        ValueError: There are no such files, or an argument is wrong.
    """
    labels = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if not isinstance(labels, (list, tuple)) and labels not in ("inferred", None):
        raise ValueError(
            f"{function}: labels: expected 'inferred', a list of integers or None, received {labels!r}"
        )
    if class_names and labels != "inferred":
        raise ValueError(f"{function}: class_names: expected None unless labels are 'inferred'")
    if label_mode not in ("int", "binary", "categorical", None):
        raise ValueError(
            f"{function}: label_mode: expected 'int', 'binary', 'categorical' or None, "
            f"received {label_mode!r}"
        )
    check_format(function, format)
    choice(on_error, function, "on_error", ("raise", "skip"))
    shuffle, follow_links = flag(shuffle, function, "shuffle"), flag(follow_links, function, "follow_links")
    if batch_size is not None:
        batch_size = integer(batch_size, function, "batch_size", least=1)
    part = _check_split(function, validation_split, subset, shuffle, seed)
    folder = Path(file_path(directory, function))
    labels = None if label_mode is None else labels
    seed = draw_seed() if seed is None else integer(seed, function, "seed", least=0, most=2**32 - 1)
    paths, numbers, names = _index(function, folder, labels, class_names, follow_links, suffixes)
    if labels == "inferred" and not names:
        raise ValueError(
            f"{function}: directory: expected one folder a class in {folder}, found none; for {kind} without "
            "labels pass labels=None"
        )
    if not paths:
        raise ValueError(
            f"{function}: directory: expected {kind} ({', '.join(suffixes)}) in {folder}, found none"
        )
    _check_labels(function, label_mode, numbers, names)
    if labels == "inferred" and numbers is not None:
        warn_of_classes(names or [], numbers.tolist(), folder, function)
    if verbose:
        print(f"Found {len(paths)} files" + (f" belonging to {len(names)} classes." if names else "."))
    order = np.arange(len(paths))
    if shuffle:
        np.random.RandomState(seed).shuffle(order)
    cut = len(paths) - int(part * len(paths))

    def make(use: str, places: np.ndarray) -> Dataset:
        if not len(places):
            raise ValueError(f"{function}: validation_split: {validation_split} leaves no {kind} for {use}")
        if verbose and subset is not None:
            print(f"Using {len(places)} files for {use}.")
        files = [paths[i] for i in places]
        targets = None if numbers is None else _encoded(numbers[places], str(label_mode), len(names or ()))

        def at(index: int) -> Any:
            sample = read(files[index])
            return sample if targets is None else (sample, targets[index])

        def many(indices: np.ndarray) -> Any:
            assert read_many is not None
            samples = read_many([files[index] for index in indices])
            return samples if targets is None else (samples, targets[indices])

        skips = on_error == "skip"
        data = Dataset._of_function(
            leaving_out(at, function) if skips else at,
            len(files), _WORKERS, None if read_many is None else many, function, skips,
        )  # fmt: skip
        if shuffle and use != "validation":
            data = data.shuffle(len(files), seed, reshuffle_each_iteration=format == "tf")
        data = data if batch_size is None else batch(data, batch_size)
        data.class_names, data.file_paths = names, [str(file) for file in files]
        data._file_labels = None if numbers is None else numbers[places]
        data.files_in_order = not skips and (not shuffle or use == "validation")
        return data

    if subset == "both":
        return [make("training", order[:cut]), make("validation", order[cut:])]
    if subset is None:
        return make("training", order)
    return make(subset, order[:cut] if subset == "training" else order[cut:])


def _check_split(function: str, validation_split: Any, subset: Any, shuffle: bool, seed: Any) -> float:
    """The part that is kept for validation."""
    part = 0.0
    if validation_split:
        part = number(validation_split, function, "validation_split", above=0, below=1)
    if subset not in ("training", "validation", "both", None):
        raise ValueError(
            f"{function}: subset: expected 'training', 'validation', 'both' or None, received {subset!r}"
        )
    if bool(part) != bool(subset):
        raise ValueError(
            f"{function}: validation_split, subset: expected both or none, "
            f"received {validation_split!r} and {subset!r}"
        )
    if part and shuffle and seed is None:
        raise ValueError(
            f"{function}: seed: expected an integer, so that the subsets of two calls do not overlap, "
            "received None"
        )
    return part


def _check_labels(
    function: str, label_mode: str | None, numbers: np.ndarray | None, names: list[str] | None
) -> None:
    if numbers is None:
        return
    count = len(names or ())
    if label_mode == "binary" and count != 2:
        raise ValueError(f"{function}: label_mode: expected 2 classes for 'binary', found {names}")
    if label_mode in ("binary", "categorical") and not set(numbers) <= set(range(count)):
        raise ValueError(
            f"{function}: labels: expected 0 to {count - 1} with {count} different ones and label_mode "
            f"{label_mode!r}, found {names}"
        )


def _index(
    function: str,
    directory: Path,
    labels: Any,
    class_names: Any,
    follow_links: bool,
    suffixes: tuple[str, ...],
) -> tuple[list[Path], np.ndarray | None, list[str] | None]:
    """The files, their labels as integers, and the names of the classes."""
    if not directory.is_dir():
        raise ValueError(f"{function}: directory: expected a directory, received {str(directory)!r}")
    if not isinstance(labels, str):
        paths = files_below(directory, follow_links, suffixes)
        if labels is None:
            return paths, None, None
        if len(labels) != len(paths):
            raise ValueError(
                f"{function}: labels: expected one for each of {len(paths)} files, received {len(labels)}"
            )
        numbers = [integer(label, function, "labels") for label in labels]
        return paths, np.array(numbers, np.int32), [str(label) for label in sorted(set(numbers))]
    paths, found, names = files_of_classes(directory, class_names, follow_links, suffixes, function)
    return paths, np.array(found, np.int32), names


def _encoded(labels: np.ndarray, mode: str, count: int) -> np.ndarray:
    if mode == "binary":
        return labels.astype(np.float32)[:, None]
    if mode == "categorical":
        return np.eye(count, dtype=np.float32)[labels]
    return labels.astype(np.int32)
