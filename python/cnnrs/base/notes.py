"""Notes on exceptions, as `BaseException.add_note` of Python 3.11 makes them."""

from __future__ import annotations

__all__ = ["noted"]


def noted(error: BaseException, note: str) -> None:
    """Adds where an error came from, unless something nearer to it has said so.

    Its type and message stay. Python 3.10 shows no notes: there it is a line of the message, if that is text.

    >>> error = ValueError("it is no image")
    >>> noted(error, "element 3 of pass 0")
    >>> noted(error, "a batch")
    >>> getattr(error, "__notes__")
    ['element 3 of pass 0']
    """
    if getattr(error, "__notes__", None):
        return
    if hasattr(error, "add_note"):
        error.add_note(note)
        return
    error.__notes__ = [note]
    if len(error.args) == 1 and isinstance(error.args[0], str):
        error.args = (f"{error.args[0]}\n{note}",)
