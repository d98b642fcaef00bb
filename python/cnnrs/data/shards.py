"""Tar files of samples, in the layout of webdataset: `0001.jpg`, `0001.cls`, `0002.jpg` and so on.

The files of a sample lie one behind the other and have one name up to the first dot; the rest of the name
says what a file is. https://github.com/webdataset/webdataset#the-webdataset-format
"""

from __future__ import annotations

import io
import itertools
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from cnnrs.base.arguments import file_path, integer
from cnnrs.base.extras import library
from cnnrs.data.decoding import Decoding
from cnnrs.data.elements import host
from cnnrs.data.image_files import IMAGE_SUFFIXES
from cnnrs.data.strings import StringTensor

__all__ = ["Field", "samples_of", "write_shards"]

_IMAGES = {suffix[1:] for suffix in IMAGE_SUFFIXES}
_INTEGERS = {"cls", "cls2", "index", "inx", "id", "count"}
_PROGRAMS = {"pyd", "pickle", "pkl", "pth", "pt"}
_KEY = "__key__"


class _Member(tarfile.TarInfo):
    """The header of a file, which is there or damaged: `tarfile` takes a damaged one for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Any:
        try:
            return super().fromtarfile(archive)
        # Documented by no stub, but what subclasses of TarInfo are told the end by.
        except tarfile.EOFHeaderError:  # type: ignore[attr-defined]
            # Two blocks of zeros are the end; a single one is a header that was overwritten.
            if (archive.fileobj.read(tarfile.BLOCKSIZE) if archive.fileobj else b"").strip(b"\0"):
                raise tarfile.ReadError("a header of zeros") from None
            raise
        except tarfile.HeaderError as error:
            raise tarfile.ReadError(
                f"{error}: expected another file, or two blocks of zeros at the end"
            ) from None


def samples_of(path: str, where: str) -> Iterator[dict[str, Any]]:
    """The samples of a tar file: dicts of the bytes of their files, and `__key__`, the name.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is no tar file, or damaged; the message names the last sample before.
    """
    sample: dict[str, Any] = {}
    try:
        with tarfile.open(path, "r|*", tarinfo=_Member) as archive:
            for member in archive:
                if not member.isfile():
                    continue
                folder, _, base = member.name.rpartition("/")
                stem, _, extension = base.partition(".")
                if not stem:
                    continue
                key, extension = (f"{folder}/{stem}" if folder else stem), extension.lower()
                if sample and sample[_KEY] != key:
                    yield sample
                    sample = {}
                if extension in sample:
                    raise ValueError(f"expected one file {member.name!r}, found two")
                content = archive.extractfile(member)
                assert content is not None
                sample[_KEY] = key
                sample[extension] = content.read()
    except FileNotFoundError:
        raise
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError) as error:
        after = f", after the sample {sample[_KEY]!r}" if sample else ""
        raise ValueError(f"{where}: {path}: not a tar file of samples, or damaged{after}: {error}") from error
    if sample:
        yield sample


class Field:
    """A part of the elements: which file of a sample it is, and how it is read.

    Args:
        name: An extension, or several with ";" between, of which the first that is there counts: "jpg;png";
            "json:key" for an entry of a JSON file; "__key__" for the name of the sample.
        decoding: How images are decoded.
        where: What errors call the function.
    """

    def __init__(self, name: str, decoding: Decoding, where: str):
        self.name = name
        self._decoding, self._where = decoding, where
        self._choices = [tuple(part.strip().lower().partition(":")[::2]) for part in name.split(";")]
        self._entries = [part.partition(":")[2] for part in name.split(";")]
        for extension, _ in self._choices:
            if extension.rpartition(".")[2] in _PROGRAMS:
                raise ValueError(
                    f"{where}: fields: {name!r}: pickles are programs and are not read; use npy, json or cls"
                )

    def of(self, sample: dict[str, Any], path: str) -> Any:
        """The part of a sample.

        Raises:
            ValueError: The sample has no such file, or it is damaged; the message names shard and sample.
        """
        place = f"{self._where}: {path}: sample {sample[_KEY]!r}"
        for (extension, _), entry in zip(self._choices, self._entries, strict=True):
            if extension in sample:
                try:
                    return self._read(extension, entry, sample[extension])
                except (ValueError, KeyError, EOFError) as error:
                    said = f"no entry {error}" if isinstance(error, KeyError) else error
                    raise ValueError(f"{place}: {extension}: {said}") from error
        there = sorted(key for key in sample if key != _KEY)
        raise ValueError(f"{place}: expected a file {self.name!r}, found {there}")

    def _read(self, extension: str, entry: str, content: Any) -> Any:
        if extension == _KEY:
            return StringTensor(content)
        kind = extension.rpartition(".")[2]
        if kind in _IMAGES:
            return self._decoding.one(content, self._where)
        if kind in _INTEGERS:
            return np.int64(int(content))
        if kind == "json" and entry:
            value = json.loads(content)
            for key in entry.split("."):
                value = value[key]
            return value
        if kind == "npy":
            return np.load(io.BytesIO(content), allow_pickle=False)
        return StringTensor(content)


def _encoded(extension: str, value: Any, where: str) -> bytes:
    """A part of a sample as the bytes of a file."""
    value = host(value)
    kind = extension.rpartition(".")[2]
    if isinstance(value, StringTensor):
        value = value.numpy()
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if kind in _IMAGES and isinstance(value, np.ndarray):
        image, file = library("PIL.Image", "image", where), io.BytesIO()
        if value.dtype != np.uint8 or value.ndim not in (2, 3):
            raise TypeError(
                f"{where}: expected an image of uint8, (height, width, channels), received {value.dtype} of "
                f"shape {value.shape}; arrays of other types go under 'npy'"
            )
        pixels = value[:, :, 0] if value.ndim == 3 and value.shape[2] == 1 else value
        kind = {"jpg": "jpeg", "tif": "tiff"}.get(kind, kind)
        image.fromarray(pixels).save(file, kind.upper())
        return file.getvalue()
    if kind in _INTEGERS:
        return str(int(value)).encode()
    if kind == "json":
        return json.dumps(value).encode()
    if kind == "npy":
        file = io.BytesIO()
        np.save(file, value, allow_pickle=False)
        return file.getvalue()
    raise TypeError(f"{where}: expected bytes or text for {extension!r}, received {type(value).__name__}")


def write_shards(samples: Iterable[dict[str, Any]], pattern: Any, samples_per_shard: int = 1000) -> list[str]:
    """Writes samples to tar files that `Dataset.from_shards`, webdataset and others read.

    A file gets its name when it is whole. The same samples give the same bytes.

    Args:
        samples: Dicts: under "__key__" the name of the sample, or none for its number; and under extensions
            what files of these names hold: bytes or text as they are, integers under "cls", arrays of uint8
            under "jpg" or "png", other arrays under "npy", plain data under "json".
        pattern: The paths of the files, with the place of their number: "train-{:04d}.tar", "train-%04d.tar".
        samples_per_shard: How many samples a file holds.

    Returns:
        The paths.

    Raises:
        ImportError: Arrays are to be images, and Pillow is not there.
        TypeError: A value is none of these.
        ValueError: `pattern` has no place for a number, or there are no samples.

    Example:
        >>> import tempfile
        >>> from cnnrs.data import Dataset, write_shards
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     samples = [{"txt": f"text {i}", "cls": i} for i in range(3)]
        ...     paths = write_shards(samples, folder + "/part-{:02d}.tar", samples_per_shard=2)
        ...     data = Dataset.from_shards(paths, fields=("txt", "cls"))
        ...     len(paths), [(text.numpy(), int(label)) for text, label in data]
        (2, [(b'text 0', 0), (b'text 1', 1), (b'text 2', 2)])
    """
    where = "write_shards"
    name = file_path(pattern, where)
    number = _numbering(name, where)
    size = integer(samples_per_shard, where, "samples_per_shard", least=1)
    rest, paths = iter(enumerate(samples)), []
    for shard in itertools.count():
        group = list(itertools.islice(rest, size))
        if not group:
            break
        path = number(shard)
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        try:
            with tarfile.open(f"{path}.part", "w", format=tarfile.PAX_FORMAT) as archive:
                keys: set[str] = set()
                for index, sample in group:
                    _write(archive, sample, index, keys, where)
            os.replace(f"{path}.part", path)
        except BaseException:
            if os.path.exists(f"{path}.part"):
                os.remove(f"{path}.part")
            raise
        paths.append(path)
    if not paths:
        raise ValueError(f"{where}: samples: expected at least one, received none")
    return paths


def _write(archive: tarfile.TarFile, sample: dict[str, Any], index: int, keys: set[str], where: str) -> None:
    key = str(sample.get(_KEY, f"{index:06d}"))
    if "." in key.rpartition("/")[2]:
        raise ValueError(f"{where}: __key__: expected a name without dots, received {key!r}")
    if key in keys:
        raise ValueError(f"{where}: __key__: expected names that differ, received {key!r} twice in a shard")
    keys.add(key)
    for extension, value in sample.items():
        if extension != _KEY:
            content = _encoded(extension, value, f"{where}: sample {key!r}: {extension!r}")
            member = tarfile.TarInfo(f"{key}.{extension}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def _numbering(pattern: str, where: str) -> Callable[[int], str]:
    for style in (pattern.format, lambda n: pattern % n):
        try:
            if style(0) != style(1):
                return style
        except (IndexError, KeyError, TypeError, ValueError):
            continue
    raise ValueError(f"{where}: pattern: expected a place for a number, as {{:04d}}, received {pattern!r}")
