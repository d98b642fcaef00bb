"""Batches of the image files that a table of pandas names."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from cnnrs.base.user_warnings import warn_user
from cnnrs.preprocessing.iterators import FileIterator, subset_of

__all__ = ["DataFrameIterator"]

_WITHOUT_CLASSES = ("input", "multi_output", "raw", None)
_NAME = "ImageDataGenerator.flow_from_dataframe"


class DataFrameIterator(FileIterator):
    """Batches of the image files of a table; what `ImageDataGenerator.flow_from_dataframe` gives.

    Attributes:
        class_indices: The labels by the names of the classes.
        classes: The label of each file, or the list of its labels.
        filenames: The files.
        samples: How many there are.

    Args:
        dataframe: A `pandas.DataFrame`, which stays as it is.
        directory: The folder of the files; None if the table has whole paths.
        image_data_generator: What transforms images; None for nothing.
        x_col: The column of the files.
        y_col: The column of the classes; a list of columns with the class mode "multi_output".
        weight_col: The column of the weights; None for none.
        target_size: The (height, width) of images.
        color_mode: "rgb", "rgba" or "grayscale".
        classes: The classes in the order of their labels, others are left out; None for the alphabet's.
        class_mode: "categorical" for one-hot rows, also of several classes, "binary" or "sparse" for numbers,
            "raw" and "multi_output" for the columns as they are, "input" for the images themselves, None for
            none.
        batch_size: Images of a batch.
        shuffle: Whether they come in random order.
        seed: See `Iterator`.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        save_to_dir: Folder to which transformed images are written; None for none.
        save_prefix: What their names begin with.
        save_format: Their format.
        subset: "training" or "validation", by the generator's `validation_split`, the first for validation.
        interpolation: As for `utils.load_img`.
        keep_aspect_ratio: Whether images are cropped rather than distorted.
        dtype: Element type; None takes `config.floatx()`.
        validate_filenames: Whether files that are not there are left out, with a warning.
    """

    allowed_class_modes = {"binary", "categorical", "sparse", *_WITHOUT_CLASSES}

    def __init__(
        self,
        dataframe: Any,
        directory: Any = None,
        image_data_generator: Any = None,
        x_col: str = "filename",
        y_col: Any = "class",
        weight_col: str | None = None,
        target_size: Any = (256, 256),
        color_mode: str = "rgb",
        classes: Any = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        data_format: str | None = "channels_last",
        save_to_dir: Any = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
        dtype: Any = "float32",
        validate_filenames: bool = True,
    ):
        save = (save_to_dir, save_prefix, save_format)
        self._reading(
            _NAME, image_data_generator, target_size, color_mode, data_format, dtype, save, interpolation,
            keep_aspect_ratio,
        )  # fmt: skip
        if class_mode not in self.allowed_class_modes:
            raise ValueError(
                f"{_NAME}: class_mode: expected one of "
                f"{', '.join(map(str, sorted(self.allowed_class_modes, key=str)))}, received {class_mode!r}"
            )
        self.directory, self.class_mode, self.subset = directory or "", class_mode, subset
        columns = y_col if class_mode == "multi_output" else [y_col]
        if not isinstance(columns, (list, tuple)):
            raise TypeError(f"{_NAME}: y_col: expected a list of columns, received {y_col!r}")
        wanted = [x_col, *([] if class_mode in (None, "input") else columns), *filter(None, [weight_col])]
        for column in wanted:
            if column not in dataframe.columns:
                raise ValueError(f"{_NAME}: expected a column {column!r}, found {list(dataframe.columns)}")
        if classes and class_mode in _WITHOUT_CLASSES:
            raise ValueError(f"{_NAME}: classes: expected None with class_mode {class_mode!r}")
        files = dataframe[x_col].tolist()
        if not all(isinstance(file, str) for file in files):
            raise TypeError(f"{_NAME}: x_col: expected texts in column {x_col!r}")
        rows = self._readable(files, x_col) if validate_filenames else list(range(len(files)))
        targets: Any = None
        if class_mode not in _WITHOUT_CLASSES:
            rows, targets = self._classes(rows, dataframe[y_col].tolist(), classes)
        if subset is not None:
            part = subset_of(_NAME, subset, image_data_generator)
            cut = int(image_data_generator._validation_split * len(rows))
            rows = rows[:cut] if part == "validation" else rows[cut:]
        if class_mode == "raw":
            self.labels = np.asarray(dataframe[y_col].to_numpy()[rows])
        elif class_mode == "multi_output":
            self.labels = [np.array(dataframe[column].tolist())[rows] for column in columns]
        else:
            self.classes = self.labels = None if targets is None else [targets[row] for row in rows]
        self.filenames = [files[row] for row in rows]
        self.filepaths = [os.path.join(self.directory, file) for file in self.filenames]
        self.sample_weight = self._weights(dataframe, weight_col, rows)
        self.samples = len(rows)
        kind = "validated" if validate_filenames else "non-validated"
        of = f" belonging to {len(self.class_indices)} classes" if targets is not None else ""
        print(f"Found {self.samples} {kind} image filenames{of}.")
        super().__init__(self.samples, batch_size, shuffle, seed)

    def _readable(self, files: list[str], x_col: str) -> list[int]:
        """The rows whose files are there and are images by their names."""
        rows = [
            row
            for row, file in enumerate(files)
            if file.lower().endswith(self.white_list_formats)
            and os.path.isfile(os.path.join(self.directory, file))
        ]
        if len(rows) < len(files):
            warn_user(
                f"{_NAME}: {len(files) - len(rows)} files of column {x_col!r} are not there, or no images; "
                "they are left out"
            )
        return rows

    def _classes(self, rows: list[int], labels: list[Any], classes: Any) -> tuple[list[int], dict[int, Any]]:
        """The rows that have a class, and the label or labels of each."""
        several = self.class_mode == "categorical"
        for row in rows:
            if not isinstance(labels[row], (str, list, tuple) if several else str):
                raise TypeError(
                    f"{_NAME}: y_col: expected texts with class_mode {self.class_mode!r}, "
                    f"received {labels[row]!r}"
                )
        given = {row: [labels[row]] if isinstance(labels[row], str) else list(labels[row]) for row in rows}
        names = list(dict.fromkeys(classes)) if classes else sorted({n for of in given.values() for n in of})
        if self.class_mode == "binary" and len(names) != 2:
            raise ValueError(f"{_NAME}: class_mode: expected 2 classes for 'binary', found {len(names)}")
        self.class_indices = {name: label for label, name in enumerate(names)}
        found = {
            row: [self.class_indices[n] for n in of if n in self.class_indices] for row, of in given.items()
        }
        kept = [row for row in rows if found[row]]
        return kept, {row: found[row][0] if isinstance(labels[row], str) else found[row] for row in kept}

    @staticmethod
    def _weights(dataframe: Any, weight_col: str | None, rows: list[int]) -> np.ndarray | None:
        if not weight_col:
            return None
        weights = np.asarray(dataframe[weight_col].to_numpy())
        if weights.dtype.kind not in "iuf":
            raise TypeError(f"{_NAME}: weight_col: expected numbers in column {weight_col!r}")
        return weights[rows]
