"""The progress bar in terminals: no line wraps while it is redrawn, and numbers go before the bar."""

import os
import re
import struct
import subprocess
import sys

import numpy as np
import pytest

import cnnrs

pty = pytest.importorskip("pty")
fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")

ESCAPE = re.compile(r"\x1b\[[0-9;]*m")

TRAINING = """
from cnnrs.base.progbar import Progbar
bar = Progbar(938, interval=0)
training = [("loss", 0.1234), ("accuracy", 0.9876)]
for step in (1, 40, 937):
    bar.update(step, training, finalize=False)
validation = [("val_loss", 0.25), ("val_accuracy", 0.9412)]
bar.update(938, [*training, *validation], finalize=True)
"""


def shown_in_terminal(program, columns):
    """What a program writes to a terminal of so many columns."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES")}
    environment = kept | {"PYTHONIOENCODING": "utf-8"}
    child = subprocess.Popen(
        [sys.executable, "-c", program], stdout=terminal, stdin=terminal, env=environment
    )
    os.close(terminal)
    written = b""
    try:
        while part := os.read(controller, 65536):
            written += part
    except OSError:  # which Linux gives at the end
        pass
    os.close(controller)
    assert child.wait() == 0
    return written.decode()


@pytest.mark.parametrize("columns", [160, 80, 60, 44, 20, 8])
def test_no_line_wraps_while_it_is_redrawn_and_the_last_one_has_all_numbers(columns):
    drawings = shown_in_terminal(TRAINING, columns).replace("\r\n", "").split("\r")[1:]
    assert len(drawings) == 4
    plain = [ESCAPE.sub("", drawing) for drawing in drawings]
    for line in plain[:-1]:
        assert len(line) < columns
        assert "\x1b" not in line, "an escape code was cut"
        # No colour may be left on.
    for drawing in drawings:
        codes = ESCAPE.findall(drawing)
        assert not codes or codes[-1] == "\x1b[0m"
    for name in ("loss: 0.1234", "accuracy: 0.9876"):
        if columns >= 60:
            assert all(name in line for line in plain)
    for name in ("938/938", "loss: 0.1234", "accuracy: 0.9876", "val_loss: 0.2500", "val_accuracy: 0.9412"):
        assert name in plain[-1]
    assert ("━" in plain[0]) == (columns >= 60)


def test_the_bar_takes_the_columns_that_are_left():
    lengths = []
    for columns in (80, 62, 58, 54):
        first = shown_in_terminal(TRAINING, columns).split("\r")[1]
        lengths.append(first.count("━"))
    assert lengths[0] == 20
    assert lengths == sorted(lengths, reverse=True) and lengths[-1] < 20


def test_a_terminal_that_grew_keeps_nothing_of_the_line_before():
    from cnnrs.base.progress_line import visible_width

    text = shown_in_terminal(
        "from cnnrs.base.progbar import Progbar\n"
        "bar = Progbar(None, interval=0)\n"
        "bar.update(1, [('a_long_name', 1.0)], finalize=False)\n"
        "bar._values.clear()\n"
        "bar.update(2, [('a', 1.0)], finalize=False)\n",
        80,
    )
    _, first, second = text.split("\r")
    assert visible_width(second) >= visible_width(first)


def test_larger_verbosities_tell_epochs_alone(capsys):
    """As in Keras, whose bar knows 1 and 2."""
    model = cnnrs.Sequential([cnnrs.Input((2,)), cnnrs.layers.Dense(1)])
    model.compile("sgd", "mse")
    x, y = np.ones((4, 2)), np.ones(4)
    model.fit(x, y, epochs=2, verbose=3)
    assert capsys.readouterr().out == "Epoch 1/2\nEpoch 2/2\n"
    model.evaluate(x, y, verbose=3)
    model.predict(x, verbose=3)
    assert capsys.readouterr().out == ""
    with pytest.raises(ValueError, match="verbose: expected 'auto', 0, 1 or 2, received -1"):
        model.fit(x, y, verbose=-1)
