"""Archives from the net: unpacked within their folder and within bounds, whole or not at all.

An archive may be made to do harm. Its members are read one after another, never by the functions that unpack
all at once, and any of these refuses the whole archive: a path that leaves the folder, a link that points out
of it, a device or pipe, more bytes than the bound. Links are made when all files are written, so that nothing
is ever written through one.
"""

from __future__ import annotations

import bz2
import contextlib
import errno
import gzip
import lzma
import os
import posixpath
import re
import shutil
import stat
import struct
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, NamedTuple

from cnnrs.base.arguments import file_path

__all__ = ["extract_archive"]

# An archive may unpack to so many bytes, or to so many times its size where that is more. Deflate reaches
# 1,032 times; photographs and text, of which data sets are made, stay below 20.
_MOST_BYTES = 4 << 30
_MOST_RATIO = 100
# What a member counts at least, so that empty ones are bounded, too.
_MEMBER_BYTES = 512
_CHUNK = 1 << 20
_FORMATS = ("tar", "zip")
# What the readers of archives raise for damaged ones.
_DAMAGES = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, OSError,
    EOFError, NotImplementedError, OverflowError, RuntimeError, ValueError,
)  # fmt: skip
_DRIVE = re.compile(r"^[A-Za-z]:")


class _Member(NamedTuple):
    """Of an archive.

    Attributes:
        name: Its path within the archive.
        kind: "folder", "file", "link" or "hard link".
        content: Of a file.
        target: Of a link.
    """

    name: str
    kind: str
    content: Any = None
    target: str = ""


def extract_archive(file_path_: Any, path: Any = ".", archive_format: Any = "auto") -> bool:
    """Unpacks an archive into a folder.

    Args:
        file_path_: The archive: tar, alone or packed by gzip, bzip2 or xz, or zip.
        path: The folder, which is made. What is there already stays, apart from files of the same names.
        archive_format: "tar", "zip" or a list of them to try; "auto" for both, None for none.

    Returns:
        Whether it is such an archive.

    Raises:
        FileNotFoundError: There is no such archive.
        ValueError: The archive is damaged, its members leave the folder, or it unpacks to more than
            4 GiB and than 100 times its size. Nothing was unpacked then.
        OSError: The disk refuses.
    """
    archive, folder = file_path(file_path_, "extract_archive"), file_path(path, "extract_archive")
    os.stat(archive)
    kind = _kind(archive, _formats(archive_format))
    if kind is None:
        return False
    parent = os.path.dirname(os.path.abspath(folder))
    os.makedirs(parent, exist_ok=True)
    # On the same disk, so that the folder gets its name at once.
    with tempfile.TemporaryDirectory(prefix=".unpacked-", dir=parent) as temporary:
        unpacked = os.path.join(temporary, "content")
        os.mkdir(unpacked)
        members = _members_of_zip if kind == "zip" else _members_of_tar
        most = max(_MOST_BYTES, _MOST_RATIO * os.path.getsize(archive))
        try:
            _unpack(members(archive, most), unpacked, most)
        except _RefusedError as error:
            raise ValueError(f"extract_archive: {archive}: {error}") from None
        except _DAMAGES as error:
            # What the disk refuses is no fault of the archive. Errors of bz2 have no number.
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):
                raise
            raise ValueError(f"extract_archive: {archive}: damaged, or of another kind: {error!r}") from error
        _place(unpacked, folder)
    return True


class _RefusedError(ValueError):
    """An archive wants what it may not."""


def _formats(archive_format: Any) -> list[str]:
    if archive_format is None:
        return []
    if archive_format == "auto":
        return list(_FORMATS)
    formats = [archive_format] if isinstance(archive_format, str) else list(archive_format)
    for entry in formats:
        if entry not in _FORMATS:
            raise ValueError(
                f"extract_archive: archive_format: expected 'auto', 'tar', 'zip', None or a list of them, "
                f"received {archive_format!r}"
            )
    return formats


def _kind(archive: str, formats: list[str]) -> str | None:
    for entry in formats:
        if _is_tar(archive) if entry == "tar" else zipfile.is_zipfile(archive):
            return entry
    return None


def _is_tar(archive: str) -> bool:
    """Whether a file begins as a tar archive does: with a header whose checksum fits, or with zeros."""
    try:
        with _decompressed(archive) as file:
            block = file.read(tarfile.BLOCKSIZE)
        tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except tarfile.HeaderError:
        return len(block) == tarfile.BLOCKSIZE and not any(block)
    except (EOFError, ValueError, gzip.BadGzipFile, lzma.LZMAError, zlib.error):
        return False
    except OSError as error:
        # bz2 raises it without a number for what is damaged.
        if error.errno is not None:
            raise
        return False
    return True


def _decompressed(archive: str) -> Any:
    """What a file holds, whether packed or not."""
    with open(archive, "rb") as file:
        start = file.read(6)
    if start[:2] == b"\x1f\x8b":
        return gzip.open(archive)
    if start[:3] == b"BZh":
        return bz2.open(archive)
    if start == b"\xfd7zXZ\0" or start[:3] == b"\x5d\0\0":
        return lzma.open(archive)
    return open(archive, "rb")


class _Bounded:
    """A stream of which at most so many bytes may be read: headers of tar files may claim any size."""

    def __init__(self, stream: Any, most: int):
        self._stream, self._left = stream, most

    def read(self, size: int = -1) -> bytes:
        chunk: bytes = self._stream.read(min(size, self._left + 1) if size >= 0 else self._left + 1)
        self._left -= len(chunk)
        if self._left < 0:
            raise _RefusedError(_too_much())
        return chunk


def _too_much() -> str:
    return (
        f"expected to unpack to at most {_MOST_BYTES >> 30} GiB, or {_MOST_RATIO} times the size of the "
        "archive where that is more, received more; unpack it by hand if it is meant"
    )


def _members_of_tar(archive: str, most: int) -> Iterator[_Member]:
    with (
        _decompressed(archive) as opened,
        tarfile.open(fileobj=_Bounded(opened, 2 * most), mode="r|") as tar,  # type: ignore[call-overload]
    ):
        for info in tar:
            if info.isdir():
                yield _Member(info.name, "folder")
            elif info.issym():
                yield _Member(info.name, "link", target=info.linkname)
            elif info.islnk():
                yield _Member(info.name, "hard link", target=info.linkname)
            elif info.isreg():
                yield _Member(info.name, "file", tar.extractfile(info))
            else:
                raise _RefusedError(f"{info.name!r}: expected a file, a folder or a link, received a device")


def _members_of_zip(archive: str, most: int) -> Iterator[_Member]:
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            mode = info.external_attr >> 16
            if info.is_dir():
                yield _Member(info.filename, "folder")
            elif stat.S_ISLNK(mode):
                if info.file_size > 4096:
                    raise _RefusedError(
                        f"{info.filename!r}: expected a link, received {info.file_size} bytes"
                    )
                yield _Member(info.filename, "link", target=os.fsdecode(opened.read(info)))
            else:
                with opened.open(info) as content:
                    yield _Member(info.filename, "file", content)


def _unpack(members: Iterator[_Member], folder: str, most: int) -> None:
    """Writes members; links last."""
    left = most
    links: list[tuple[str, str]] = []
    for member in members:
        left -= _MEMBER_BYTES
        inside = _inside(member.name)
        if not inside:
            if member.kind == "folder":
                continue
            raise _RefusedError(f"{member.name!r}: expected the path of a file")
        path = os.path.join(folder, *inside)
        try:
            if member.kind == "folder":
                os.makedirs(path, exist_ok=True)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            if member.kind == "link":
                links.append((path, _target(inside, member)))
                continue
            if member.kind == "hard link":
                source: BinaryIO = open(os.path.join(folder, *_inside(member.target)), "rb")
            else:
                source = member.content
            with source, open(path, "wb") as file:
                while chunk := source.read(_CHUNK):
                    left -= len(chunk)
                    if left < 0:
                        raise _RefusedError(_too_much())
                    file.write(chunk)
        except (FileExistsError, NotADirectoryError, IsADirectoryError, FileNotFoundError) as error:
            raise _RefusedError(
                f"{member.name!r}: does not fit the other members: {error.strerror}"
            ) from error
        if left < 0:
            raise _RefusedError(_too_much())
    for path, target in links:
        try:
            os.symlink(target, path)
        except FileExistsError:
            raise _RefusedError(f"link to {target!r}: another member has its path") from None


def _inside(name: str) -> list[str]:
    """The parts of a path within an archive, which must stay inside of it."""
    plain = name.replace("\\", "/") if os.sep == "\\" else name
    parts = [part for part in plain.split("/") if part not in ("", ".")]
    if plain.startswith("/") or ".." in parts or "\0" in name or (os.sep == "\\" and _DRIVE.match(plain)):
        raise _RefusedError(f"{name!r}: expected a path inside of the archive")
    return parts


def _target(inside: list[str], link: _Member) -> str:
    """Where a link points, which must be inside.

    `..` may only stand at the beginning: behind the name of another link it would leave that link's target.
    """
    parts = [part for part in link.target.split("/") if part not in ("", ".")]
    climbs = next((i for i, part in enumerate(parts) if part != ".."), len(parts))
    if (
        posixpath.isabs(link.target)
        or (os.sep == "\\" and ("\\" in link.target or _DRIVE.match(link.target)))
        or ".." in parts[climbs:]
        or climbs > len(inside) - 1
        or not link.target
    ):
        raise _RefusedError(f"{link.name!r}: expected a link inside of the archive, received {link.target!r}")
    return link.target


def _place(unpacked: str, folder: str) -> None:
    """Gives what was unpacked its name; file by file where the folder is there already."""
    with contextlib.suppress(OSError):
        os.rename(unpacked, folder)
        return
    for base, folders, files in os.walk(unpacked):
        at = os.path.normpath(os.path.join(folder, os.path.relpath(base, unpacked)))
        os.makedirs(at, exist_ok=True)
        for name in [*files, *(f for f in folders if os.path.islink(os.path.join(base, f)))]:
            target = os.path.join(at, name)
            if os.path.isdir(target) and not os.path.islink(target):
                shutil.rmtree(target)
            os.replace(os.path.join(base, name), target)
