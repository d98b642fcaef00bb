"""What is shown of passes over images, on standard error: in a terminal a line that is redrawn."""

from __future__ import annotations

import shutil
import sys
import time

from cnnrs.base.progress_line import visible_width

__all__ = ["Line", "Progress", "bar", "duration", "is_terminal", "write"]

# Seconds between two drawings of a line, and between two lines where nothing is redrawn.
_REDRAWN, _APART = 0.1, 10.0


def duration(seconds: float) -> str:
    """Time as people read it.

    >>> duration(7.04), duration(75), duration(3725)
    ('7.0 s', '1:15', '1:02:05')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    hours, rest = divmod(round(seconds), 3600)
    minutes, left = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"


def is_terminal() -> bool:
    """Whether standard error is a terminal."""
    return sys.stderr is not None and sys.stderr.isatty()


def write(text: str) -> None:
    """Writes to standard error, where there is one."""
    if sys.stderr is not None:
        sys.stderr.write(text)
        sys.stderr.flush()


def bar(part: float, width: int = 16) -> str:
    """A bar that is filled by a part of it."""
    full, empty = "━─"
    if (getattr(sys.stderr, "encoding", None) or "ascii").lower().replace("-", "") != "utf8":
        full, empty = "=."
    count = int(width * part)
    return full * count + empty * (width - count)


class Line:
    """A line of a terminal that is drawn again and again."""

    def __init__(self) -> None:
        self._length = 0

    @property
    def is_drawn(self) -> bool:
        """Whether something stands in it."""
        return self._length > 0

    def draw(self, parts: list[str]) -> None:
        """Draws what fits.

        Args:
            parts: What stands in the line. The second one, a bar, goes first; then those at the end.
        """
        parts = list(parts)
        columns = shutil.get_terminal_size().columns - 1
        while len(parts) > 1 and visible_width("  ".join(parts)) > columns:
            parts.pop(1 if parts[1][:1] in "━─=." else -1)
        line = "  ".join(parts)[:columns]
        write("\r" + line + " " * max(0, self._length - visible_width(line)))
        self._length = visible_width(line)

    def clear(self) -> None:
        """Leaves the line empty, for what is written there and stays."""
        if self._length:
            write("\r" + " " * self._length + "\r")
            self._length = 0

    def end(self) -> None:
        """Leaves the line as it is, and begins the next one."""
        if self._length:
            write("\n")
            self._length = 0


class Progress:
    """How far a pass over images is, with its rate and the time that is left.

    In a terminal a line is redrawn; elsewhere there is a line every ten seconds. At the end a line says how
    long it took, if it took long enough that something was shown.

    Args:
        images: Images in all.
        shown: Whether anything is shown.

    >>> progress = Progress(8, shown=False)
    >>> progress(4)
    >>> progress.close()
    """

    def __init__(self, images: int, shown: bool = True):
        self._images, self._shown = images, shown
        self._line = Line()
        self._start = self._last = time.perf_counter()
        self._done = 0
        self._was_shown = False

    def __call__(self, done: int) -> None:
        """Tells how many images are done."""
        self._done = done
        now = time.perf_counter()
        if not self._shown or now - self._last < (_REDRAWN if is_terminal() else _APART):
            return
        self._last, self._was_shown = now, True
        elapsed = now - self._start
        rate = f"{done / elapsed:,.0f} images/s"
        left = f"{duration(elapsed / max(done, 1) * (self._images - done))} left"
        part = min(done / max(self._images, 1), 1.0)
        if is_terminal():
            self._line.draw([f"{done:,}/{self._images:,}", bar(part), f"{part:4.0%}", rate, left])
        else:
            write(f"{done:,}/{self._images:,}  {rate}  {left}\n")

    def clear(self) -> None:
        """Makes room for a line of results in the same terminal; behind it the line is drawn again."""
        if self._line.is_drawn:
            self._last = 0.0
        self._line.clear()

    def close(self, always: bool = False) -> None:
        """Ends what is shown.

        Args:
            always: Whether the last line comes even where nothing was shown before.
        """
        self._line.clear()
        if self._shown and (always or self._was_shown):
            elapsed = time.perf_counter() - self._start
            rate = f"{self._done / max(elapsed, 1e-9):,.0f} images/s"
            write(f"{self._done:,} images in {duration(elapsed)}, {rate}\n")
