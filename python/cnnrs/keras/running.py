"""Runs a script as `python` does, with cnnrs as its `keras` and `tensorflow`."""

from __future__ import annotations

import builtins
import importlib.machinery
import importlib.util
import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from types import CodeType, ModuleType, TracebackType
from typing import Any, NoReturn

from cnnrs.keras import aliases

__all__ = ["main"]

USAGE = """usage: python -m cnnrs.keras [-q] script.py [argument ...]
       python -m cnnrs.keras [-q] -m module [argument ...]
       python -m cnnrs.keras [-q] -c code [argument ...]

Runs a program that was written for Keras as it is: what it imports as keras,
tensorflow, tensorflow.keras or tf_keras is cnnrs.

  script.py  a file; a folder or zip file with __main__.py; - for stdin
  -q         leave out the line on stderr that says so
  -h         show this text

`cnnrs check script.py` lists the names that it uses, and runs nothing."""

# As of a program that SIGINT ends.
_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a program to its end.

    Args:
        arguments: What follows `python -m cnnrs.keras`; None takes it from `sys.argv`.

    Raises:
        SystemExit: Always, with the program's exit status.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    quiet = False
    while given and given[0] in ("-q", "--quiet", "-h", "--help"):
        if given.pop(0) in ("-h", "--help"):
            print(USAGE)
            raise SystemExit(0)
        quiet = True
    if not given:
        _wrong("expected a script")
    kind = given[0]
    if kind in ("-m", "-c"):
        del given[0]
        if not given:
            _wrong(f"expected {'a module' if kind == '-m' else 'code'} after {kind}")
    elif kind.startswith("-") and kind != "-":
        _wrong(f"unknown option {kind}")
    try:
        aliases.install(quiet)
    except ImportError as error:
        _fail(str(error))
    _reach_children(quiet)
    prepare = {"-m": _module, "-c": _text}.get(kind, _file)
    try:
        name, attributes, source = prepare(given[0])
    except _NoProgram as error:
        _fail(f"cnnrs.keras: {error}", status=2)
    first = attributes["__file__"] if kind == "-m" else "-c" if kind == "-c" else given[0]
    sys.argv[:] = [first, *given[1:]]
    aliases.announce(name)
    _run(attributes, source)


def _wrong(message: str) -> NoReturn:
    print(f"{USAGE.splitlines()[0]}\ncnnrs.keras: {message}; -h shows what there is", file=sys.stderr)
    raise SystemExit(2)


def _fail(message: str, status: int = 1) -> NoReturn:
    print(message, file=sys.stderr)
    raise SystemExit(status)


class _NoProgram(Exception):
    """There is nothing to run."""


# What a program is: its name for people, the attributes of its `__main__`, and its source or code.
_Program = tuple[str, dict[str, Any], "str | bytes | CodeType"]


def _text(code: str) -> _Program:
    _set_first_path("")
    return "code of the command line", {}, code


def _file(path: str) -> _Program:
    if path == "-":
        _set_first_path("")
        return "the program on stdin", {"__file__": "<stdin>"}, sys.stdin.read()
    folder_or_zip = _main_below(path)
    if folder_or_zip is not None:
        _set_first_path(path)
        return os.path.basename(os.path.normpath(path)), *_of_spec(folder_or_zip)
    try:
        source = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        raise _NoProgram(f"cannot read {path!r}: {getattr(error, 'strerror', None) or error}") from None
    # As Python does: through links, to the folder where the file lies.
    _set_first_path(os.path.dirname(os.path.realpath(path)))
    return os.path.basename(path), {"__file__": os.path.abspath(path)}, source


def _main_below(path: str) -> importlib.machinery.ModuleSpec | None:
    """The `__main__` of a folder or a zip file."""
    if Path(path).is_dir():
        spec = importlib.machinery.PathFinder.find_spec("__main__", [path])
        if spec is None:
            raise _NoProgram(f"cannot find __main__ in {path!r}")
        return spec
    import zipfile

    if Path(path).is_file() and zipfile.is_zipfile(path):
        return importlib.machinery.PathFinder.find_spec("__main__", [path])
    return None


def _module(name: str) -> _Program:
    try:
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.submodule_search_locations is not None:
            spec = importlib.util.find_spec(f"{name}.__main__")
    except (ImportError, ValueError) as error:
        raise _NoProgram(f"cannot find the module {name!r}: {error}") from None
    if spec is None:
        raise _NoProgram(f"cannot find the module {name!r}, or it is a package without __main__")
    return name, *_of_spec(spec)


def _of_spec(spec: importlib.machinery.ModuleSpec) -> tuple[dict[str, Any], CodeType]:
    code = getattr(spec.loader, "get_code", lambda _: None)(spec.name)
    if code is None:
        raise _NoProgram(f"{spec.name!r} has no code")
    attributes = {"__file__": spec.origin, "__loader__": spec.loader, "__package__": spec.parent}
    # Children of multiprocessing find the program by its name, if it has one.
    return {**attributes, "__spec__": None if spec.name == "__main__" else spec}, code


def _set_first_path(folder: str) -> None:
    if not getattr(sys.flags, "safe_path", False) and not sys.flags.isolated:
        sys.path[0:1] = [folder]


def _run(attributes: dict[str, Any], source: str | bytes | CodeType) -> NoReturn:
    """Executes a program as `__main__`, and shows what it raises as Python does, without lines of ours."""
    program = ModuleType("__main__")
    program.__dict__.update({"__builtins__": builtins, "__annotations__": {}, **attributes})
    # Classes of the program are pickled under this name.
    _KEPT.append(sys.modules.get("__main__"))
    sys.modules["__main__"] = program
    # As multiprocessing calls it, for what comes back from children.
    sys.modules["__mp_main__"] = program
    try:
        code = (
            source
            if isinstance(source, CodeType)
            else compile(source, _file_name(attributes), "exec", 0, True)
        )
        exec(code, program.__dict__)
    except SystemExit:
        raise
    except BaseException as error:
        _show(error)
        raise SystemExit(_INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1) from None
    raise SystemExit(0)


# The interpreter empties a module that nobody holds.
_KEPT: list[ModuleType | None] = []


def _file_name(attributes: dict[str, Any]) -> str:
    return str(attributes.get("__file__", "<string>"))


def _show(error: BaseException) -> None:
    """Hands an error to the hook that the program may have set, with the lines of the program alone."""
    frames: TracebackType | None = error.__traceback__
    while frames is not None and frames.tb_frame.f_code.co_filename == __file__:
        frames = frames.tb_next
    error.__traceback__ = frames
    if isinstance(error, ImportError):
        _give_reason(error)
    if sys.stdout is not None:
        sys.stdout.flush()
    sys.excepthook(type(error), error, frames)


def _give_reason(error: ImportError) -> None:
    """Completes what Python says of `from keras.x import y`: it drops the text of the `AttributeError`."""
    found = re.match(r"cannot import name '(\w+)' from", error.msg or "")
    path = aliases.path_of_module(error.name or "")
    if found is None or path is None:
        return
    try:
        aliases.find(f"{path}.{found[1]}")
    except (AttributeError, ImportError) as reason:
        text = str(reason)
        text = text.partition(" in cnnrs: ")[2] or text
        error.msg = f"cannot import name {found[1]!r} from {path!r}: {text}"


class _InstallOnLoad:
    """What a new process unpickles before it imports the program."""

    def __init__(self, quiet: bool):
        self.quiet = quiet

    def __reduce__(self) -> tuple[Any, ...]:
        return aliases.install, (True,)


def _reach_children(quiet: bool) -> None:
    """Has processes that multiprocessing starts afresh import as this one does.

    Such a process reads a dictionary from its parent, then imports the program: an entry that the process
    does not know is read all the same.
    """
    from multiprocessing import spawn

    data_before = spawn.get_preparation_data
    if getattr(data_before, "of_cnnrs", False):
        return

    def data(name: str) -> dict[str, Any]:
        return {**data_before(name), "cnnrs": _InstallOnLoad(quiet)}

    data.of_cnnrs = True  # type: ignore[attr-defined]
    spawn.get_preparation_data = data
    if sys.platform == "win32":
        return
    from multiprocessing import forkserver

    # The server would import the program at once, and knows nothing of the entry.
    forkserver.set_forkserver_preload(["cnnrs.keras"])
