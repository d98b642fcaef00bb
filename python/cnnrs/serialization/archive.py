"""Zip archives with few members, as Keras stores models in."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterable

from cnnrs.serialization.atomic import write_bytes

__all__ = ["read_members", "write_members"]

# A member may be this many times as large as its compressed form, or this large.
_RATIO, _SMALL = 200, 1 << 20


def read_members(path: str | os.PathLike[str], wanted: Iterable[str]) -> dict[str, bytes]:
    """Members of an archive, in its order.

    Args:
        path: The archive.
        wanted: Names of members; one that ends in "/" stands for all below it.

    Returns:
        Those of them that are there.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no sound archive: damaged, hostile, encrypted or of an unknown compression.

    >>> import os, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "a.zip")
    ...     write_members(path, {"a": b"1", "b/c": b"2"})
    ...     read_members(path, ["b/"])
    {'b/c': b'2'}
    """
    names = set(wanted)
    size = os.path.getsize(path)
    found: dict[str, bytes] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            seen: set[str] = set()
            for info in archive.infolist():
                name = info.filename
                if name in seen:
                    raise ValueError(f"two members are called {name!r}")
                seen.add(name)
                if name.endswith("/"):
                    continue
                if not any(name == one or (one.endswith("/") and name.startswith(one)) for one in names):
                    continue
                _check(info, size)
                with archive.open(info) as member:
                    content = member.read(info.file_size + 1)
                if len(content) != info.file_size:
                    raise ValueError(f"{name!r} is of another size than declared")
                found[name] = content
    except (
        zipfile.BadZipFile,
        ValueError,
        NotImplementedError,
        RuntimeError,
        EOFError,
        OverflowError,
    ) as error:
        raise ValueError(f"{os.fspath(path)!r} is no sound zip archive: {error}") from error
    except MemoryError as error:
        raise MemoryError(f"{os.fspath(path)!r}: no memory for its members: {error}") from error
    except Exception as error:
        if isinstance(error, OSError):
            raise
        raise ValueError(f"{os.fspath(path)!r} is no sound zip archive: {error}") from error
    return found


def _check(info: zipfile.ZipInfo, size: int) -> None:
    name = info.filename
    parts = name.split("/")
    if name.startswith("/") or "\\" in name or ":" in parts[0] or not all(parts) or set(parts) & {".", ".."}:
        raise ValueError(f"the name {name!r} leads out of the archive")
    if info.flag_bits & 1:
        raise ValueError(f"{name!r} is encrypted")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{name!r} is compressed by an unknown method, {info.compress_type}")
    if info.compress_size > size or info.file_size > max(_SMALL, _RATIO * info.compress_size):
        raise ValueError(f"{name!r} declares {info.file_size} bytes in {info.compress_size}")


def write_members(path: str | os.PathLike[str], members: dict[str, bytes]) -> None:
    """Writes an archive, atomically; the same members give the same bytes.

    Args:
        path: The file to write or replace.
        members: What each member holds, by name.

    Raises:
        OSError: The file cannot be written; whatever stood there is untouched.
    """
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = 0o644 << 16
            archive.writestr(info, content)
    write_bytes(os.fspath(path), raw.getvalue())
