"""IDX files, the format of MNIST and its relatives.

A file is a big-endian header and then the elements in row-major order: two zero bytes, a type code
(8 for uint8), the number of axes, and the length of each axis as an unsigned 32-bit integer.
"""

from __future__ import annotations

import hashlib
import math
import os
import stat
import struct
import zlib

import numpy as np

from cnnrs.base.arguments import file_path

_UINT8 = 8
# What `zlib` calls a stream in gzip's format.
_GZIP = 16 + zlib.MAX_WBITS
# Room for the headers of gzip and IDX.
_MOST_HEADERS = 1 << 16


def read_gzip(path: str | os.PathLike[str], shape: tuple[int, ...], sha256: str | None) -> np.ndarray:
    """Reads a gzipped IDX file of bytes and checks it. Nothing is unpacked beyond what `shape` needs.

    Args:
        path: The gzipped file.
        shape: The shape that the array must have.
        sha256: The SHA-256 of the unpacked file, or None where the packed one was checked.

    Returns:
        A writable uint8 array of `shape`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The path is none, or the file is no gzip file, is truncated, is no IDX file of uint8,
            has another shape, or its checksum differs. The message names the file.
    """
    path = file_path(path, "read_gzip")
    expected = math.prod(shape)
    unpacking = zlib.decompressobj(wbits=_GZIP)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ValueError(f"{path}: expected a regular file")
    with open(path, "rb") as file:
        # No more than a gzip stream of so many bytes may need.
        packed = file.read(2 * expected + _MOST_HEADERS)
    try:
        start = unpacking.decompress(packed, 4 + 4 * len(shape))
        _check_header(path, start, shape)
        content = unpacking.decompress(unpacking.unconsumed_tail, expected + 1)
        if len(content) == expected and not unpacking.eof:
            # What is left is the end of the stream with its own checksum.
            content += unpacking.decompress(unpacking.unconsumed_tail, 1)
    except zlib.error as error:
        raise ValueError(f"{path}: not a gzip file, or damaged: {error}") from error
    if len(content) > expected:
        raise ValueError(f"{path}: expected {expected} bytes of data for shape {shape}, received more")
    if not unpacking.eof:
        raise ValueError(f"{path}: truncated: the gzip stream ends early ({len(packed)} bytes)")
    if len(content) < expected:
        raise ValueError(
            f"{path}: expected {expected} bytes of data for shape {shape}, received {len(content)}"
        )
    if unpacking.unused_data.strip(b"\0"):
        raise ValueError(f"{path}: damaged: there are bytes after the end of the gzip stream")
    digest = hashlib.sha256(start + content).hexdigest()
    if sha256 is not None and digest != sha256:
        raise ValueError(f"{path}: expected SHA-256 {sha256} of the unpacked file, received {digest}")
    return np.frombuffer(bytearray(content), dtype=np.uint8).reshape(shape)


def _check_header(path: str, start: bytes, shape: tuple[int, ...]) -> None:
    """Compares the header, or what there is of it, with what it must be."""
    if len(start) < 4 or start[:2] != b"\0\0":
        raise ValueError(f"{path}: not an IDX file: it begins with {start[:4]!r}")
    code, ndim = start[2], start[3]
    if code != _UINT8:
        raise ValueError(f"{path}: expected IDX element type {_UINT8} (uint8), received {code}")
    if ndim != len(shape):
        raise ValueError(f"{path}: expected {len(shape)} axes, of shape {shape}, received {ndim}")
    if len(start) < 4 + 4 * ndim:
        raise ValueError(f"{path}: truncated: the header has {len(start)} of {4 + 4 * ndim} bytes")
    found = struct.unpack(f">{ndim}I", start[4:])
    if found != shape:
        raise ValueError(f"{path}: expected shape {shape}, received {found}")
