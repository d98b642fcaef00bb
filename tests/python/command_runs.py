"""Commands as processes, in pipes and in a pseudo-terminal, and a run that one made."""

from __future__ import annotations

import os
import select
import subprocess
import sys

from cnnrs import cli

COMMAND = [sys.executable, "-m", "cnnrs"]


def trained(data, out):
    """The folder `out` of a run that a process made, and what it said."""
    options = ["--model", "lenet5", "--epochs", "2", "--batch-size", "6", "--seed", "5", "--out", str(out)]
    done = subprocess.run(
        [*COMMAND, "train", str(data), *options], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return out, done


def status_of(arguments):
    """The exit status of a command in this process."""
    try:
        return cli.main(arguments)
    except SystemExit as error:
        return error.code


def in_terminal(command, columns=100):
    """Exit status and output of a process in a pseudo-terminal."""
    import fcntl
    import pty
    import struct
    import termios

    mine, its = pty.openpty()
    fcntl.ioctl(its, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environment = {**os.environ, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    environment.pop("COLUMNS", None)
    process = subprocess.Popen(command, stdin=its, stdout=its, stderr=its, env=environment, close_fds=True)
    os.close(its)
    output = b""
    while True:
        ready, _, _ = select.select([mine], [], [], 60)
        assert ready, "nothing was written for a minute"
        try:
            part = os.read(mine, 65536)
        except OSError:
            break
        if not part:
            break
        output += part
    os.close(mine)
    return process.wait(timeout=60), output.decode()
