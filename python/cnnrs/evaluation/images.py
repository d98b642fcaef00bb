"""From an image, of whatever kind, to what a model takes: kept with the model, as it was in training."""

from __future__ import annotations

import io
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import number
from cnnrs.base.extras import library
from cnnrs.base.suggest import did_you_mean
from cnnrs.data.images import MAX_PIXELS
from cnnrs.evaluation.labels import names_of_classes
from cnnrs.ops.image.sizes import resized_array
from cnnrs.ops.spatial import pair

__all__ = ["ImagePreprocessing"]

_CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1}


@dataclass(frozen=True)
class ImagePreprocessing:
    """What is done to images before a model sees them, and what its outputs are called.

    A pixel x from 0 to 255 becomes `(scale x - mean) / std`. The object is kept in the model's file and read
    by `model.predict_image`; `model.set_image_preprocessing` makes it.

    Attributes:
        class_names: Names of the model's classes; None where they have none.
        image_size: (height, width) of what the model takes; None leaves images as large as they are.
        color_mode: "rgb", "rgba" or "grayscale".
        interpolation: How images are resized, as in `ops.image.resize`.
        fit: What is done where the proportions differ: "stretch"; "crop" around the middle; "pad" with zeros.
        scale: What pixels are multiplied by.
        mean: What is subtracted then: a number, or one for each channel.
        std: What it is divided by: a number, or one for each channel.
        channel_order: "rgb", or "bgr" as networks from Caffe have it. `mean` and `std` are in this order.
        data_format: "channels_last" or "channels_first".

    >>> found = ImagePreprocessing(("cat", "dog"), (2, 2), scale=1 / 255)
    >>> found(np.full((4, 4, 3), 255, np.uint8)).shape
    (1, 2, 2, 3)
    """

    class_names: tuple[str, ...] | None = None
    image_size: tuple[int, int] | None = None
    color_mode: str = "rgb"
    interpolation: str = "bilinear"
    fit: str = "stretch"
    scale: float = 1.0
    mean: float | tuple[float, ...] = 0.0
    std: float | tuple[float, ...] = 1.0
    channel_order: str = "rgb"
    data_format: str = "channels_last"

    def __post_init__(self) -> None:
        owner = "set_image_preprocessing"

        def put(name: str, value: Any) -> None:
            object.__setattr__(self, name, value)

        for name, known in (
            ("color_mode", tuple(_CHANNELS)),
            ("fit", ("stretch", "crop", "pad")),
            ("channel_order", ("rgb", "bgr")),
            ("data_format", ("channels_last", "channels_first")),
        ):
            value = getattr(self, name)
            if value not in known:
                hint = did_you_mean(str(value), known)
                raise ValueError(
                    f"{owner}: {name}: expected one of {', '.join(known)}, received {value!r}"
                    f"{hint if 'did you mean' in hint else ''}"
                )
        if self.channel_order == "bgr" and self.color_mode != "rgb":
            raise ValueError(
                f"{owner}: channel_order: 'bgr' expects color_mode 'rgb', received {self.color_mode!r}"
            )
        if self.class_names is not None:
            put("class_names", tuple(names_of_classes(self.class_names, 0, owner)))
        if self.image_size is not None:
            height, width = pair(self.image_size, f"{owner}: image_size")
            put("image_size", (int(height), int(width)))
        # A wrong word raises its error now.
        resized_array(np.zeros((2, 2, 1), np.float32), [1, 1], self.interpolation)
        put("scale", number(self.scale, owner, "scale", above=0))
        for name in ("mean", "std"):
            value = getattr(self, name)
            bound = {"above": 0} if name == "std" else {}
            if np.ndim(value) == 0:
                put(name, number(value, owner, name, **bound))
                continue
            entries = tuple(number(entry, owner, name, **bound) for entry in np.asarray(value).tolist())
            if len(entries) != _CHANNELS[self.color_mode]:
                raise ValueError(
                    f"{owner}: {name}: expected a number, or {_CHANNELS[self.color_mode]} for the channels "
                    f"of {self.color_mode!r}, received {len(entries)}"
                )
            put(name, entries)

    def get_config(self) -> dict[str, Any]:
        """The fields as JSON takes them."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ImagePreprocessing:
        """The object of such fields.

        Raises:
            ValueError: There is a field that is not known, or one of the wrong kind.
        """
        if not isinstance(config, dict):
            raise ValueError(f"image_preprocessing: expected an object, received {config!r}")
        known = {field.name for field in fields(cls)}
        unknown = [name for name in config if name not in known]
        if unknown:
            raise ValueError(f"image_preprocessing: expected {sorted(known)}, received {unknown[0]!r}")
        return cls(**config)

    def pixels(self, image: Any) -> np.ndarray:
        """An image of the model's size and channels as float32 (height, width, channels) from 0 to 255.

        Args:
            image: A path, the bytes of a file, a file open for reading bytes, an image of Pillow, or an array
                (height, width) or (height, width, channels) of pixels from 0 to 255. Files and images of
                Pillow are turned upright, and of 16 bits the upper 8 count.

        Raises:
            TypeError: It is none of these.
            ValueError: It has other channels, or cannot be read.
        """
        if isinstance(image, (bytes, bytearray, memoryview, str, os.PathLike, io.BytesIO)):
            return self._decoded(image)
        if hasattr(image, "read"):
            content = image.read()
            if not isinstance(content, bytes):
                raise TypeError("predict_image: images: expected a file open for bytes: open(path, 'rb')")
            return self._decoded(content)
        array = self._array(image)
        if self.image_size is not None and array.shape[:2] != self.image_size:
            crop, pad = self.fit == "crop", self.fit == "pad"
            array = resized_array(array, list(self.image_size), self.interpolation, crop, pad)
        return array

    def _decoded(self, image: Any) -> np.ndarray:
        """The image of a file, turned upright, decoded and resized without the GIL."""
        name = "a file"
        if isinstance(image, (str, os.PathLike)):
            name, content = repr(os.fspath(image)), Path(image).read_bytes()
        else:
            content = image.getvalue() if isinstance(image, io.BytesIO) else bytes(image)
        wanted = {
            "mode": self.color_mode,
            "upright": True,
            "size": self.image_size,
            # The padding is part of the image that is resized, as `resized_array` has it.
            "fit": "pad_first" if self.fit == "pad" else self.fit,
            "filter": self.interpolation,
            "draft": False,
            "max_pixels": MAX_PIXELS,
            "floats": True,
        }
        try:
            return _core.decode_image(content, wanted)
        except ValueError as error:
            raise ValueError(f"predict_image: {name}: {error}") from None

    def _array(self, image: Any) -> np.ndarray:
        """An image of Pillow or an array as floats with the model's channels."""
        if hasattr(image, "convert") and hasattr(image, "size"):
            image = self._of_pillow(image)
        elif not isinstance(image, np.ndarray) and not hasattr(image, "numpy"):
            raise TypeError(
                "predict_image: images: expected a path, bytes of a file, an image of Pillow or an array, "
                f"received {type(image).__name__}"
            )
        array = np.asarray(image.numpy() if hasattr(image, "numpy") else image)
        if array.dtype.kind not in "biuf":
            raise TypeError(f"predict_image: images: expected numbers, received an array of {array.dtype}")
        if array.dtype.kind in "iu" and array.size and array.max() > 255:
            raise ValueError(
                f"predict_image: images: expected pixels from 0 to 255, received {array.max()}; of 16 bits "
                "take the upper 8: array >> 8"
            )
        array = array.astype(np.float32)
        if array.ndim == 2:
            array = array[:, :, None]
        wanted = _CHANNELS[self.color_mode]
        if array.ndim == 3 and array.shape[2] == 1 and wanted == 3:
            array = np.repeat(array, 3, axis=2)
        if array.ndim != 3 or array.shape[2] != wanted or not array.size:
            raise ValueError(
                f"predict_image: images: expected (height, width, {wanted}) for color_mode "
                f"{self.color_mode!r}, received shape {array.shape}"
            )
        return array

    def _of_pillow(self, image: Any) -> np.ndarray:
        """An image of Pillow, turned upright, as an array of pixels from 0 to 255."""
        image = library("PIL.ImageOps", "image", "predict_image").exif_transpose(image)
        mode = {"rgb": "RGB", "rgba": "RGBA", "grayscale": "L"}[self.color_mode]
        if image.mode != "I" and not image.mode.startswith("I;16"):
            return np.asarray(image.convert(mode))
        # Pillow's own conversion makes 255 of whatever is more.
        values = np.asarray(image)
        is_wide = image.mode != "I" or image.format == "PNG" or values.max() > 255
        grey = values >> 8 if is_wide else values
        if grey.min() < 0 or grey.max() > 255:
            raise ValueError(
                f"predict_image: images: expected pixels of 8 or 16 bits, received {values.min()} to "
                f"{values.max()}"
            )
        one = library("PIL.Image", "image", "predict_image").fromarray(grey.astype(np.uint8))
        return np.asarray(one.convert(mode))

    def scaled(self, pixels: np.ndarray) -> np.ndarray:
        """Pixels from 0 to 255 as the model takes them, samples first."""
        if self.channel_order == "bgr":
            pixels = pixels[..., ::-1]
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values = (pixels * np.float32(self.scale) - mean) / std
        if self.data_format == "channels_first":
            values = np.moveaxis(values, -1, 1)
        return np.ascontiguousarray(values)

    def restored(self, samples: np.ndarray) -> np.ndarray:
        """The pixels, uint8, of what the model takes: the inverse of `scaled`."""
        values = np.asarray(samples, np.float32)
        if self.data_format == "channels_first":
            values = np.moveaxis(values, 1, -1)
        mean, std = np.asarray(self.mean, np.float32), np.asarray(self.std, np.float32)
        values = (values * std + mean) / np.float32(self.scale)
        if self.channel_order == "bgr":
            values = values[..., ::-1]
        return np.clip(np.rint(values), 0, 255).astype(np.uint8)

    def __call__(self, image: Any) -> np.ndarray:
        """An image as a batch of one, as the model takes it."""
        return self.scaled(self.pixels(image)[None])


def as_list(images: Any) -> tuple[list[Any], bool]:
    """Images one by one, and whether a single one was given."""
    if isinstance(images, (str, bytes, bytearray, memoryview, os.PathLike, io.BytesIO)):
        return [images], True
    if hasattr(images, "read") or hasattr(images, "convert") and hasattr(images, "size"):
        return [images], True
    shape = getattr(images, "shape", None)
    if shape is not None:
        return ([images], True) if len(shape) in (2, 3) else (list(np.asarray(images)), False)
    if isinstance(images, Path) or not hasattr(images, "__iter__"):
        return [images], True
    return list(images), False
