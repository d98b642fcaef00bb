"""Files of TFRecords: bytes one behind the other, each between its length and its checksum.

A record is its length (8 bytes, little-endian), the masked CRC-32C of these, its bytes, and their masked
CRC-32C: https://www.tensorflow.org/tutorials/load_data/tfrecord. Files may be compressed as a whole.
"""

from __future__ import annotations

import contextlib
import gzip
import os
import secrets
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from cnnrs.base.arguments import file_path
from cnnrs.data.strings import StringTensor, as_bytes

__all__ = ["RecordWriter", "read_records"]

_LENGTH = struct.Struct("<QI")
_CHECKSUM = struct.Struct("<I")
_COMPRESSIONS = ("", "GZIP", "ZLIB")
# A length beyond what is left of a file is found out by parts of this size, before memory is taken for it.
_PART = 2**24


def _crc32c(name: str) -> Callable[[bytes], int]:
    """The checksum, by the package google-crc32c.

    Raises:
        ImportError: It is not there; the message names the extra.
    """
    try:
        import google_crc32c
    except ImportError as error:
        raise ImportError(
            f"{name}: google-crc32c is not there; install it with: pip install 'cnnrs[tfrecord]'"
        ) from error
    value: Callable[[bytes], int] = google_crc32c.value
    return value


def _masked(checksum: int) -> int:
    """The form in which a checksum is stored."""
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def compression_of(value: Any, owner: str) -> str:
    """A compression by its name: "", "GZIP" or "ZLIB"; None and `TFRecordOptions` stand for one.

    Raises:
        ValueError: It is none of them.
    """
    value = getattr(value, "compression_type", value)
    if isinstance(value, StringTensor):
        value = value.item().decode()
    if value is None or value in _COMPRESSIONS:
        return value or ""
    raise ValueError(f"{owner}: compression_type: expected '', 'GZIP' or 'ZLIB', received {value!r}")


def new_file(path: str) -> tuple[Any, str]:
    """A new file beside `path`, open to write, and its name: what is whole takes the place of `path`."""
    folder, name = os.path.split(path)
    temporary = os.path.join(folder, f".{name}.{secrets.token_hex(4)}")
    return open(temporary, "xb"), temporary


class _ZlibFile:
    """Reads what `zlib` compressed, part by part."""

    def __init__(self, path: str):
        self._file = open(path, "rb")
        self._decompressor = zlib.decompressobj()
        self._ready = b""

    def read(self, count: int) -> bytes:
        while len(self._ready) < count:
            raw = self._decompressor.unconsumed_tail or self._file.read(2**16)
            if not raw:
                if not self._decompressor.eof:
                    raise EOFError("the file is cut off")
                break
            self._ready += self._decompressor.decompress(raw, max(count - len(self._ready), 2**16))
        found, self._ready = self._ready[:count], self._ready[count:]
        return found

    def close(self) -> None:
        self._file.close()


def _opened(path: str, compression: str, buffer_size: int) -> Any:
    if compression == "GZIP":
        return gzip.open(path, "rb")
    return open(path, "rb", buffering=buffer_size) if compression == "" else _ZlibFile(path)


def _read(file: Any, count: int) -> bytes:
    """As many bytes, or those that are left."""
    parts = []
    while count > 0:
        part = file.read(min(count, _PART))
        if not part:
            break
        parts.append(part)
        count -= len(part)
    return b"".join(parts) if len(parts) != 1 else parts[0]


def read_records(
    path: Any, compression_type: Any = "", name: str = "TFRecordDataset", buffer_size: int = 2**18
) -> Iterator[bytes]:
    """The records of a file.

    Args:
        path: The file.
        compression_type: "", "GZIP" or "ZLIB".
        name: What errors call the reader.
        buffer_size: Bytes that are read at once.

    Raises:
        FileNotFoundError: There is no such file.
        ImportError: The package google-crc32c is not there.
        ValueError: A record is damaged or cut off; the message says at which byte it begins.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with RecordWriter(f"{folder}/a.tfrecord") as writer:
    ...         writer.write(b"first")
    ...     list(read_records(f"{folder}/a.tfrecord"))
    [b'first']
    """
    crc32c = _crc32c(name)
    path, compression = file_path(path, name), compression_of(compression_type, name)
    offset = 0

    def damaged(what: str) -> ValueError:
        where = "" if compression == "" else " of what it decompresses to"
        return ValueError(f"{name}: {path}: the record at byte {offset}{where} is damaged: {what}")

    with contextlib.closing(_opened(path, compression, max(buffer_size, 2))) as file:
        while True:
            try:
                head = _read(file, _LENGTH.size)
                if not head:
                    return
                if len(head) < _LENGTH.size:
                    raise damaged("the file ends in its length")
                length, checksum = _LENGTH.unpack(head)
                if _masked(crc32c(head[:8])) != checksum:
                    hint = _hint(head) if offset == 0 else ""
                    raise damaged(f"the checksum of its length differs{hint}")
                data = _read(file, length)
                tail = _read(file, _CHECKSUM.size)
            except (EOFError, zlib.error, gzip.BadGzipFile) as error:
                raise damaged(f"{compression} says: {error}") from None
            if len(data) < length or len(tail) < _CHECKSUM.size:
                raise damaged(f"the file ends behind {len(data)} of its {length} bytes")
            if _masked(crc32c(data)) != _CHECKSUM.unpack(tail)[0]:
                raise damaged("the checksum of its bytes differs")
            yield data
            offset += _LENGTH.size + length + _CHECKSUM.size


def _hint(head: bytes) -> str:
    if head[:2] == b"\x1f\x8b":
        return '; the file looks like one of compression_type="GZIP"'
    if head[:1] == b"\x78":
        return '; the file looks like one of compression_type="ZLIB"'
    return "; is it a file of TFRecords?"


class RecordWriter:
    """Writes a file of records; it gets its name when it is whole.

    Args:
        path: The file. What lies there is replaced when the writer is closed.
        options: "", "GZIP" or "ZLIB", or a `TFRecordOptions`.

    Raises:
        ImportError: The package google-crc32c is not there.
        ValueError: `options` is none of these.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with RecordWriter(f"{folder}/a.tfrecord", "GZIP") as writer:
        ...         for i in range(3):
        ...             writer.write(str(i))
        ...     list(read_records(f"{folder}/a.tfrecord", "GZIP"))
        [b'0', b'1', b'2']
    """

    _file: Any = None

    def __init__(self, path: Any, options: Any = None):
        self._crc32c = _crc32c("TFRecordWriter")
        self.path = file_path(path, "TFRecordWriter")
        self._compression = compression_of(options, "TFRecordWriter")
        self._raw, self._temporary = new_file(self.path)
        self._compressor = zlib.compressobj() if self._compression == "ZLIB" else None
        # The same records make the same bytes: no time in the header.
        gzipped = self._compression == "GZIP"
        self._file = (
            gzip.GzipFile(filename="", mode="wb", fileobj=self._raw, mtime=0) if gzipped else self._raw
        )

    def write(self, record: Any) -> None:
        """Appends a record: bytes, or text.

        Raises:
            TypeError: It is neither.
            ValueError: The writer is closed.
        """
        if self._file is None:
            raise ValueError("TFRecordWriter.write: the writer is closed")
        data = as_bytes(record)
        head = struct.pack("<Q", len(data))
        self._put(
            b"".join(
                (
                    head,
                    _CHECKSUM.pack(_masked(self._crc32c(head))),
                    data,
                    _CHECKSUM.pack(_masked(self._crc32c(data))),
                )
            )
        )

    def _put(self, data: bytes) -> None:
        self._file.write(data if self._compressor is None else self._compressor.compress(data))

    def flush(self) -> None:
        """Hands what was written to the system. The file gets its name when the writer is closed."""
        if self._file is not None:
            self._file.flush()

    def close(self) -> None:
        """Ends the file and gives it its name. Closing twice does nothing.

        Raises:
            OSError: There is no room, or the file must not be replaced; what lay there stays.
        """
        if self._file is None:
            return
        file, self._file = self._file, None
        try:
            if self._compressor is not None:
                file.write(self._compressor.flush())
            file.close()
            self._raw.close()
            os.replace(self._temporary, self.path)
        except BaseException:
            self._discard()
            raise

    def _discard(self) -> None:
        with contextlib.suppress(OSError):
            self._raw.close()
        with contextlib.suppress(OSError):
            os.unlink(self._temporary)

    def __enter__(self) -> RecordWriter:
        return self

    def __exit__(self, kind: Any, *exception: object) -> None:
        if kind is None:
            self.close()
        elif self._file is not None:
            # What a failure left half written takes nobody's place.
            self._file = None
            self._discard()

    def __del__(self) -> None:
        # As in TensorFlow, a writer that is forgotten has written its file.
        with contextlib.suppress(Exception):
            self.close()
