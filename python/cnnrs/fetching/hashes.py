"""Hashes of files."""

from __future__ import annotations

import hashlib
import os
import string
from typing import Any

from cnnrs.base.arguments import file_path

__all__ = ["FileHash", "hash_file", "validate_file"]

_LENGTHS = {"sha256": 64, "md5": 32}


class FileHash:
    """A hash that a file must have.

    Args:
        owner: The function that was called, for errors.
        value: The hash in hexadecimal digits.
        algorithm: "sha256", "md5", or "auto" for that whose hashes are as long.

    Raises:
        ValueError: The hash or the algorithm is none.

    >>> FileHash("get_file", "900150983cd24fb0d6963f7d28e17f72").algorithm
    'md5'
    """

    def __init__(self, owner: str, value: Any, algorithm: str = "auto"):
        if algorithm not in ("auto", *_LENGTHS):
            raise ValueError(
                f"{owner}: hash_algorithm: expected 'auto', 'sha256' or 'md5', received {algorithm!r}"
            )
        lengths = list(_LENGTHS.values()) if algorithm == "auto" else [_LENGTHS[algorithm]]
        digits = value.strip().lower() if isinstance(value, str) else ""
        if len(digits) not in lengths or not set(digits) <= set(string.hexdigits):
            kinds = " or ".join(f"{length}" for length in lengths)
            raise ValueError(f"{owner}: file_hash: expected {kinds} hexadecimal digits, received {value!r}")
        self.value = digits
        self.algorithm = next(name for name, length in _LENGTHS.items() if length == len(digits))

    def __str__(self) -> str:
        return f"{self.algorithm} {self.value}"

    def fits(self, path: str) -> bool:
        """Whether a file is there and has the hash."""
        return os.path.isfile(path) and hash_file(path, self.algorithm) == self.value


def hash_file(fpath: Any, algorithm: str = "sha256", chunk_size: int = 1 << 20) -> str:
    """The hash of a file.

    Args:
        fpath: The path.
        algorithm: "sha256" or "md5"; "auto" is sha256.
        chunk_size: Bytes that are read at a time.

    Returns:
        The hash in hexadecimal digits.

    Raises:
        OSError: The file cannot be read.
        ValueError: There is no such algorithm.
    """
    algorithm = "sha256" if algorithm == "auto" else algorithm
    if algorithm not in _LENGTHS:
        raise ValueError(f"hash_file: algorithm: expected 'sha256' or 'md5', received {algorithm!r}")
    # MD5 finds transfer errors; systems that forbid it for secrets allow that.
    hashing = hashlib.new(algorithm, usedforsecurity=False)
    with open(file_path(fpath, "hash_file"), "rb") as file:
        while chunk := file.read(chunk_size):
            hashing.update(chunk)
    return hashing.hexdigest()


def validate_file(fpath: Any, file_hash: str, algorithm: str = "auto", chunk_size: int = 1 << 20) -> bool:
    """Whether a file has a hash, of SHA-256 or MD5 by its length.

    Args:
        fpath: The path.
        file_hash: The hash in hexadecimal digits.
        algorithm: "auto", "sha256" or "md5".
        chunk_size: Bytes that are read at a time.

    Raises:
        OSError: The file cannot be read.
        ValueError: `file_hash` is no hash of the algorithm.
    """
    expected = FileHash("validate_file", file_hash, algorithm)
    return hash_file(fpath, expected.algorithm, chunk_size) == expected.value
