"""Text files of a directory as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cnnrs.base.arguments import integer, named
from cnnrs.utils.data_set import Dataset
from cnnrs.utils.directories import data_set_of_files

__all__ = ["text_dataset_from_directory"]

_FUNCTION = "text_dataset_from_directory"


@named
def text_dataset_from_directory(
    directory: Any,
    labels: Any = "inferred",
    label_mode: str | None = "int",
    class_names: Any = None,
    batch_size: int | None = 32,
    max_length: int | None = None,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    format: str = "tf",
    verbose: bool = True,
) -> Any:
    """Makes a data set of the text files (`.txt`, UTF-8) in a directory.

    Files are read while the data set is gone through.

    Args:
        directory: The directory, with one folder a class if labels are inferred.
        labels: "inferred" for the folders' names, a list of integers, one for each file in the order of their
            paths, or None for none.
        label_mode: "int"; "binary" for floats of two classes; "categorical" for one-hot rows; None for none.
        class_names: The folders in the order of their labels; None for the alphabet's.
        batch_size: Texts of a batch; None for single ones.
        max_length: Bytes of a text that are kept; None keeps all.
        shuffle: Whether texts come in random order, another one each time.
        seed: Of this order and of the split; None draws one.
        validation_split: The part that is kept for validation, whose texts keep their order; None for none.
        subset: With `validation_split`: "training", "validation", or "both" for a list of two.
        follow_links: Whether links to folders are followed.
        format: "tf" or "grain"; with "grain" the random order is the same each time.
        verbose: Whether the number of files is printed.

    Returns:
        A `Dataset` of texts as `data.StringTensor`, whose `numpy()` gives bytes, or of pairs of them and
        labels, with the attributes `class_names` and `file_paths`. `layers.StringLookup` takes texts.

    Raises:
        ValueError: There are no texts, or an argument is none of the values above.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from cnnrs import utils
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     for name in ("bad", "good"):
        ...         (Path(folder) / name).mkdir()
        ...         _ = (Path(folder) / name / "1.txt").write_text(f"a {name} film")
        ...     data = utils.text_dataset_from_directory(folder, shuffle=False, verbose=False)
        ...     [(texts.numpy().tolist(), labels.tolist()) for texts, labels in data]
        [([b'a bad film', b'a good film'], [0, 1])]
    """
    most = None if max_length is None else integer(max_length, _FUNCTION, "max_length", least=1)

    def read(path: Path) -> bytes:
        return path.read_bytes()[:most]

    return data_set_of_files(
        _FUNCTION, "texts", (".txt",), read, Dataset.batch,
        directory=directory, labels=labels, label_mode=label_mode, class_names=class_names,
        batch_size=batch_size, shuffle=shuffle, seed=seed, validation_split=validation_split, subset=subset,
        follow_links=follow_links, format=format, verbose=verbose,
    )  # fmt: skip
