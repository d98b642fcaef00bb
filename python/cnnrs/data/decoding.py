"""`Decoding`: how images of files become arrays, and the arguments of it that all sources of images have."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any, TypedDict, TypeVar

import numpy as np

from cnnrs.base.arguments import flag, integer
from cnnrs.base.suggest import did_you_mean
from cnnrs.data.encoded import EncodedImage
from cnnrs.data.images import (
    CHANNELS,
    FILTERS,
    MAX_PIXELS,
    check_filter_of_indices,
    decode_image,
    read_images,
)
from cnnrs.data.spec import TensorSpec

__all__ = ["Decoding", "DecodingArguments", "takes_decoding"]

_F = TypeVar("_F", bound=Callable[..., Any])

# What `takes_decoding` says of the arguments in the place of `**decoding`.
_LINES = """\
            color_mode: "rgb", "rgba", "grayscale", or "indices" for masks of segmentation: the indices of a
                palette, or grey of up to 8 bits as it is.
            interpolation: "bilinear", "nearest", "box", "hamming", "bicubic" or "lanczos".
            fit: "stretch" to the size, "crop" the middle of its shape, or "pad" with zeros.
            exif_orientation: Whether images are turned as the camera noted.
            max_pixels: Images of more pixels are refused before there is memory for them.
"""
# Arguments of `utils.image_dataset_from_directory`, with what does so here.
_KERAS = {
    "batch_size": "data.batch(32) makes batches",
    "crop_to_aspect_ratio": 'fit="crop" does so',
    "data_format": "data.map(lambda x, y: (ops.transpose(x, (2, 0, 1)), y)) puts channels first",
    "label_mode": "labels are integers; data.map(lambda x, y: (x, ops.one_hot(y, n))) makes rows of them",
    "pad_to_aspect_ratio": 'fit="pad" does so',
    "seed": "data.shuffle(len(data), seed=...) and data.split(0.8, seed=...) take it",
    "shuffle": "data.shuffle(len(data)) does so",
    "subset": "data.split(0.8) gives both parts",
    "target_size": "it is called image_size here",
    "size": "it is called image_size here",
    "validation_split": "train, validation = data.split(0.8) does so",
    "verbose": "nothing is printed",
}


class DecodingArguments(TypedDict, total=False):
    """The arguments that `takes_decoding` adds."""

    color_mode: str
    interpolation: str
    fit: str
    exif_orientation: bool
    max_pixels: int


class Decoding:
    """How images are decoded: the arguments that all sources of images have.

    Args:
        image_size: (height, width) or one number for both; None leaves each image its size.
        where: What errors call the function.
        color_mode: "rgb", "rgba", "grayscale" or "indices".
        interpolation: "bilinear", "nearest", "box", "hamming", "bicubic" or "lanczos".
        fit: "stretch", "crop" or "pad".
        exif_orientation: Whether images are turned as the camera noted.
        max_pixels: Images of more pixels are refused.

    Raises:
        ValueError: An argument is none of these.
    """

    def __init__(
        self,
        image_size: Any,
        where: str,
        *,
        color_mode: str = "rgb",
        interpolation: str = "bilinear",
        fit: str = "stretch",
        exif_orientation: bool = True,
        max_pixels: int = MAX_PIXELS,
    ):
        for name, value, known in (
            ("color_mode", color_mode, tuple(CHANNELS)),
            ("fit", fit, ("stretch", "crop", "pad")),
            ("interpolation", interpolation, FILTERS),
        ):
            if value not in known:
                expected = ", ".join(map(repr, known))
                raise ValueError(f"{where}: {name}: expected one of {expected}, received {value!r}")
        self.size: tuple[int, int] | None = None
        if image_size is not None:
            pair = image_size if isinstance(image_size, (tuple, list)) else (image_size, image_size)
            if len(pair) != 2:
                raise ValueError(f"{where}: image_size: expected one number or two, received {image_size!r}")
            height, width = (integer(n, where, "image_size", least=1) for n in pair)
            self.size = height, width
            check_filter_of_indices(color_mode, interpolation, where)
        self.color_mode = color_mode
        self.arguments: dict[str, Any] = {
            "color_mode": color_mode,
            "interpolation": interpolation,
            "fit": fit,
            "exif_orientation": flag(exif_orientation, where, "exif_orientation"),
            "max_pixels": integer(max_pixels, where, "max_pixels", least=1, most=2**63 - 1),
        }

    def one(self, source: Any, name: str) -> np.ndarray:
        """The image of a file or of bytes, (height, width, channels) of uint8."""
        try:
            return decode_image(source, size=self.size, **self.arguments)
        except ValueError as error:
            raise ValueError(f"{name}: {str(error).removeprefix('decode_image: ')}") from None

    def many(self, paths: list[str], threads: int, name: str) -> np.ndarray:
        """The images of files as a batch; `image_size` is given."""
        try:
            return np.asarray(read_images(paths, self.size, threads=threads, **self.arguments))
        except ValueError as error:
            raise ValueError(f"{name}: {str(error).removeprefix('read_images: ')}") from None

    def encoded(self, path: str, name: str) -> EncodedImage:
        """The image of a file, not decoded yet; without an `image_size`."""

        def decode(content: bytes) -> np.ndarray:
            try:
                return decode_image(content, **self.arguments)
            except ValueError as error:
                reason = str(error).removeprefix(f"decode_image: {len(content)} bytes: ")
                raise ValueError(f"{name}: {path!r}: {reason}") from None

        turned = self.arguments["exif_orientation"]
        return EncodedImage(path, CHANNELS[self.color_mode], decode, turned)

    @property
    def spec(self) -> TensorSpec:
        return TensorSpec((*(self.size or (None, None)), CHANNELS[self.color_mode]), "uint8")


def takes_decoding(function: _F) -> _F:
    """Gives a class method the arguments of `Decoding` in the place of `**decoding`, in signature and docs.

    Errors about other arguments name the method, and what does the work of Keras's arguments.
    """
    own = inspect.signature(function)
    shared = [p for p in inspect.signature(Decoding).parameters.values() if p.kind is p.KEYWORD_ONLY]
    parameters = [p for p in own.parameters.values() if p.kind is not p.VAR_KEYWORD]
    where = f"Dataset.{function.__name__}"
    known = {p.name for p in (*parameters, *shared)}

    @functools.wraps(function)
    def checked(*args: Any, **kwargs: Any) -> Any:
        for name in kwargs:
            if name not in known:
                hint = f": {_KERAS[name]}" if name in _KERAS else did_you_mean(name, known)
                keras = "; utils.image_dataset_from_directory has Keras's arguments" if name in _KERAS else ""
                raise TypeError(f"{where}: unexpected argument {name!r}{hint}{keras}")
        return function(*args, **kwargs)

    # mypy knows no undeclared attribute of functions, nor that `checked` takes what `function` took.
    checked.__signature__ = own.replace(parameters=[*parameters, *shared])  # type: ignore[attr-defined]
    begin, line, end = (function.__doc__ or "").partition("            **decoding\n")
    checked.__doc__ = f"{begin}{_LINES if line else ''}{end}"
    return checked  # type: ignore[return-value]
