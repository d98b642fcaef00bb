"""One file from the net, whole or absent."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

from cnnrs import config
from cnnrs.base.progbar import Progbar
from cnnrs.fetching.hashes import FileHash, hash_file

__all__ = ["download"]

# Seconds without a byte after which a server counts as gone.
_TIMEOUT = 60.0
_CHUNK = 1 << 16
_SCHEMES = ("http", "https", "ftp", "file")
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


def download(
    origin: str, path: str, expected: FileHash | None, is_there: Callable[[], bool] = lambda: False
) -> bool:
    """Fetches a file into place: to a temporary file beside it first, whose hash is checked.

    Of several processes that fetch one file, one does and the others wait for it. On any error the file
    that was there stays as it was.

    Args:
        origin: The address: http, https, ftp or file. Proxies are those of the environment.
        path: Where the file goes. Its folder is made.
        expected: The hash that it must have; None for any.
        is_there: Asked when it is this process's turn: whether another one has fetched the file.

    Returns:
        Whether it was fetched here.

    Raises:
        ValueError: The address has another scheme, or the file another hash.
        OSError: The server, the net or the disk refuses; the message has the address and the path.
    """
    scheme = urllib.parse.urlsplit(origin).scheme.lower()
    if scheme not in _SCHEMES:
        raise ValueError(
            f"get_file: origin: expected an address that begins with {', '.join(_SCHEMES)}, "
            f"received {origin!r}"
        )
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, exist_ok=True)
        part = _Part(path)
    except OSError as error:
        raise type(error)(
            error.errno,
            f"get_file: the folder of fetched files cannot be written to ({error.strerror}); set CNNRS_HOME "
            "or give cache_dir",
            folder,
        ) from error
    with part.file:
        try:
            if is_there():
                return False
            _fetch(origin, path, part.file, expected)
            if sys.platform == "win32":  # where an open file keeps its name; elsewhere it holds the lock
                part.file.close()
            _check(origin, part.path, expected)
            os.replace(part.path, path)
            part.path = ""
        finally:
            part.remove()
    return True


class _Part:
    """The temporary file of a file to be, which one process has at a time.

    Where the system locks files, the name is always the same, so that what a killed process left is
    written over. Elsewhere each process has a name of its own.
    """

    def __init__(self, path: str):
        folder, name = os.path.split(path)
        self.path = os.path.join(folder, f".{name}.part")
        file = _locked(self.path)
        if file is None:
            self.path = os.path.join(folder, f".{name}.{secrets.token_hex(8)}.part")
            file = open(self.path, "xb")
        self.file: BinaryIO = file

    def remove(self) -> None:
        """Removes the file, unless it has got its name."""
        if self.path:
            with contextlib.suppress(OSError):
                os.remove(self.path)


def _locked(path: str) -> BinaryIO | None:
    """An empty file that no other process has; None where there are no locks."""
    if sys.platform == "win32":
        return None
    import fcntl

    while True:
        # No link that somebody else placed there is followed.
        file = open(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666), "wb")
        try:
            fcntl.flock(file, fcntl.LOCK_EX)
        except OSError:  # a file system without locks
            file.close()
            with contextlib.suppress(OSError):
                os.remove(path)
            return None
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.stat(path), os.fstat(file.fileno())):
                file.truncate(0)
                return file
        # Who had it has given it its name, or removed it.
        file.close()


def _fetch(origin: str, path: str, file: BinaryIO, expected: FileHash | None) -> None:
    """Writes what an address gives to a file."""
    say = config.is_interactive_logging_enabled()
    if say and sys.stdout is not None:
        print(f"Downloading data from {origin}", flush=True)
    try:
        request = urllib.request.Request(origin, headers={"User-Agent": "cnnrs"})
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:
            # An encoded body has another length than its header says.
            encoded = response.headers.get("Content-Encoding")
            length = None if encoded else _length(response.headers.get("Content-Length"))
            bar = Progbar(length, verbose=_verbosity(say))
            done = 0
            for chunk in _chunks(response):
                _write(file, chunk, path)
                done += len(chunk)
                if length is None or done < length:
                    bar.update(done)
            if length is not None and done != length:
                raise ConnectionError(f"the connection ended after {done} of {length} bytes")
            bar.update(done, finalize=True)
        _write(file, b"", path)
    except _DiskError as error:
        raise OSError(*error.args) from error.__cause__
    except Exception as error:
        if not isinstance(error, (OSError, ValueError)) and "http.client" not in type(error).__module__:
            raise
        if isinstance(error, urllib.error.HTTPError):
            error.close()  # it is the response, too
        hint = f", of {expected}" if expected else ""
        raise ConnectionError(
            f"get_file: URL fetch failure on {origin}: {_reason(error)}. To use the file without the net, "
            f"put it at {path}{hint}"
        ) from error


class _DiskError(Exception):
    """The disk refuses, not the net; the arguments of an OSError."""


def _write(file: BinaryIO, chunk: bytes, path: str) -> None:
    """Writes; nothing to write is the end."""
    try:
        if chunk:
            file.write(chunk)
        else:
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        what = "no room on the disk" if error.errno in _FULL else error.strerror
        raise _DiskError(error.errno, f"get_file: {what} while the file was fetched", path) from error


def _chunks(response: Any) -> Iterator[bytes]:
    while chunk := response.read(_CHUNK):
        yield chunk


def _length(header: str | None) -> int | None:
    return int(header) if header is not None and header.isascii() and header.isdigit() else None


def _verbosity(say: bool) -> int:
    """A bar on terminals, one line elsewhere, nothing where logging is off."""
    terminal = sys.stdout is not None and getattr(sys.stdout, "isatty", lambda: False)()
    return 0 if not say else 1 if terminal else 2


def _reason(error: Exception) -> str:
    """What a server or the net said."""
    if isinstance(error, urllib.error.HTTPError):
        return f"{error.code} {error.reason}"
    reason = getattr(error, "reason", None)
    if isinstance(reason, Exception):
        return _reason(reason)
    return str(reason or error) or type(error).__name__


def _check(origin: str, path: str, expected: FileHash | None) -> None:
    if expected is None or expected.fits(path):
        return
    raise ValueError(
        f"get_file: Incomplete or corrupted file detected: {origin} gave a file of {expected.algorithm} "
        f"{hash_file(path, expected.algorithm)}, expected {expected}. The file was deleted"
    )
