"""IDX files, the format of MNIST and its relatives.

A file is a big-endian header and then the elements in row-major order: two zero bytes, a type code
(8 for uint8), the number of axes, and the length of each axis as an unsigned 32-bit integer.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib

import numpy as np

_UINT8 = 8


def read_gzip(path: str | os.PathLike[str], shape: tuple[int, ...], sha256: str) -> np.ndarray:
    """Reads a gzipped IDX file of bytes and checks it.

    Args:
        path: The gzipped file.
        shape: The shape that the array must have.
        sha256: The SHA-256 of the unpacked file, as 64 hexadecimal digits.

    Returns:
        A writable uint8 array of `shape`.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is no gzip file, is truncated, is no IDX file of uint8, has another
            shape, or its checksum differs. The message names the file.
    """
    path = os.fspath(path)
    with open(path, "rb") as file:
        packed = file.read()
    try:
        content = gzip.decompress(packed)
    except EOFError as error:
        raise ValueError(f"{path}: truncated: the gzip stream ends early ({len(packed)} bytes)") from error
    except (gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: not a gzip file, or damaged: {error}") from error
    data = _parse(path, content, shape)
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise ValueError(f"{path}: expected SHA-256 {sha256} of the unpacked file, received {digest}")
    return data.copy()


def _parse(path: str, content: bytes, shape: tuple[int, ...]) -> np.ndarray:
    """The elements as a read-only view of `content`."""
    if len(content) < 4 or content[:2] != b"\0\0":
        raise ValueError(f"{path}: not an IDX file: it begins with {content[:4]!r}")
    code, ndim = content[2], content[3]
    if code != _UINT8:
        raise ValueError(f"{path}: expected IDX element type {_UINT8} (uint8), received {code}")
    start = 4 + 4 * ndim
    if len(content) < start:
        raise ValueError(f"{path}: truncated: a header of {start} bytes is announced, {len(content)} follow")
    found = struct.unpack(f">{ndim}I", content[4:start])
    expected = math.prod(found)
    if len(content) - start != expected:
        raise ValueError(
            f"{path}: expected {expected} bytes of data for shape {found}, received {len(content) - start}"
        )
    if found != shape:
        raise ValueError(f"{path}: expected shape {shape}, received {found}")
    return np.frombuffer(content, dtype=np.uint8, offset=start).reshape(shape)
