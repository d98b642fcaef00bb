"""`utils.get_file`: files from a server on this machine, kept, checked and unpacked."""

from __future__ import annotations

import errno
import hashlib
import http.server
import io
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnrs import utils
from cnnrs.fetching import archives, download, extract_archive, hash_file, validate_file

CONTENT = bytes(range(256)) * 1000


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        if self.path == "/absent":
            self.send_error(404)
            return
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/numbers.bin")
            self.end_headers()
            return
        content = self.server.files.get(self.path, CONTENT)
        self.send_response(200)
        if self.path != "/unknown":
            self.send_header("Content-Length", str(len(content) + (self.path == "/short")))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    made = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    made.daemon_threads = False  # `server_close` waits for them
    made.asked, made.files = [], {}
    made.url = f"http://127.0.0.1:{made.server_port}"
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home of its own, and Keras's beside it."""
    monkeypatch.setenv("CNNRS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home"


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())


@pytest.mark.parametrize("path", ["/numbers.bin", "/moved", "/unknown"])
@pytest.mark.parametrize("algorithm", [None, "sha256", "md5"])
def test_a_file_is_fetched_once(server, home, capsys, path, algorithm):
    given = {} if algorithm is None else {"file_hash": hashlib.new(algorithm, CONTENT).hexdigest().upper()}
    found = utils.get_file("numbers.bin", server.url + path, **given)
    assert found == str(home / "datasets" / "numbers.bin") and Path(found).read_bytes() == CONTENT
    out = capsys.readouterr().out
    assert out.startswith(f"Downloading data from {server.url}{path}\n")
    assert out.count("\n") == 2
    asked = list(server.asked)
    assert utils.get_file("numbers.bin", server.url + path, **given) == found
    assert server.asked == asked and files(home) == ["datasets/numbers.bin"]
    assert capsys.readouterr().out == ""
    assert utils.get_file("numbers.bin", server.url + path, force_download=True, **given) == found
    assert server.asked == asked * 2


def test_the_arguments_say_where_it_lies(server, home, tmp_path):
    origin = f"{server.url}/numbers.bin?version=3#part"
    assert utils.get_file(origin=origin, cache_subdir="models") == str(home / "models" / "numbers.bin")
    other = tmp_path / "other"
    assert utils.get_file(Path("a"), origin, cache_dir=other) == str(other / "datasets" / "a")
    assert utils.get_file("a", origin, cache_subdir=tmp_path / "absolute") == str(tmp_path / "absolute" / "a")
    md5 = hashlib.md5(CONTENT).hexdigest()
    assert Path(utils.get_file("b", origin, False, md5)).read_bytes() == CONTENT


def test_files_of_keras_are_used_where_their_hashes_fit(server, home, tmp_path):
    kept = tmp_path / "keras" / "datasets" / "numbers.bin"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(CONTENT)
    origin, sha256 = f"{server.url}/numbers.bin", hashlib.sha256(CONTENT).hexdigest()
    assert utils.get_file(origin=origin, file_hash=sha256) == str(kept)
    assert server.asked == []
    # Neither one of which nobody knows whether it is the one, nor one that is asked for elsewhere.
    assert utils.get_file(origin=origin) == str(home / "datasets" / "numbers.bin")
    utils.get_file(origin=origin, file_hash=sha256, cache_dir=tmp_path / "other")
    kept.write_bytes(b"damaged")
    (home / "datasets" / "numbers.bin").unlink()
    assert utils.get_file(origin=origin, file_hash=sha256) == str(home / "datasets" / "numbers.bin")
    assert len(server.asked) == 3 and kept.read_bytes() == b"damaged"


@pytest.mark.parametrize("algorithm", ["sha256", "md5"])
def test_another_hash_is_named_and_the_previous_file_stays(server, home, algorithm):
    right, wrong = (hashlib.new(algorithm, content).hexdigest() for content in (CONTENT, b"other"))
    path = home / "datasets" / "numbers.bin"
    for previous in (None, b"the previous one"):
        if previous:
            path.write_bytes(previous)
        with pytest.raises(ValueError, match=f"{right}, expected {algorithm} {wrong}"):
            utils.get_file(origin=f"{server.url}/numbers.bin", file_hash=wrong)
        assert files(home) == (["datasets/numbers.bin"] if previous else [])
    assert path.read_bytes() == b"the previous one"


def refused(tmp_path: Path) -> str:
    """An address at which nobody listens."""
    import socket

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/x"


@pytest.mark.parametrize(
    ("origin", "reason"),
    [("absent", "404"), ("short", "the connection ended after 256000 of 256001 bytes"),
     ("refused", "refused"), ("file", "No such file"), ("tls", "SSL|TLS|WRONG_VERSION|wrong version")],
)  # fmt: skip
@pytest.mark.parametrize("previous", [False, True])
def test_what_the_net_refuses_names_address_and_path(server, home, tmp_path, origin, reason, previous):
    address = {
        "absent": f"{server.url}/absent",
        "short": f"{server.url}/short",
        "refused": refused(tmp_path),
        "file": (tmp_path / "nothing").as_uri(),
        "tls": server.url.replace("http", "https") + "/x",
    }[origin]
    path = home / "datasets" / "a.bin"
    if previous:
        path.parent.mkdir(parents=True)
        path.write_bytes(b"previous")
    with pytest.raises(ConnectionError, match=f"{re.escape(address)}: .*({reason}).*") as caught:
        utils.get_file("a.bin", address, file_hash="0" * 64)
    assert f"put it at {path}, of sha256 {'0' * 64}" in str(caught.value)
    assert files(home) == (["datasets/a.bin"] if previous else [])


def test_a_server_that_says_nothing_is_given_up(home, monkeypatch):
    import socket

    monkeypatch.setattr(download, "_TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(ConnectionError, match="timed out"):
            utils.get_file("a.bin", address)


def test_proxies_of_the_environment_are_asked(server, home, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url)
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    # urllib reads them when it is first used.
    monkeypatch.setattr(urllib.request, "_opener", None)
    utils.get_file("a", "http://example.invalid/numbers.bin")
    assert server.asked == ["http://example.invalid/numbers.bin"]


def test_a_full_disk_leaves_nothing(server, home, monkeypatch):
    path = Path(utils.get_file(origin=f"{server.url}/numbers.bin"))

    def full(fd):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no room on the disk") as caught:
        utils.get_file(origin=f"{server.url}/numbers.bin", force_download=True)
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == str(path)
    assert files(home) == ["datasets/numbers.bin"] and path.read_bytes() == CONTENT


def test_an_interrupt_leaves_nothing(server, home, monkeypatch):
    def interrupted(file, chunk, path):
        raise KeyboardInterrupt

    monkeypatch.setattr(download, "_write", interrupted)
    with pytest.raises(KeyboardInterrupt):
        utils.get_file(origin=f"{server.url}/numbers.bin")
    assert files(home) == []


def test_a_home_that_cannot_be_written_to_is_named(server, tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("CNNRS_HOME", str(tmp_path / "file"))
    with pytest.raises(OSError, match="set CNNRS_HOME or give cache_dir"):
        utils.get_file(origin=f"{server.url}/numbers.bin")


def test_of_several_processes_one_fetches(server, home):
    program = """
import sys
from cnnrs import utils
from cnnrs.fetching import hash_file
print("ready", flush=True)
sys.stdin.readline()
url, expected = sys.argv[1:]
print(hash_file(utils.get_file(origin=url, file_hash=expected)), flush=True)
"""
    expected = hashlib.sha256(CONTENT).hexdigest()
    command = [sys.executable, "-c", program, f"{server.url}/numbers.bin", expected]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    assert [process.stdout.readline() for process in processes] == ["ready\n"] * 2
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=120)[0].splitlines()[-1] for process in processes]
    assert answers == [expected] * 2 and server.asked == ["/numbers.bin"]
    assert files(home) == ["datasets/numbers.bin"]


def test_threads_wait_for_one_another(server, home):
    url = f"{server.url}/numbers.bin"
    threads = [threading.Thread(target=utils.get_file, kwargs={"origin": url}) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert server.asked == ["/numbers.bin"] and files(home) == ["datasets/numbers.bin"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "origin: expected"),
        ({"origin": "gopher://x/y"}, "origin: expected an address that begins with http"),
        ({"origin": "http://x/.."}, "Can't parse the file name"),
        ({"origin": "http://x/"}, "Can't parse the file name"),
        ({"fname": "a/b", "origin": "http://x/y"}, "fname: expected a name without folders"),
        ({"fname": "..", "origin": "http://x/y"}, "fname: expected a name without folders"),
        ({"origin": "http://x/y", "file_hash": "12"}, "file_hash: expected 64 or 32 hexadecimal digits"),
        ({"origin": "http://x/y", "file_hash": "0" * 32, "hash_algorithm": "sha256"}, "expected 64 hexa"),
        ({"origin": "http://x/y", "file_hash": "0" * 32, "hash_algorithm": "crc"}, "hash_algorithm"),
        ({"origin": "http://x/y", "extract": "yes"}, "extract: expected True or False"),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_no_argument_is_refused(home, given, message):
    with pytest.raises(ValueError, match=message):
        utils.get_file(**given)
    assert not home.exists()


def packed(kind: str, members: dict[str, bytes]) -> bytes:
    """An archive of files."""
    made = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=made, mode=f"w:{kind}") as archive:
            for name, content in members.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return made.getvalue()


KINDS = ["zip", "", "gz", "bz2", "xz"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("fname", "archive", "folder"),
    [
        (None, "flowers.tgz_archive", "flowers.tgz"),
        ("flowers", "flowers_archive", "flowers"),
        ("a.b.tgz", "a.b.tgz", "a_extracted"),
    ],
)
def test_archives_are_unpacked(server, home, kind, fname, archive, folder):
    members = {"flowers/a/1.txt": b"one", "flowers/2.txt": b"two" * 1000, "LICENSE.txt": b""}
    server.files["/flowers.tgz"] = packed(kind, members)
    origin = f"{server.url}/flowers.tgz"
    sha256 = hashlib.sha256(server.files["/flowers.tgz"]).hexdigest()
    found = Path(utils.get_file(fname, origin, extract=True, file_hash=sha256))
    assert found == home / "datasets" / folder
    assert {name: (found / name).read_bytes() for name in files(found)} == members
    assert (home / "datasets" / archive).read_bytes() == server.files["/flowers.tgz"]
    # What was unpacked is not unpacked again, until the archive is another one.
    (found / "LICENSE.txt").unlink()
    (found / "mine.txt").write_bytes(b"mine")
    assert Path(utils.get_file(fname, origin, extract=True, file_hash=sha256)) == found
    assert "LICENSE.txt" not in files(found)
    server.files["/flowers.tgz"] = packed(kind, {"flowers/2.txt": b"new", "LICENSE.txt": b"L"})
    utils.get_file(fname, origin, extract=True, force_download=True)
    assert (found / "flowers" / "2.txt").read_bytes() == b"new" and (found / "LICENSE.txt").exists()
    assert (found / "mine.txt").exists() and len(server.asked) == 2
    # A folder that is there without having been made of the archive gets its files, too.
    (home / "datasets" / f".{folder}.unpacked").unlink()
    (found / "LICENSE.txt").unlink()
    utils.get_file(fname, origin, extract=True)
    assert (found / "LICENSE.txt").exists() and len(server.asked) == 2


def test_the_format_of_an_archive_may_be_said(server, home):
    server.files["/a"] = packed("zip", {"x": b"1"})
    for given in ({"archive_format": "tar"}, {"archive_format": None}, {"untar": True}):
        with pytest.raises(ValueError, match="extract: expected an archive"):
            utils.get_file("a", f"{server.url}/a", extract=True, **given)
    for given in ("zip", ["tar", "zip"], "auto"):
        found = utils.get_file("a", f"{server.url}/a", extract=True, archive_format=given)
        assert files(Path(found)) == ["x"]
    with pytest.raises(ValueError, match="archive_format: expected"):
        utils.get_file("a", f"{server.url}/a", extract=True, archive_format="rar", force_download=True)


def tar_of(*infos: tarfile.TarInfo) -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as archive:
        for info in infos:
            archive.addfile(info, io.BytesIO(b"x" * info.size) if info.isreg() else None)
    return made.getvalue()


def entry(name: str, kind: bytes = tarfile.REGTYPE, target: str = "", size: int = 1) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    info.size = size if kind == tarfile.REGTYPE else 0
    return info


def zip_link(name: str, target: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        info = zipfile.ZipInfo(name)
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, target)
    return made.getvalue()


LINK, HARD = tarfile.SYMTYPE, tarfile.LNKTYPE
HOSTILE = {
    "climbs": packed("", {"fine": b"1", "../out": b"2"}),
    "climbs in a zip": packed("zip", {"fine": b"1", "a/../../out": b"2"}),
    "absolute": packed("", {"/tmp/cnnrs-out": b"2"}),
    "absolute in a zip": packed("zip", {"/tmp/cnnrs-out": b"2"}),
    "link out": tar_of(entry("a", LINK, "..")),
    "link out in a zip": zip_link("a", "../.."),
    "absolute link": tar_of(entry("a", LINK, "/etc")),
    "writes through a link": tar_of(entry("a", LINK, "b"), entry("a/c")),
    "climbs behind a link": tar_of(entry("p/q/l", LINK, "../.."), entry("m", LINK, "p/q/l/..")),
    "hard link out": tar_of(entry("a", HARD, "../../x")),
    "hard link to a link": tar_of(entry("a", LINK, "b"), entry("c", HARD, "a")),
    "device": tar_of(entry("a", tarfile.CHRTYPE)),
    "pipe": tar_of(entry("a", tarfile.FIFOTYPE)),
    "file as a folder": tar_of(entry("a"), entry("a/b")),
    "no name": tar_of(entry("./")),
    "truncated": packed("gz", {"a": os.urandom(5000)})[:-2500],
    "truncated zip": packed("zip", {"a": os.urandom(5000), "b": b""}).replace(b"PK\1\2", b"PK\1\3", 1),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_leaves_nothing(tmp_path, name):
    (tmp_path / "archive").write_bytes(HOSTILE[name])
    with pytest.raises(ValueError, match="extract_archive"):
        extract_archive(tmp_path / "archive", tmp_path / "a" / "b")
    assert files(tmp_path) == ["archive"] and not Path("/tmp/cnnrs-out").exists()
    # What was there stays.
    (tmp_path / "a" / "b").mkdir()
    (tmp_path / "a" / "b" / "fine").write_bytes(b"before")
    with pytest.raises(ValueError, match="extract_archive"):
        extract_archive(tmp_path / "archive", tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "fine").read_bytes() == b"before"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("members", [{"a": bytes(10_000_000)}, {f"{i}": b"" for i in range(3000)}], ids=len)
def test_a_bomb_is_refused(tmp_path, monkeypatch, kind, members):
    monkeypatch.setattr(archives, "_MOST_BYTES", 1_000_000)
    monkeypatch.setattr(archives, "_MOST_RATIO", 0)
    (tmp_path / "archive").write_bytes(packed(kind, members))
    with pytest.raises(ValueError, match="times the size of the archive"):
        extract_archive(tmp_path / "archive", tmp_path / "out")
    assert files(tmp_path) == ["archive"]


def test_damaged_archives_leave_nothing(tmp_path):
    rng = np.random.default_rng(4)
    outcomes = []
    for kind in KINDS:
        whole = packed(
            kind, {"a/b.txt": bytes(rng.integers(0, 9, 900, np.uint8)), "c": b"c" * 99, "d/e": b""}
        )
        for _ in range(100):
            damaged = bytearray(whole)
            for place in rng.integers(0, len(whole), rng.integers(1, 5)):
                damaged[place] = rng.integers(256)
            (tmp_path / "archive").write_bytes(
                damaged[: rng.integers(1, len(whole))] if rng.random() < 0.3 else damaged
            )
            try:
                outcomes.append(extract_archive(tmp_path / "archive", tmp_path / "out"))
            except ValueError:
                outcomes.append(None)
            if outcomes[-1] is True:
                shutil.rmtree(tmp_path / "out", ignore_errors=True)
            assert files(tmp_path) == ["archive"]
    assert {True, False, None} == set(outcomes)


def test_links_inside_of_an_archive_are_made(tmp_path):
    content = tar_of(
        entry("data/1.txt", size=3), entry("data/same", HARD, "data/1.txt"), entry("last", LINK, "data"),
        entry("data/up/link", LINK, "../1.txt"),
    )  # fmt: skip
    (tmp_path / "archive").write_bytes(content)
    for _ in range(2):
        assert extract_archive(tmp_path / "archive", tmp_path / "out")
    for name in ("data/1.txt", "data/same", "last/1.txt", "data/up/link"):
        assert (tmp_path / "out" / name).read_bytes() == b"xxx"
    assert (tmp_path / "out" / "last").is_symlink()


def test_hashes(tmp_path):
    (tmp_path / "a").write_bytes(CONTENT)
    for algorithm in ("sha256", "md5"):
        digest = hashlib.new(algorithm, CONTENT).hexdigest()
        assert hash_file(tmp_path / "a", algorithm, chunk_size=7) == digest
        assert validate_file(tmp_path / "a", digest) and validate_file(tmp_path / "a", digest, algorithm)
        assert not validate_file(tmp_path / "a", digest[:-1] + ("0" if digest[-1] != "0" else "1"))
