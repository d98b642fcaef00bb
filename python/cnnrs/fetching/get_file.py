"""`get_file`: the path of a file from the net, which is fetched once."""

from __future__ import annotations

import os
import urllib.parse
from typing import Any

from cnnrs.base.arguments import file_path, flag, named
from cnnrs.fetching.archives import extract_archive
from cnnrs.fetching.download import download
from cnnrs.fetching.hashes import FileHash
from cnnrs.fetching.home import home, keras_home

__all__ = ["get_file"]


@named
def get_file(
    fname: Any = None,
    origin: str | None = None,
    untar: bool = False,
    md5_hash: str | None = None,
    file_hash: str | None = None,
    cache_subdir: Any = "datasets",
    hash_algorithm: str = "auto",
    extract: bool = False,
    archive_format: Any = "auto",
    cache_dir: Any = None,
    force_download: bool = False,
) -> str:
    """Fetches a file from an address, once, and gives the path where it lies.

    The file is written beside its place, its hash is checked, and then it gets its name: on an error, and for
    other processes meanwhile, there is no part of a file, and the previous one stays.

    Args:
        fname: Name of the file; None for that in the address. With `extract` and without a dot, it is the
            name of the folder.
        origin: The address: http, https, ftp or file. Proxies are those of the environment variables
            `http_proxy`, `https_proxy` and `no_proxy`.
        untar: Whether it is a tar archive to unpack; `extract` has taken its place.
        md5_hash: Its MD5 hash; `file_hash` has taken its place.
        file_hash: Its SHA-256 or MD5 hash in hexadecimal digits; None trusts the server.
        cache_subdir: Folder inside of `cache_dir`, or any folder by its absolute path.
        hash_algorithm: "sha256", "md5", or "auto" for that whose hashes are as long.
        extract: Whether it is an archive to unpack: zip, or tar, alone or packed by gzip, bzip2 or xz.
        archive_format: "tar", "zip" or a list of them; "auto" for both.
        cache_dir: The folder of fetched files; None for `$CNNRS_HOME`, or `~/.cnnrs`. Then a file of Keras's
            folder, `$KERAS_HOME` or `~/.keras`, is used where it has `file_hash`.
        force_download: Whether the file is fetched although it is there.

    Returns:
        The path of the file; of the folder that it was unpacked to, if it was. That is `fname` without a dot,
        else its beginning and `_extracted`, or the name in the address.

    Raises:
        ValueError: An argument is none, the file has another hash, or the archive is damaged, leads out of
            its folder, or unpacks to more than 4 GiB and than 100 times its size. Nothing is left of it.
        OSError: The server, the net or the disk refuses. The message has the address, and the path at which
            the file can be put by hand.

    Example:
        >>> import pathlib, tempfile
        >>> from cnnrs import utils
        >>> folder = pathlib.Path(tempfile.mkdtemp())
        >>> _ = (folder / "numbers.txt").write_text("1 2 3")
        >>> path = utils.get_file(origin=(folder / "numbers.txt").as_uri(), cache_dir=folder)
        Downloading data from file:///.../numbers.txt
        ...
        >>> pathlib.Path(path).relative_to(folder).as_posix(), pathlib.Path(path).read_text()
        ('datasets/numbers.txt', '1 2 3')
    """
    if not isinstance(origin, str) or not origin:
        raise ValueError(f"get_file: origin: expected the address of the file, received {origin!r}")
    if md5_hash is not None and file_hash is None:
        file_hash, hash_algorithm = md5_hash, "md5"
    expected = None if file_hash is None else FileHash("get_file", file_hash, hash_algorithm)
    unpacked = flag(extract, "get_file", "extract") or flag(untar, "get_file", "untar")
    forced = flag(force_download, "get_file", "force_download")
    base = home() if cache_dir is None else os.path.expanduser(file_path(cache_dir, "get_file"))
    subdir = file_path(cache_subdir, "get_file")
    folder = os.path.join(base, subdir)
    name, given = _name(fname, origin)
    file, folder_of_archive = name, name
    if unpacked:
        dotted = given and "." in name
        file = name if dotted else f"{name}_archive"
        folder_of_archive = f"{name[: name.find('.')]}_extracted" if dotted else name
    path = os.path.join(folder, file)

    def is_there() -> bool:
        return not forced and (expected.fits(path) if expected else os.path.exists(path))

    found, fresh = path, False
    if not is_there():
        kept = os.path.join(keras_home(), subdir, file)
        if cache_dir is None and expected is not None and not forced and expected.fits(kept):
            found = kept
        else:
            fresh = download(origin, path, expected, is_there)
    if not unpacked:
        return found
    return _unpacked(
        found, os.path.join(folder, folder_of_archive), "tar" if untar else archive_format, fresh
    )


def _name(fname: Any, origin: str) -> tuple[str, bool]:
    """The name of the file, and whether it was given."""
    name = "" if fname is None else file_path(fname, "get_file")
    if not name:
        name = os.path.basename(urllib.parse.urlsplit(origin).path)
        if name in ("", os.curdir, os.pardir) or os.path.splitdrive(name)[0] or "\0" in name:
            raise ValueError(
                f"get_file: Can't parse the file name from the origin {origin!r}; give its name as fname"
            )
        return name, False
    if os.path.basename(name) != name or name in (os.curdir, os.pardir) or os.path.splitdrive(name)[0]:
        raise ValueError(
            f"get_file: fname: expected a name without folders, received {name!r}; cache_subdir and "
            "cache_dir say where it lies"
        )
    return name, True


def _unpacked(archive: str, folder: str, archive_format: Any, fresh: bool) -> str:
    """Unpacks an archive, unless the folder has been made of it, and gives the folder."""
    # A hidden file beside the folder says of which archive it was made.
    about = os.stat(archive)
    mark = os.path.join(os.path.dirname(folder), f".{os.path.basename(folder)}.unpacked")
    state = f"{about.st_size} {about.st_mtime_ns}"
    if not fresh and os.path.isdir(folder):
        try:
            with open(mark, encoding="ascii") as file:
                if file.read() == state:
                    return folder
        except (OSError, UnicodeDecodeError):
            pass
    if not extract_archive(archive, folder, archive_format):
        raise ValueError(
            f"get_file: extract: expected an archive (tar, alone or packed by gzip, bzip2 or xz, or zip; "
            f"archive_format={archive_format!r}), received {archive}"
        )
    with open(mark, "w", encoding="ascii") as file:
        file.write(state)
    return folder
