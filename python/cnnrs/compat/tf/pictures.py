"""Images as bytes of files and as tensors: `tf.io.decode_jpeg` and its kin. Pillow writes them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np

from cnnrs import _core, ops
from cnnrs.compat.tf.arguments import boolean, integer, tensor
from cnnrs.compat.tf.dtypes import as_dtype, uint8
from cnnrs.compat.tf.namespaces import operation
from cnnrs.data.strings import StringTensor, as_bytes
from cnnrs.utils.images import pillow

__all__ = [
    "decode_and_crop_jpeg",
    "decode_bmp",
    "decode_gif",
    "decode_image",
    "decode_jpeg",
    "decode_png",
    "encode_jpeg",
    "encode_png",
    "extract_jpeg_shape",
    "is_jpeg",
]

_MODES = {1: "grayscale", 2: "unchanged", 3: "rgb", 4: "rgba"}
# The first bytes of the formats that TensorFlow knows.
_SIGNATURES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG", b"GIF8": "GIF", b"BM": "BMP"}


def _bytes(contents: Any, function: str) -> bytes:
    if isinstance(contents, StringTensor) and contents.ndim:
        raise ValueError(f"tf.io.{function}: contents: expected one text, received shape {contents.shape}")
    try:
        return as_bytes(contents)
    except TypeError as error:
        raise TypeError(f"tf.io.{function}: contents: {error}") from None


def _kind(data: bytes) -> str:
    return next((name for start, name in _SIGNATURES.items() if data.startswith(start)), "")


def _checked(contents: Any, function: str) -> tuple[bytes, str]:
    """The bytes of a file and their format.

    Raises:
        ValueError: They are no image of a format that TensorFlow reads.
    """
    data = _bytes(contents, function)
    kind = _kind(data)
    if not kind:
        raise ValueError(
            f"tf.io.{function}: contents: expected JPEG, PNG, GIF or BMP, received {len(data)} bytes that "
            f"begin with {data[:8]!r}"
        )
    return data, kind


def _pixels(data: bytes, channels: Any, wide: bool, function: str, ratio: int = 1) -> np.ndarray:
    """The pixels of an image, of shape (height, width, channels)."""
    wanted = 0 if channels is None else integer(channels, f"io.{function}", "channels")
    if wanted not in (0, *_MODES):
        raise ValueError(f"tf.io.{function}: channels: expected 0, 1, 3 or 4, received {channels!r}")
    try:
        # A transparent colour, which is no channel, becomes one on request alone.
        mode = _MODES[wanted or _core.image_info(data)[3]]
        return _core.decode_words(data, mode, ratio, wide)
    except ValueError as error:
        raise ValueError(f"tf.io.{function}: contents: {error}") from None


def _one(contents: Any, channels: Any, dtype: Any, function: str) -> Any:
    data, _ = _checked(contents, function)
    return ops.convert_to_tensor(_pixels(data, channels, dtype == "uint16", function))


@operation
def decode_jpeg(
    contents: Any,
    channels: Any = 0,
    ratio: int = 1,
    fancy_upscaling: bool = True,
    try_recover_truncated: bool = False,
    acceptable_fraction: float = 1,
    dct_method: str = "",
) -> Any:
    """The pixels of a JPEG; PNG, GIF and BMP are read as well, as in TensorFlow.

    Args:
        contents: The bytes of the file.
        channels: 1 or 3; 0 for those of the file.
        ratio: By what the size of a JPEG is divided: 1, 2, 4 or 8. Other formats keep theirs,
            as in TensorFlow.
        fancy_upscaling: True: colours are interpolated.
        try_recover_truncated: False: a file that is cut off is refused.
        acceptable_fraction: 1: all lines are needed.
        dct_method: "" or "INTEGER_ACCURATE".

    Returns:
        Tensor of shape (height, width, channels), uint8.

    Raises:
        ValueError: The file is damaged, or an argument is none of these.
    """
    _only("decode_jpeg", "fancy_upscaling", fancy_upscaling, True)
    _only("decode_jpeg", "try_recover_truncated", try_recover_truncated, False)
    _only("decode_jpeg", "acceptable_fraction", acceptable_fraction, 1)
    _only("decode_jpeg", "dct_method", dct_method, "", "INTEGER_ACCURATE")
    if ratio not in (1, 2, 4, 8):
        raise ValueError(f"tf.io.decode_jpeg: ratio: expected 1, 2, 4 or 8, received {ratio!r}")
    data, kind = _checked(contents, "decode_jpeg")
    pixels = _pixels(data, channels, False, "decode_jpeg", ratio if kind == "JPEG" else 1)
    return ops.convert_to_tensor(pixels)


def _only(function: str, argument: str, value: Any, *allowed: Any) -> None:
    if value not in allowed:
        expected = " or ".join(map(repr, allowed))
        raise ValueError(f"tf.io.{function}: {argument}: expected {expected}, received {value!r}")


@operation
def decode_and_crop_jpeg(contents: Any, crop_window: Any, channels: Any = 0) -> Any:
    """A part of a JPEG: `crop_window` is (top, left, height, width)."""
    from cnnrs.compat.tf.arguments import numbers

    top, left, height, width = numbers(crop_window, "io.decode_and_crop_jpeg", "crop_window")
    array = _one(contents, channels, uint8, "decode_and_crop_jpeg").numpy()
    if (
        min(top, left, height - 1, width - 1) < 0
        or top + height > array.shape[0]
        or left + width > array.shape[1]
    ):
        raise ValueError(
            f"tf.io.decode_and_crop_jpeg: crop_window: expected a part of {array.shape[:2]}, "
            f"received {crop_window}"
        )
    return ops.convert_to_tensor(array[top : top + height, left : left + width])


@operation
def decode_png(contents: Any, channels: Any = 0, dtype: Any = uint8) -> Any:
    """The pixels of a PNG; JPEG, GIF and BMP are read as well, as in TensorFlow.

    Args:
        contents: The bytes of the file.
        channels: 1, 2, 3 or 4; 0 for those of the file.
        dtype: uint8 or uint16.

    Returns:
        Tensor of shape (height, width, channels).

    Raises:
        ValueError: The file is damaged, or an argument is none of these.
    """
    wanted = as_dtype(dtype)
    _only("decode_png", "dtype", wanted.name, "uint8", "uint16")
    return _one(contents, channels, wanted, "decode_png")


@operation
def decode_bmp(contents: Any, channels: Any = 0) -> Any:
    """The pixels of a BMP, of shape (height, width, channels), uint8; 0 channels for those of the file."""
    return _one(contents, channels, uint8, "decode_bmp")


@operation
def decode_gif(contents: Any) -> Any:
    """The frames of a GIF, of shape (frames, height, width, 3), uint8."""
    return ops.convert_to_tensor(_frames(_bytes(contents, "decode_gif"), "decode_gif"))


def _frames(data: bytes, function: str) -> np.ndarray:
    try:
        return _core.gif_frames(data)
    except ValueError as error:
        raise ValueError(f"tf.io.{function}: contents: {error}") from None


@operation
def decode_image(
    contents: Any, channels: Any = None, dtype: Any = uint8, expand_animations: bool = True
) -> Any:
    """The pixels of a JPEG, PNG, GIF or BMP.

    Args:
        contents: The bytes of the file.
        channels: 1, 3 or 4; None and 0 for those of the file.
        dtype: uint8, uint16, or a float type for values from 0 to 1.
        expand_animations: Whether a GIF gives all of its frames on a first axis, else the first one.

    Returns:
        Tensor of shape (height, width, channels), or (frames, height, width, 3).

    Raises:
        ValueError: The file is damaged or of another format, or an argument is none of these.
    """
    wanted = as_dtype(dtype)
    _only(
        "decode_image", "dtype", wanted.name, "uint8", "uint16", "float16", "float32", "float64", "bfloat16"
    )
    data, kind = _checked(contents, "decode_image")
    wide = wanted == "uint16"
    if kind == "GIF":
        if channels not in (None, 0, 3):
            raise ValueError(f"tf.io.decode_image: channels: expected 3 for a GIF, received {channels!r}")
        if boolean(expand_animations, "io.decode_image", "expand_animations"):
            array = _frames(data, "decode_image")
            array = array.astype(np.uint16) * 257 if wide else array
        else:
            array = _pixels(data, 3, wide, "decode_image")
    else:
        array = _pixels(data, channels, wide, "decode_image")
    made = ops.convert_to_tensor(array)
    return made if not wanted.is_floating else ops.cast(ops.cast(made, "float32") / 255.0, wanted)


def _array(image: Any, function: str, channels: tuple[int, ...]) -> np.ndarray:
    array = tensor(image).numpy()
    if array.ndim != 3 or array.shape[2] not in channels:
        expected = ", ".join(map(str, channels))
        raise ValueError(
            f"tf.io.{function}: image: expected shape (height, width, channels) with {expected} channels, "
            f"received {array.shape}"
        )
    return array


def _encoded(array: np.ndarray, kind: str, **options: Any) -> StringTensor:
    image = pillow(f"tf.io.encode_{kind}")
    file = io.BytesIO()
    image.fromarray(array[:, :, 0] if array.shape[2] == 1 else array).save(file, kind, **options)
    return StringTensor(file.getvalue())


@operation
def encode_jpeg(
    image: Any,
    format: str = "",
    quality: int = 95,
    progressive: bool = False,
    optimize_size: bool = False,
    chroma_downsampling: bool = True,
) -> Any:
    """An image as the bytes of a JPEG.

    Args:
        image: Tensor of shape (height, width, 1) or (height, width, 3), uint8.
        format: "", "grayscale" or "rgb".
        quality: From 0 to 100.
        progressive: Whether it comes in passes from coarse to fine.
        optimize_size: Whether more time is spent for fewer bytes.
        chroma_downsampling: Whether colours have half the resolution.

    Returns:
        A `StringTensor` without axes.

    Raises:
        ImportError: Pillow is not there.
        TypeError: The image is not uint8.
        ValueError: An argument is none of these.
    """
    _only("encode_jpeg", "format", format, "", "grayscale", "rgb")
    channels = {"": (1, 3), "grayscale": (1,), "rgb": (3,)}[format]
    array = _array(image, "encode_jpeg", channels)
    _types("encode_jpeg", array, "uint8")
    if not 0 <= quality <= 100:
        raise ValueError(f"tf.io.encode_jpeg: quality: expected 0 to 100, received {quality!r}")
    return _encoded(
        array,
        "jpeg",
        quality=quality,
        progressive=boolean(progressive, "io.encode_jpeg", "progressive"),
        optimize=boolean(optimize_size, "io.encode_jpeg", "optimize_size"),
        subsampling=2 if boolean(chroma_downsampling, "io.encode_jpeg", "chroma_downsampling") else 0,
    )


def _types(function: str, array: np.ndarray, *allowed: str) -> None:
    if array.dtype.name not in allowed:
        raise TypeError(
            f"tf.io.{function}: image: expected {' or '.join(allowed)}, received {array.dtype}; tf.cast it"
        )


@operation
def encode_png(image: Any, compression: int = -1) -> Any:
    """An image as the bytes of a PNG.

    Args:
        image: Tensor of shape (height, width, channels) with 1 to 4 channels, uint8; uint16 with 1 channel.
        compression: From 0 to 9; -1 for the library's choice.

    Returns:
        A `StringTensor` without axes.

    Raises:
        ImportError: Pillow is not there.
        TypeError: The image is of another type.
        ValueError: An argument is none of these.
    """
    array = _array(image, "encode_png", (1, 2, 3, 4))
    _types("encode_png", array, *(("uint8", "uint16") if array.shape[2] == 1 else ("uint8",)))
    level = integer(compression, "io.encode_png", "compression")
    if not -1 <= level <= 9:
        raise ValueError(f"tf.io.encode_png: compression: expected -1 to 9, received {compression!r}")
    return _encoded(array, "png", **({} if level < 0 else {"compress_level": level}))


@operation
def extract_jpeg_shape(contents: Any, output_type: Any = "int32") -> Any:
    """The height, width and channels of a JPEG, without decoding it."""
    data, _ = _checked(contents, "extract_jpeg_shape")
    try:
        _, height, width, channels, _, _ = _core.image_info(data)
    except ValueError as error:
        raise ValueError(f"tf.io.extract_jpeg_shape: contents: {error}") from None
    return tensor(np.array([height, width, channels], as_dtype(output_type).as_numpy_dtype))


@operation
def is_jpeg(contents: Any) -> Any:
    """Whether bytes begin as a JPEG does."""
    return tensor(np.array(_kind(_bytes(contents, "is_jpeg")) == "JPEG"))
