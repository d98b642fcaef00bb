"""Elements of data sets that a killed process left half written."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cnnrs.data import Dataset

pytestmark = pytest.mark.skipif(os.name != "posix", reason="locks of folders")

# Writes two elements, and the others when its input ends.
WRITER = """
import sys
from cnnrs.data import Dataset
def slow(i):
    if int(i) == 2:
        print("half way", flush=True)
        sys.stdin.read()
    return i
data = Dataset.of_function(slow, 4)
{}
"""


def writer(method: str, path: Path) -> subprocess.Popen[str]:
    """A process that has written half of the elements and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER.format(method), str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "half way\n"
    return process


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("method", ["list(data.cache(sys.argv[1]))", "data.save(sys.argv[1])"])
def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path, method: str) -> None:
    killed, living = writer(method, tmp_path / "kept"), writer(method, tmp_path / "kept")
    other = writer(method, tmp_path / "kept.other")
    (tmp_path / ".kept.settings").mkdir()
    for process in (killed, other):
        process.kill()
        process.communicate(timeout=30)
        assert process.returncode == -signal.SIGKILL
    before = names(tmp_path)
    assert len(before) == 4, before
    assert [int(x) for x in Dataset.range(3).cache(tmp_path / "kept")] == [0, 1, 2]
    left = names(tmp_path)
    # What the living one writes, what the killed one left of another path, and what is nobody's.
    assert len(left) == 4 and len(set(before) - set(left)) == 1 and ".kept.settings" in left
    assert sum(name.startswith(".kept.other.") for name in left) == 1
    living.communicate("", timeout=30)
    assert living.returncode == 0
    assert [n for n in names(tmp_path) if not n.startswith(".kept.other.")] == [".kept.settings", "kept"]


def test_what_was_being_replaced_is_put_back(tmp_path: Path) -> None:
    data = Dataset.range(3)
    data.save(tmp_path / "kept")
    # As a process leaves it that is killed between its two renames.
    code = (
        "import os, signal, sys\n"
        "from cnnrs.data import Dataset, unfinished\n"
        "rename, calls = os.rename, []\n"
        "def last(source, target):\n"
        "    calls.append(source)\n"
        "    if len(calls) == 2: os.kill(os.getpid(), signal.SIGKILL)\n"
        "    rename(source, target)\n"
        "unfinished.os.rename = last\n"
        "Dataset.range(5).save(sys.argv[1])\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "kept")], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert len(names(tmp_path)) == 2 and "kept" not in names(tmp_path)

    def fail(i: int) -> int:
        raise RuntimeError("no element")

    with pytest.raises(RuntimeError, match="no element"):
        Dataset.of_function(fail, 2).save(tmp_path / "kept")
    assert names(tmp_path) == ["kept"] and [int(x) for x in Dataset.load(tmp_path / "kept")] == [0, 1, 2]


def test_two_writers_of_one_path_end_with_whole_elements(tmp_path: Path) -> None:
    first = writer("list(data.cache(sys.argv[1]))", tmp_path / "kept")
    second = writer("list(data.cache(sys.argv[1]))", tmp_path / "kept")
    assert len(names(tmp_path)) == 2
    for process in (first, second):
        process.communicate("", timeout=30)
        assert process.returncode == 0
    assert names(tmp_path) == ["kept"] and len(list(Dataset.load(tmp_path / "kept"))) == 4
