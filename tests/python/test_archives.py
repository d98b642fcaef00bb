"""Zip archives: round trips with `zipfile`, and what damaged or hostile ones get."""

from __future__ import annotations

import io
import os
import random
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cnnrs.serialization.archive import read_members, write_members

KERAS = Path(__file__).parents[1] / "fixtures" / "hdf5" / "keras.keras"
NAMES = st.lists(st.sampled_from(["a", "b.json", "ü", "long name"]), min_size=1, max_size=3).map("/".join)
MEMBERS = st.dictionaries(NAMES, st.binary(max_size=300), max_size=4)


def zipped(members: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    raw = io.BytesIO()
    with zipfile.ZipFile(raw, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compress_type=compression)
    return raw.getvalue()


@given(MEMBERS, st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]))
def test_members_come_back_in_their_order(members, compression):
    found = read_members(zipped(members, compression))
    assert found == members and list(found) == list(members)
    assert read_members(zipped(members, compression), []) == {}


def test_what_is_written_is_read_by_zipfile_and_always_the_same(tmp_path):
    members = {"a": b"1", "empty": b"", "folder/b": bytes(1000), "ü": b"2"}
    paths = [tmp_path / "1.zip", tmp_path / "2.zip"]
    for path in paths:
        write_members(path, members)
    assert paths[0].read_bytes() == paths[1].read_bytes()
    with zipfile.ZipFile(paths[0]) as archive:
        assert archive.testzip() is None
        assert {name: archive.read(name) for name in archive.namelist()} == members
        assert not any(member.flag_bits & 8 for member in archive.infolist())
    assert read_members(paths[0]) == members
    assert read_members(str(paths[0]), ["folder/", "ü", "absent"]) == {"folder/b": bytes(1000), "ü": b"2"}


def test_an_archive_of_keras_is_read():
    with zipfile.ZipFile(KERAS) as archive:
        assert read_members(KERAS) == {name: archive.read(name) for name in archive.namelist()}


@pytest.mark.parametrize("name", ["/a", "../a", "a/../b", "a//b", "./a", "C:a", "a\\b", "a\0b", "", ".."])
def test_names_that_lead_out_of_the_archive_are_refused(name, tmp_path):
    with pytest.raises(ValueError, match="expected names of files inside the archive"):
        write_members(tmp_path / "a.zip", {"x": b"", name: b"1"})
    assert not list(tmp_path.iterdir())
    # zipfile cuts names at NUL when it writes them.
    placed = (
        zipped({"x" * len(name): b"1"}).replace(b"x" * len(name), name.encode())
        if name
        else zipped({"": b"1"})
    )
    with pytest.raises(ValueError, match=r"zip data is no sound zip archive: expected names"):
        read_members(placed)


def damaged(change) -> bytes:
    """An archive of a and b whose lists of members `change` alters: of their directory entries, by name."""
    raw = bytearray(zipped({"a": b"12345678", "b": b"abcdefgh"}))
    first = raw.index(b"PK\1\2")
    second = raw.index(b"PK\1\2", first + 1)
    change(raw, first, second)
    return bytes(raw)


def put(at: int, form: str, value: int):
    return lambda raw, first, second: struct.pack_into(form, raw, second + at, value)


def same_place(raw, first, second):
    raw[second + 42 : second + 46] = raw[first + 42 : first + 46]
    raw[second + 46] = raw[first + 46]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put(8, "<H", 1), "'b' is encrypted"),
        (put(8, "<H", 0x40), "'b' is encrypted"),
        (put(10, "<H", 12), "stored or deflated, received compression 12"),
        (put(10, "<H", 8), "no sound zip archive"),
        (put(16, "<I", 7), "'b' differs from its checksum"),
        (put(24, "<I", 9), "expected 9 bytes, received 8"),
        (put(24, "<I", 2**31), "2147483648 bytes where an archive of"),
        (put(20, "<I", 7), "expected 8 bytes, received 7"),
        (put(20, "<I", 2**31), "the members need"),
        (put(42, "<I", 2), "expected a member at 2, received none"),
        (put(42, "<I", 2**31), "expected 30 more bytes"),
        (put(42, "<I", 0), "'b' is called 'a' where it lies"),
        (same_place, "two members are called 'a'"),
    ],
)
def test_what_members_say_of_themselves_is_checked(change, message):
    with pytest.raises(ValueError, match=message):
        read_members(damaged(change))


def test_members_inside_of_others_are_refused():
    inner = zipped({"b": b"1"})
    raw = bytearray(zipped({"a": inner, "c": b"2"}))
    entry = raw.rindex(b"PK\1\2")
    struct.pack_into("<I", raw, entry + 42, raw.index(inner))
    struct.pack_into("<III", raw, entry + 16, zlib.crc32(b"1"), 1, 1)
    raw[entry + 46 : entry + 47] = b"b"
    with pytest.raises(ValueError, match="'b' overlaps another member"):
        read_members(bytes(raw))


def test_bombs_are_refused_by_their_true_size_and_by_the_declared_one():
    content = bytes(70 << 20)
    bomb = zipped({"a": content}, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=f"'a': {len(content)} bytes where an archive of {len(bomb)} bytes"):
        read_members(bomb)
    raw = bytearray(bomb)
    struct.pack_into("<I", raw, raw.index(b"PK\1\2") + 24, 1000)
    with pytest.raises(ValueError, match="'a': expected 1000 bytes, received at least 1001"):
        read_members(bytes(raw))
    assert read_members(bomb, ["b"]) == {}


def test_an_archive_that_is_cut_anywhere_is_refused(tmp_path):
    whole = zipped({"a": b"12345678", "b": b"abcdefgh"})
    for end in range(len(whole)):
        with pytest.raises(ValueError, match="no sound zip archive"):
            read_members(whole[:end])
    path = tmp_path / "a.keras"
    path.write_bytes(whole[:-1])
    with pytest.raises(ValueError, match=r"a\.keras' is no sound zip archive"):
        read_members(path)


def test_missing_files_folders_and_fifos_are_errors_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_members(tmp_path / "a.zip")
    with pytest.raises(IsADirectoryError):
        read_members(tmp_path)
    with pytest.raises(IsADirectoryError):
        write_members(tmp_path, {})
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="expected a regular file"):
        read_members(tmp_path / "fifo")
    with pytest.raises(FileNotFoundError):
        write_members(tmp_path / "none" / "a.zip", {"a": b""})


def test_mutated_archives_are_read_or_refused():
    seeds = [KERAS.read_bytes(), zipped({"a": b"12", "b/c": bytes(90)}, zipfile.ZIP_DEFLATED)]
    read = 0
    for number in range(2000):
        changes = random.Random(number)
        raw = bytearray(changes.choice(seeds))
        tail = max(0, len(raw) - 400)
        for _ in range(changes.randint(1, 3)):
            raw[changes.choice([changes.randrange(len(raw)), changes.randrange(tail, len(raw))])] = (
                changes.choice([0, 255, changes.randrange(256)])
            )
        try:
            read_members(bytes(raw))
            read += 1
        except ValueError as error:
            assert "zip data is no sound zip archive" in str(error)
    assert 0 < read < 2000
