"""Images of a directory as a data set."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import flag, integer, named
from cnnrs.data.images import MAX_PIXELS
from cnnrs.ops.image.sizes import resized_array
from cnnrs.ops.spatial import image_data_format, pair
from cnnrs.utils.data_set import Dataset
from cnnrs.utils.directories import data_set_of_files

__all__ = ["image_dataset_from_directory"]

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")
_FUNCTION = "image_dataset_from_directory"


@named
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
    *,
    on_error: str = "raise",
    exif_orientation: bool = False,
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Makes a data set of the images in a directory. Files are read while the data set is gone through.

    They are decoded and resized without the GIL, in threads. An orientation that a camera noted is left
    alone, as in Keras, unless `exif_orientation` says otherwise.

    Args:
        directory: The directory, with one folder a class if labels are inferred.
        labels: "inferred" for the folders' names, a list of integers, one for each file in the order of their
            paths, or None for none.
        label_mode: "int"; "binary" for floats of two classes; "categorical" for one-hot rows; None for none.
        class_names: The folders in the order of their labels; None for the alphabet's.
        color_mode: "rgb", "rgba" or "grayscale".
        batch_size: Images of a batch; None for single ones.
        image_size: The (height, width) to which images are resized, or one number for both.
        shuffle: Whether images come in random order, another one each time.
        seed: Of this order and of the split; None draws one.
        validation_split: The part that is kept for validation, whose images keep their order; None for none.
        subset: With `validation_split`: "training", "validation", or "both" for a list of two.
        interpolation: As for `ops.image.resize`, or "gaussian" or "mitchellcubic".
        follow_links: Whether links to folders are followed.
        crop_to_aspect_ratio: Whether images are cropped, so that they stay undistorted.
        pad_to_aspect_ratio: Whether they are padded with zeros instead: after resizing, and with the format
            "grain" before it.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        format: "tf" or "grain", whose random order is the same each time.
        verbose: Whether the number of files is printed.
        on_error: "raise" an error at a file that is no image, or "skip" it with a warning. Then the number of
            elements is unknown.
        exif_orientation: Whether images are turned as the camera noted.
        max_pixels: Images of more pixels are refused before there is memory for them.

    Returns:
        A `Dataset` of float32 images in 0..255, or of pairs of images and labels, with the attributes
        `class_names` and `file_paths`.

    Raises:
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
    if color_mode not in ("rgb", "rgba", "grayscale"):
        raise ValueError(
            f"{_FUNCTION}: color_mode: expected 'rgb', 'rgba' or 'grayscale', received {color_mode!r}"
        )
    crop = flag(crop_to_aspect_ratio, _FUNCTION, "crop_to_aspect_ratio")
    pad = flag(pad_to_aspect_ratio, _FUNCTION, "pad_to_aspect_ratio")
    if crop and pad:
        raise ValueError(
            f"{_FUNCTION}: crop_to_aspect_ratio, pad_to_aspect_ratio: expected at most one to be True"
        )
    size = pair(image_size, f"{_FUNCTION}: image_size")
    method = interpolation.lower()
    # A wrong word raises its error now.
    resized_array(np.zeros((2, 2, 1), np.float32), [1, 1], method)
    first = image_data_format(data_format) == "channels_first"

    channels = {"rgb": 3, "rgba": 4, "grayscale": 1}[color_mode]
    fit = "crop" if crop else "stretch"
    if pad:
        fit = "pad" if format == "tf" else "pad_first"
    upright = flag(exif_orientation, _FUNCTION, "exif_orientation")
    most = integer(max_pixels, _FUNCTION, "max_pixels", least=1, most=2**63 - 1)
    wanted = {
        "mode": color_mode, "upright": upright, "size": tuple(size), "fit": fit, "filter": method,
        "draft": False, "max_pixels": most, "floats": True,
    }  # fmt: skip

    def read_many(paths: list[Path]) -> np.ndarray:
        images = np.empty((len(paths), *size, channels), np.float32)
        failures = _core.read_images(paths, images, wanted, None)
        for index, error in failures:
            if isinstance(error, ValueError):
                raise ValueError(f"{_FUNCTION}: {paths[index]}: {error}") from None
            raise error
        return np.ascontiguousarray(images.transpose(0, 3, 1, 2)) if first else images

    def read(path: Path) -> np.ndarray:
        image: np.ndarray = read_many([path])[0]
        return image

    return data_set_of_files(
        _FUNCTION, "images", _SUFFIXES, read, Dataset.batch, read_many,
        directory=directory, labels=labels, label_mode=label_mode, class_names=class_names,
        batch_size=batch_size, shuffle=shuffle, seed=seed, validation_split=validation_split, subset=subset,
        follow_links=follow_links, format=format, verbose=verbose, on_error=on_error,
    )  # fmt: skip
