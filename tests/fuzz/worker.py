"""A process that runs programs on one tier: an abort or a hang ends it, not the campaign."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import select
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

from fuzz.execute import Verdict, run
from fuzz.program import Program

__all__ = ["Worker"]

MEMORY = 4 * 2**30


class Worker:
    """Starts when it is first asked, again after it has ended, and after many programs.

    Args:
        tier: Value of CNNRS_ISA; None for the best.
        fault: A function of `cnnrs.ops` that is to give wrong values, for tests of the fuzzer.
        limit: Seconds a program may take.
    """

    def __init__(self, tier: str | None = None, fault: str | None = None, limit: float = 60.0):
        self.tier, self.fault, self.limit = tier, fault, limit
        self.process: subprocess.Popen[bytes] | None = None
        self.asked = 0

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": str(Path(__file__).parents[1]),
            "OMP_NUM_THREADS": "1",
            "OPENBLAS_NUM_THREADS": "1",
        }
        if self.tier:
            environment["CNNRS_ISA"] = self.tier
        command = [sys.executable, "-m", "fuzz.worker", *([self.fault] if self.fault else [])]
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )

    def send(self, program: Program) -> None:
        """Has it run; the answer is for `receive`."""
        if self.process is None or self.asked >= 400:
            self.close()
            self.process, self.asked = self._start(), 0
        self.asked += 1
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # then there is no answer
            _send(self.process.stdin, program)

    def receive(self) -> tuple[Verdict, list[dict[str, Any]]]:
        """A verdict, and the results of each run to compare if it is "ok"."""
        assert self.process is not None and self.process.stdout is not None
        try:
            ready, _, _ = select.select([self.process.stdout], [], [], self.limit)
            if not ready:
                self.close(kill=True)
                return Verdict("hang", f"no answer within {self.limit:g} s"), []
            answer: tuple[Verdict, list[dict[str, Any]]] = _receive(self.process.stdout)
            return answer
        except EOFError:
            return Verdict("crash", f"the process ended with {self.close()}"), []

    def close(self, kill: bool = False) -> int | None:
        """Ends the process; gives its exit status."""
        process, self.process = self.process, None
        if process is None:
            return None
        assert process.stdin is not None and process.stdout is not None
        if kill:
            process.kill()
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        return process.wait()


def _send(stream: Any, what: Any) -> None:
    body = pickle.dumps(what)
    stream.write(struct.pack("<I", len(body)) + body)
    stream.flush()


def _receive(stream: Any) -> Any:
    head = stream.read(4)
    if len(head) < 4:
        raise EOFError
    size = struct.unpack("<I", head)[0]
    body = stream.read(size)
    if len(body) < size:
        raise EOFError
    return pickle.loads(body)


def _spoil(fault: str) -> None:
    """Makes a function of `cnnrs.ops` give values that are off by 1 percent ("tanh"), abort ("abort:tanh"),
    or give integers by way of float32 ("float32:where").
    """
    from cnnrs import ops

    what, _, name = fault.rpartition(":")
    right = getattr(ops, name)

    def wrong(*args: Any, **kwargs: Any) -> Any:
        if what == "abort":
            os.abort()
        y = right(*args, **kwargs)
        if what == "float32":
            return ops.saturate_cast(ops.cast(y, "float32"), "int32") if y.dtype == "int32" else y
        return y * 1.01

    setattr(ops, name, wrong)


def main() -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from fuzz.table import rows

    rows()
    if len(sys.argv) > 1:
        _spoil(sys.argv[1])
    while True:
        try:
            program = _receive(sys.stdin.buffer)
        except EOFError:
            return
        _send(answers, run(program))


if __name__ == "__main__":
    main()
