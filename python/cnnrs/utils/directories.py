"""Images of a directory, one folder a class, as a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs.base.arguments import integer
from cnnrs.ops.image.sizes import resized_array
from cnnrs.ops.spatial import image_data_format, pair
from cnnrs.random import draw_seed
from cnnrs.utils.data_set import Dataset, check_format
from cnnrs.utils.images import in_mode, pillow

__all__ = ["image_dataset_from_directory"]

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_WORKERS = min(4, os.cpu_count() or 1)


def image_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: Any = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Makes a data set of the images in a directory. Files are read while the data set is gone through.

    Args:
        directory: The directory, with one folder a class if labels are inferred.
        labels: "inferred" for the folders' names, a list of integers, one for each file in the order of their
            paths, or None for none.
        label_mode: "int"; "binary" for floats of two classes; "categorical" for one-hot rows; None for none.
        class_names: The folders in the order of their labels; None for the alphabet's.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: Images of a batch; None for single ones.
        image_size: The (height, width) to which images are resized.
        shuffle: Whether images come in random order, another one each time.
        seed: Of this order and of the split; None draws one.
        validation_split: The part that is kept for validation; None for none.
        subset: With `validation_split`: "training", "validation", or "both" for a list of two.
        interpolation: As for `ops.image.resize`.
        follow_links: Whether links to folders are followed.
        crop_to_aspect_ratio: Whether images are cropped, so that they stay undistorted.
        pad_to_aspect_ratio: Whether they are padded instead.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        format: "tf" or "grain"; with "grain" the random order is the same each time.
        verbose: Whether the number of files is printed.

    Returns:
        A `Dataset` of float32 images in 0..255, or of pairs of images and labels, with the attributes
        `class_names` and `file_paths`.

    Raises:
        ImportError: Pillow is not there.
        ValueError: There are no images, or an argument is none of the values above.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> import numpy as np
        >>> from cnnrs import utils
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("cats", "dogs"):
        ...         (Path(folder) / name).mkdir()
        ...         utils.save_img(Path(folder) / name / "1.png", np.ones((9, 9, 3)))
        ...     data = utils.image_dataset_from_directory(folder, image_size=(4, 4), verbose=False)
        ...     data.class_names, [(x.shape, y.shape) for x, y in data]
        (['cats', 'dogs'], [((2, 4, 4, 3), (2,))])
    """
    name = "image_dataset_from_directory"
    pillow(name)
    labels = labels.tolist() if isinstance(labels, np.ndarray) else labels
    if not isinstance(labels, (list, tuple)) and labels not in ("inferred", None):
        raise ValueError(
            f"{name}: labels: expected 'inferred', a list of integers or None, received {labels!r}"
        )
    if class_names and labels != "inferred":
        raise ValueError(f"{name}: class_names: expected None unless labels are 'inferred'")
    if label_mode not in ("int", "binary", "categorical", None):
        raise ValueError(
            f"{name}: label_mode: expected 'int', 'binary', 'categorical' or None, received {label_mode!r}"
        )
    if color_mode not in ("rgb", "rgba", "grayscale"):
        raise ValueError(
            f"{name}: color_mode: expected 'rgb', 'rgba' or 'grayscale', received {color_mode!r}"
        )
    if crop_to_aspect_ratio and pad_to_aspect_ratio:
        raise ValueError(
            f"{name}: crop_to_aspect_ratio, pad_to_aspect_ratio: expected at most one to be True"
        )
    check_format(name, format)
    _check_split(name, validation_split, subset, shuffle, seed)
    size = pair(image_size, f"{name}: image_size")
    interpolation = interpolation.lower()
    # A wrong word raises its error now.
    resized_array(np.zeros((2, 2, 1), np.float32), [1, 1], interpolation)
    labels = None if label_mode is None else labels
    seed = draw_seed() if seed is None else seed
    paths, numbers, names = _index(name, Path(directory), labels, class_names, follow_links)
    if not paths:
        raise ValueError(
            f"{name}: directory: expected images ({', '.join(_SUFFIXES)}) in {directory}, found none"
        )
    if label_mode == "binary" and numbers is not None and len(names or ()) != 2:
        raise ValueError(f"{name}: label_mode: expected 2 classes for 'binary', found {names}")
    count = len(names or ())
    if (
        label_mode in ("binary", "categorical")
        and numbers is not None
        and not set(numbers) <= set(range(count))
    ):
        raise ValueError(
            f"{name}: labels: expected 0 to {count - 1} with {count} different ones and label_mode "
            f"{label_mode!r}, found {names}"
        )
    if verbose:
        print(f"Found {len(paths)} files" + (f" belonging to {len(names)} classes." if names else "."))
    order = np.random.default_rng(seed).permutation(len(paths)) if shuffle else np.arange(len(paths))
    cut = len(paths) - int((validation_split or 0) * len(paths))
    first = image_data_format(data_format) == "channels_first"

    def make(kind: str, places: np.ndarray) -> Dataset:
        if not len(places):
            raise ValueError(f"{name}: validation_split: {validation_split} leaves no images for {kind}")
        files = [paths[i] for i in places]
        targets = None if numbers is None else _encoded(numbers[places], str(label_mode), len(names or ()))

        def at(index: int) -> Any:
            img = _read(files[index], color_mode)
            img = resized_array(img, size, interpolation, crop_to_aspect_ratio, pad_to_aspect_ratio)
            img = np.ascontiguousarray(img.transpose(2, 0, 1)) if first else img
            return img if targets is None else (img, targets[index])

        data = Dataset.of_function(at, len(files), _WORKERS)
        if shuffle and kind != "validation":
            data = data.shuffle(len(files), seed, reshuffle_each_iteration=format == "tf")
        data = data if batch_size is None else data.batch(batch_size)
        data.class_names, data.file_paths = names, [str(file) for file in files]
        return data

    if subset == "both":
        return [make("training", order[:cut]), make("validation", order[cut:])]
    if subset is None:
        return make("training", order)
    return make(subset, order[:cut] if subset == "training" else order[cut:])


def _check_split(name: str, validation_split: Any, subset: Any, shuffle: bool, seed: Any) -> None:
    if validation_split and not 0 < validation_split < 1:
        raise ValueError(
            f"{name}: validation_split: expected a number between 0 and 1, received {validation_split!r}"
        )
    if subset not in ("training", "validation", "both", None):
        raise ValueError(
            f"{name}: subset: expected 'training', 'validation', 'both' or None, received {subset!r}"
        )
    if bool(validation_split) != bool(subset):
        raise ValueError(
            f"{name}: validation_split, subset: expected both or none, "
            f"received {validation_split!r} and {subset!r}"
        )
    if validation_split and shuffle and seed is None:
        raise ValueError(
            f"{name}: seed: expected an integer, so that the subsets of two calls do not overlap, "
            "received None"
        )


def _files(folder: Path, follow_links: bool) -> list[Path]:
    """The image files below a folder, in order of their paths."""
    walk = sorted(os.walk(folder, followlinks=follow_links), key=lambda entry: entry[0])
    return [
        Path(root) / file
        for root, _, files in walk
        for file in sorted(files)
        if file.lower().endswith(_SUFFIXES)
    ]


def _index(
    name: str, directory: Path, labels: Any, class_names: Any, follow_links: bool
) -> tuple[list[Path], np.ndarray | None, list[str] | None]:
    """The files, their labels as integers, and the names of the classes."""
    if not directory.is_dir():
        raise ValueError(f"{name}: directory: expected a directory, received {str(directory)!r}")
    if not isinstance(labels, str):
        paths = _files(directory, follow_links)
        if labels is None:
            return paths, None, None
        if len(labels) != len(paths):
            raise ValueError(
                f"{name}: labels: expected one for each of {len(paths)} files, received {len(labels)}"
            )
        numbers = [integer(label, name, "labels") for label in labels]
        return paths, np.array(numbers, np.int32), [str(label) for label in sorted(set(numbers))]
    folders = sorted(
        entry.name for entry in directory.iterdir() if entry.is_dir() and not entry.name.startswith(".")
    )
    if class_names is not None:
        if not set(class_names) <= set(folders):
            raise ValueError(
                f"{name}: class_names: expected names of the folders {folders}, received {class_names}"
            )
        folders = list(class_names)
    found = [
        (path, label)
        for label, folder in enumerate(folders)
        for path in _files(directory / folder, follow_links)
    ]
    return [path for path, _ in found], np.array([label for _, label in found], np.int32), folders


def _encoded(labels: np.ndarray, mode: str, count: int) -> np.ndarray:
    if mode == "binary":
        return labels.astype(np.float32)[:, None]
    if mode == "categorical":
        return np.eye(count, dtype=np.float32)[labels]
    return labels.astype(np.int32)


def _read(path: Path, color_mode: str) -> np.ndarray:
    with pillow("image_dataset_from_directory").open(path) as file:
        array = np.asarray(in_mode(file, color_mode, "image_dataset_from_directory"), np.float32)
    return array if array.ndim == 3 else array[:, :, None]
