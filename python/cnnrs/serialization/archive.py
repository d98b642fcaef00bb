"""Zip archives of few members, the form of `.keras` files.

Python's `zipfile` reads the list of members; what they say of themselves is checked before their bytes are
taken. An archive of n bytes is read with at most 64 n bytes + 64 MiB for its members.
"""

from __future__ import annotations

import errno
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from typing import IO, Any

from cnnrs import _core

__all__ = ["read_members", "write_members"]

_RATIO, _FLOOR = 64, 64 << 20
# Bits of a member's flags: encrypted, a patch of another, strongly encrypted, with a masked header.
_REFUSED = 0x1 | 0x20 | 0x40 | 0x2000
_UTF8 = 0x800
# The header before a member: signature, flags and the like, lengths of name and extra fields.
_HEADER = struct.Struct("<4s22xHH")


def read_members(
    source: str | os.PathLike[str] | bytes, wanted: Iterable[str] | None = None
) -> dict[str, bytes]:
    """Members of an archive, in its order.

    Args:
        source: The path of an archive, or its bytes.
        wanted: Names of members; one that ends in "/" stands for all below it. None stands for all.

    Returns:
        What those of them that are there hold, by name.

    Raises:
        OSError: There is no such file, it cannot be read, or it is no regular file.
        ValueError: It is no sound archive. Refused are members whose name leads out of the archive or occurs
            twice, that overlap, are encrypted, are neither stored nor deflated, differ from their declared
            size or checksum, or are far larger than the archive.
        MemoryError: The members do not fit into memory.

    >>> import os, tempfile
    >>> from cnnrs.serialization import archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.zip")
    ...     archive.write_members(path, {"a": b"1", "b/c": b"2"})
    ...     archive.read_members(path, ["b/"])
    {'b/c': b'2'}
    """
    what = "zip data" if isinstance(source, bytes) else repr(os.fspath(source))
    names = None if wanted is None else list(wanted)
    try:
        if isinstance(source, bytes):
            return _read(io.BytesIO(source), names)
        if os.path.exists(source) and not os.path.isfile(source) and not os.path.isdir(source):
            raise OSError(errno.EPERM, "expected a regular file", os.fspath(source))
        with open(source, "rb") as file:
            return _read(file, names)
    except MemoryError as error:
        raise MemoryError(f"{what}: no memory for its members") from error
    except Exception as error:
        # A place before the beginning of the file, which a damaged archive may name.
        if isinstance(error, OSError) and error.errno != errno.EINVAL:
            raise
        raise ValueError(f"{what} is no sound zip archive: {error}") from error


def _read(file: IO[bytes], wanted: list[str] | None) -> dict[str, bytes]:
    """The members that are wanted, of an archive all of whose members are checked."""
    size = file.seek(0, os.SEEK_END)
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        end = archive.start_dir
    starts = _starts(file, members, end)
    most = _RATIO * size + _FLOOR
    found: dict[str, bytes] = {}
    for member in members:
        name = member.orig_filename
        if name.endswith("/") or not _is_wanted(name, wanted):
            continue
        if member.file_size > most:
            raise ValueError(
                f"{name!r}: {member.file_size} bytes where an archive of {size} bytes may hold {most} more"
            )
        most -= member.file_size
        found[name] = _content(file, starts[name], member)
    return found


def _is_wanted(name: str, wanted: list[str] | None) -> bool:
    return wanted is None or any(
        name == one or (one.endswith("/") and name.startswith(one)) for one in wanted
    )


def _check_name(name: str) -> None:
    """ValueError if a name is none of a file below the folder that the archive stands for."""
    parts = name.removesuffix("/").split("/")
    if not all(parts) or {".", ".."} & set(parts) or any(c in name for c in "\\:\0"):
        raise ValueError(f"expected names of files inside the archive, received {name!r}")


def _starts(file: IO[bytes], members: list[zipfile.ZipInfo], end: int) -> dict[str, int]:
    """Where the bytes of each member begin. The members lie before `end`, and none inside of another."""
    starts: dict[str, int] = {}
    for member in members:
        name = member.orig_filename
        _check_name(name)
        if name in starts:
            raise ValueError(f"two members are called {name!r}")
        if member.flag_bits & _REFUSED:
            raise ValueError(f"{name!r} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise ValueError(
                f"{name!r}: expected a member stored or deflated, received compression {member.compress_type}"
            )
        file.seek(member.header_offset)
        signature, name_length, extra_length = _HEADER.unpack(_exactly(file, _HEADER.size))
        if signature != b"PK\3\4":
            raise ValueError(f"{name!r}: expected a member at {member.header_offset}, received none")
        own = _exactly(file, name_length).decode("utf-8" if member.flag_bits & _UTF8 else "cp437")
        if own != name:
            raise ValueError(f"{name!r} is called {own!r} where it lies")
        starts[name] = member.header_offset + _HEADER.size + name_length + extra_length
    before = 0
    for member in sorted(members, key=lambda member: member.header_offset):
        if member.header_offset < before:
            raise ValueError(f"{member.orig_filename!r} overlaps another member")
        before = starts[member.orig_filename] + member.compress_size
    if before > end:
        raise ValueError(f"the members need {before} bytes, the list of them begins at {end}")
    return starts


def _exactly(file: IO[bytes], count: int) -> bytes:
    content = file.read(count)
    if len(content) != count:
        raise ValueError(f"expected {count} more bytes, received {len(content)}: the archive is cut")
    return content


def _content(file: IO[bytes], start: int, member: zipfile.ZipInfo) -> bytes:
    """What a member holds."""
    file.seek(start)
    content = _exactly(file, member.compress_size)
    whole = True
    if member.compress_type == zipfile.ZIP_DEFLATED:
        unpacking = zlib.decompressobj(-zlib.MAX_WBITS)
        content = unpacking.decompress(content, member.file_size + 1)
        whole = unpacking.eof and not unpacking.unused_data
    name = member.orig_filename
    if not whole or len(content) != member.file_size:
        least = "" if whole else "at least "
        raise ValueError(f"{name!r}: expected {member.file_size} bytes, received {least}{len(content)}")
    if zlib.crc32(content) != member.CRC:
        raise ValueError(f"{name!r} differs from its checksum")
    return content


class _Parts:
    """A file that `zipfile` writes: the pieces, by where they begin. None is copied."""

    def __init__(self) -> None:
        self._parts: dict[int, bytes] = {}
        self._at = self._end = 0

    def write(self, part: bytes) -> int:
        self._parts[self._at] = part
        self._at += len(part)
        self._end = max(self._end, self._at)
        return len(part)

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._at = offset + (self._end if whence == os.SEEK_END else 0)
        return self._at

    def flush(self) -> None:
        pass

    def list(self) -> list[bytes]:
        return [self._parts[at] for at in sorted(self._parts) if self._parts[at]]


def write_members(path: str | os.PathLike[str], members: Mapping[str, bytes]) -> None:
    """Writes an archive of stored members, atomically. The same members give the same bytes.

    Args:
        path: The file to write or replace.
        members: What each member holds, by name.

    Raises:
        ValueError: A name leads out of the archive.
        OSError: The file cannot be written; whatever stood there is untouched.

    >>> import os, tempfile
    >>> from cnnrs.serialization import archive
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.zip")
    ...     archive.write_members(path, {"a": b"1"})
    ...     archive.read_members(path)
    {'a': b'1'}
    """
    parts = _Parts()
    file: Any = parts
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            _check_name(name)
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    _core.write_bytes(os.fspath(path), parts.list())
