"""Images of files as arrays of uint8: decoded, turned upright and resized in threads, off the GIL."""

from __future__ import annotations

import io
import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

import numpy as np

from cnnrs import _core
from cnnrs.base.arguments import flag, integer, integers
from cnnrs.base.user_warnings import warn_user

__all__ = [
    "CHANNELS",
    "FILTERS",
    "MAX_PIXELS",
    "ImageInfo",
    "check_filter_of_indices",
    "decode_image",
    "image_batches",
    "image_info",
    "read_images",
]

# What Pillow refuses: twice the number of pixels of which it warns.
MAX_PIXELS = 178_956_970

# The channels of images in the modes that say how many there are.
CHANNELS = {"rgb": 3, "rgba": 4, "grayscale": 1, "indices": 1}
_MODES = (*CHANNELS, "unchanged")
FILTERS = ("bilinear", "nearest", "box", "hamming", "bicubic", "lanczos")
_FITS = ("stretch", "crop", "pad")
# Errors that the message of a warning names one by one.
_NAMED = 5


class ImageInfo(NamedTuple):
    """What a file says of its image.

    Attributes:
        format: "JPEG", "PNG", "WebP", "BMP", "GIF" or "TIFF".
        height: Rows of pixels as they are stored.
        width: Columns of pixels as they are stored.
        channels: 1 for grey, 2 with alpha, 3 for colours, 4 with alpha.
        bits: Bits of a sample.
        orientation: How the pixels are stored, as EXIF counts: 1 is upright, 6 lies on its side, say.

    Example:
        >>> from cnnrs.data import ImageInfo
        >>> ImageInfo("JPEG", 375, 500, 3, 8, 1).height
        375
    """

    format: str
    height: int
    width: int
    channels: int
    bits: int
    orientation: int


def _content(image: Any, function: str) -> tuple[bytes, str]:
    """The bytes of an image, and what errors call it."""
    if isinstance(image, (bytes, bytearray, memoryview)):
        return bytes(image), f"{len(image)} bytes"
    if isinstance(image, (str, os.PathLike)):
        with open(image, "rb") as file:
            return file.read(), repr(os.fspath(image))
    if isinstance(image, io.IOBase) or hasattr(image, "read"):
        content = image.read()
        if not isinstance(content, bytes):
            raise TypeError(
                f"{function}: image: expected a file opened with 'rb', received one that gives "
                f"{type(content).__name__}"
            )
        return content, repr(getattr(image, "name", "a file"))
    raise TypeError(
        f"{function}: image: expected a path, the bytes of a file or an open file, "
        f"received {type(image).__name__}"
    )


def known_format(content: bytes) -> bool:
    """Whether a file begins as an image of a format that is read here."""
    starts = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM", b"II*\0", b"MM\0*")
    return content.startswith(starts) or (content[:4] == b"RIFF" and content[8:12] == b"WEBP")


def _one_of(value: Any, known: Sequence[str], function: str, argument: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(
            f"{function}: {argument}: expected one of {', '.join(map(repr, known))}, received {value!r}"
        )
    return value


def _wanted(
    function: str,
    color_mode: Any,
    size: Any,
    interpolation: Any,
    fit: Any,
    exif_orientation: Any,
    draft: Any,
    max_pixels: Any,
) -> dict[str, Any]:
    """What the decoder is asked for; each argument is checked."""
    if size is not None:
        sides = integers(size, function, "size", least=1)
        if len(sides) == 1:
            sides = sides * 2
        if len(sides) != 2:
            raise ValueError(f"{function}: size: expected (height, width), received {size!r}")
        size = (sides[0], sides[1])
        check_filter_of_indices(color_mode, interpolation, function)
    return {
        "mode": _one_of(color_mode, _MODES, function, "color_mode"),
        "upright": flag(exif_orientation, function, "exif_orientation"),
        "size": size,
        "fit": _one_of(fit, _FITS, function, "fit"),
        "filter": _one_of(interpolation, FILTERS, function, "interpolation"),
        "draft": flag(draft, function, "draft"),
        "max_pixels": integer(max_pixels, function, "max_pixels", least=1, most=2**63 - 1),
        "floats": False,
    }


def check_filter_of_indices(color_mode: str, interpolation: str, where: str) -> None:
    """Raises if resizing would mix indices, whose means are indices of something else."""
    if color_mode == "indices" and interpolation != "nearest":
        raise ValueError(
            f"{where}: interpolation: expected 'nearest' with color_mode='indices', received "
            f"{interpolation!r}"
        )


def decode_image(
    image: Any,
    color_mode: str = "rgb",
    size: Any = None,
    interpolation: str = "bilinear",
    fit: str = "stretch",
    *,
    exif_orientation: bool = True,
    draft: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> np.ndarray:
    """Decodes an image: JPEG, PNG, WebP, BMP, GIF (its first frame) or TIFF (its first page).

    The pixels are those of Pillow: `np.asarray(Image.open(file).convert("RGB").resize(...))`. JPEGs are
    libjpeg-turbo's, bit by bit. Colours of a palette, few bits, 16 bits (their upper 8), CMYK and interlacing
    are taken care of. Pillow itself is not needed.

    Args:
        image: A path, the bytes of a file, or a file that is open for reading bytes. Bytes are content,
            never a path.
        color_mode: "rgb", "rgba", "grayscale", "unchanged" for the channels that the file has, or "indices"
            for masks of segmentation: the indices of a palette, and grey of up to 8 bits as it is, as
            `np.asarray(Image.open(file))` gives them. With a `size`, they want `interpolation="nearest"`.
        size: The (height, width) to which the image is resized, or one number for both; None leaves its own.
        interpolation: "bilinear", "nearest", "box", "hamming", "bicubic" or "lanczos", as in Pillow: but for
            "nearest" the filters grow where an image becomes smaller, so that nothing is skipped.
        fit: "stretch" scales both sides whatever their proportions; "crop" scales the middle that has the
            proportions of `size`; "pad" scales the whole image as far as it fits, in the middle of zeros.
        exif_orientation: Whether the image is turned as the camera noted.
        draft: Whether a JPEG of at least 4 times the size is decoded at 1/2, 1/4 or 1/8 of its own, which is
            several times as fast. At least twice `size` is left to the filter, as in Pillow's `thumbnail`.
        max_pixels: More pixels are refused before there is memory for them: a file of few bytes can ask for
            all of it.

    Returns:
        Array of shape (height, width, channels), uint8.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: `image` is none of these.
        ValueError: The file is empty, no image, damaged, cut off, or has too many pixels, or has colours
            where indices are asked for; or another argument is none of the values above.

    Reference:
        Wallace 1991, "The JPEG still picture compression standard", Communications of the ACM 34(4). The
        filters: Keys 1981, "Cubic convolution interpolation for digital image processing" (a = -1/2); Duchon
        1979, "Lanczos filtering in one and two dimensions".

    Example:
        >>> import base64
        >>> from cnnrs import data
        >>> gif = base64.b64decode("R0lGODlhAgABAIAAAP8AAAAA/ywAAAAAAgABAAACAkQKADs=")
        >>> data.decode_image(gif).tolist()
        [[[255, 0, 0], [0, 0, 255]]]
        >>> data.decode_image(gif, "grayscale", size=(4, 4)).shape
        (4, 4, 1)
        >>> data.decode_image(gif, "indices").tolist()
        [[[0], [1]]]
    """
    function = "decode_image"
    wanted = _wanted(function, color_mode, size, interpolation, fit, exif_orientation, draft, max_pixels)
    content, name = _content(image, function)
    try:
        return _core.decode_image(content, wanted)
    except ValueError as error:
        raise ValueError(f"{function}: {name}: {error}") from None


def image_info(image: Any) -> ImageInfo:
    """What a file says of its image: format, size, channels, bits, orientation. No pixel is decoded.

    Args:
        image: A path, the bytes of a file, or a file that is open for reading bytes.

    Returns:
        An `ImageInfo`.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: `image` is none of these.
        ValueError: The file is empty or no image, or its header is damaged.

    Example:
        >>> import base64
        >>> from cnnrs import data
        >>> gif = base64.b64decode("R0lGODlhAgABAIAAAP8AAAAA/ywAAAAAAgABAAACAkQKADs=")
        >>> data.image_info(gif)
        ImageInfo(format='GIF', height=1, width=2, channels=3, bits=8, orientation=1)
    """
    content, name = _content(image, "image_info")
    try:
        return ImageInfo(*_core.image_info(content))
    except ValueError as error:
        raise ValueError(f"image_info: {name}: {error}") from None


def _paths(paths: Any, function: str) -> list[str]:
    if isinstance(paths, (str, bytes, os.PathLike)):
        raise TypeError(f"{function}: paths: expected a list of paths, received one: {paths!r}")
    made = []
    for path in paths:
        if not isinstance(path, (str, os.PathLike)):
            raise TypeError(f"{function}: paths: expected paths, received {path!r}")
        made.append(os.fspath(path))
    return made


class _Batch(NamedTuple):
    """Images, their places among the paths, and what is to be said of the others."""

    images: np.ndarray
    places: np.ndarray
    warning: str = ""

    def told(self) -> tuple[np.ndarray, np.ndarray]:
        """The images and their places, after the warning."""
        if self.warning:
            warn_user(self.warning)
        return self.images, self.places


def _read(paths: list[str], wanted: dict[str, Any], threads: int | None, skip: bool, function: str) -> _Batch:
    # numpy's memory: its large arrays have large pages.
    images = np.empty((len(paths), *wanted["size"], CHANNELS[wanted["mode"]]), np.uint8)
    failures = _core.read_images(paths, images, wanted, threads)
    if not failures:
        return _Batch(images, np.arange(len(paths)))
    named = [
        f"{paths[index]}: {error.strerror if isinstance(error, OSError) else error}"
        for index, error in failures
    ]
    index, error = failures[0]
    if not skip or isinstance(error, MemoryError):
        if isinstance(error, (OSError, MemoryError)):
            raise error
        raise ValueError(f"{function}: {named[0]}") from None
    more = f"; and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    left = np.ones(len(paths), bool)
    left[[index for index, _ in failures]] = False
    return _Batch(
        images[left],
        np.flatnonzero(left),
        f"{function}: left out {len(named)} of {len(paths)} files: {'; '.join(named[:_NAMED])}{more}",
    )


def read_images(
    paths: Iterable[Any],
    size: Any,
    color_mode: str = "rgb",
    interpolation: str = "bilinear",
    fit: str = "stretch",
    *,
    threads: int | None = None,
    on_error: str = "raise",
    return_index: bool = False,
    exif_orientation: bool = True,
    draft: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> Any:
    """Reads image files of any sizes as one batch of one size.

    Files are read and decoded in threads without the GIL: other Python threads run meanwhile. The result is
    the same with any number of threads. All images lie in memory; `image_batches` reads many files in turn.

    Args:
        paths: The files.
        size: The (height, width) of all images, or one number for both.
        color_mode: "rgb", "rgba", "grayscale" or "indices", as for `decode_image`.
        interpolation: As for `decode_image`.
        fit: "stretch", "crop" or "pad", as for `decode_image`.
        threads: How many threads read and decode; None for one a processor.
        on_error: "raise" raises the first file's error; "skip" leaves out files that cannot be read, with one
            warning that names them.
        return_index: Whether the places of the images among `paths` are returned as well, for use with
            `on_error="skip"`.
        exif_orientation: As for `decode_image`.
        draft: As for `decode_image`.
        max_pixels: As for `decode_image`.

    Returns:
        Array of shape (images, height, width, channels), uint8; with `return_index` a pair of it and an array
        of integers.

    Raises:
        FileNotFoundError: A file is not there, and `on_error` is "raise".
        TypeError: `paths` holds no paths.
        ValueError: A file is no image or damaged, and `on_error` is "raise"; or another argument is none of
            the values above.

    Example:
        >>> import base64, tempfile
        >>> from pathlib import Path
        >>> from cnnrs import data
        >>> gif = base64.b64decode("R0lGODlhAgABAIAAAP8AAAAA/ywAAAAAAgABAAACAkQKADs=")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     paths = [Path(folder, "a.gif"), Path(folder, "b.gif")]
        ...     sizes = [path.write_bytes(gif) for path in paths]
        ...     data.read_images(paths, size=(8, 8)).shape
        (2, 8, 8, 3)
    """
    function = "read_images"
    skip = _one_of(on_error, ("raise", "skip"), function, "on_error") == "skip"
    with_index = flag(return_index, function, "return_index")
    wanted = _batch_wanted(
        function, color_mode, size, interpolation, fit, exif_orientation, draft, max_pixels
    )
    batch = _read(_paths(paths, function), wanted, _threads(threads, function), skip, function)
    images, index = batch.told()
    return (images, index) if with_index else images


def _threads(threads: Any, function: str) -> int | None:
    return None if threads is None else integer(threads, function, "threads", least=1, most=1024)


def _batch_wanted(function: str, color_mode: Any, size: Any, *others: Any) -> dict[str, Any]:
    _one_of(color_mode, tuple(CHANNELS), function, "color_mode")
    if size is None:
        raise ValueError(f"{function}: size: expected (height, width) for images of one batch, received None")
    return _wanted(function, color_mode, size, *others)


def image_batches(
    paths: Iterable[Any],
    size: Any,
    batch_size: int = 32,
    color_mode: str = "rgb",
    interpolation: str = "bilinear",
    fit: str = "stretch",
    *,
    prefetch: int = 2,
    threads: int | None = None,
    on_error: str = "raise",
    exif_orientation: bool = True,
    draft: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Reads any number of image files batch by batch; the next batches are read while one is used.

    Memory holds `prefetch + 1` batches, whatever the number of files.

    Args:
        paths: The files.
        size: The (height, width) of all images, or one number for both.
        batch_size: Files of a batch; the last one may have fewer, and those left out are missing from theirs.
        color_mode: "rgb", "rgba", "grayscale" or "indices", as for `decode_image`.
        interpolation: As for `decode_image`.
        fit: "stretch", "crop" or "pad", as for `decode_image`.
        prefetch: Batches that are read ahead; 0 reads each when it is asked for.
        threads: How many threads read and decode a batch; None for one a processor.
        on_error: "raise" or "skip", as for `read_images`.
        exif_orientation: As for `decode_image`.
        draft: As for `decode_image`.
        max_pixels: As for `decode_image`.

    Yields:
        Pairs: an array of shape (images, height, width, channels), uint8, and the places of the images among
        `paths`.

    Raises:
        FileNotFoundError: A file is not there, and `on_error` is "raise".
        TypeError: `paths` holds no paths.
        ValueError: As for `read_images`.

    Example:
        >>> from cnnrs import data
        >>> list(data.image_batches([], size=(8, 8)))
        []
    """
    function = "image_batches"
    skip = _one_of(on_error, ("raise", "skip"), function, "on_error") == "skip"
    wanted = _batch_wanted(
        function, color_mode, size, interpolation, fit, exif_orientation, draft, max_pixels
    )
    batch_size = integer(batch_size, function, "batch_size", least=1)
    prefetch = integer(prefetch, function, "prefetch", least=0)
    return _batches(
        _paths(paths, function), wanted, batch_size, prefetch, _threads(threads, function), skip, function
    )


def _batches(
    paths: list[str],
    wanted: dict[str, Any],
    batch_size: int,
    prefetch: int,
    threads: int | None,
    skip: bool,
    function: str,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    def read(first: int) -> _Batch:
        batch = _read(paths[first : first + batch_size], wanted, threads, skip, function)
        return batch._replace(places=batch.places + first)

    firsts = iter(range(0, len(paths), batch_size))
    if not prefetch:
        for first in firsts:
            yield read(first).told()
        return
    # One thread keeps the order of batches; each has its own threads below the GIL.
    with ThreadPoolExecutor(1, thread_name_prefix="cnnrs-images") as pool:
        waiting: deque[Future[_Batch]] = deque()
        try:
            for first in firsts:
                waiting.append(pool.submit(read, first))
                if len(waiting) > prefetch:
                    yield waiting.popleft().result().told()
            while waiting:
                yield waiting.popleft().result().told()
        finally:
            for future in waiting:
                future.cancel()
