"""The command line: `cnnrs train photos/`, `cnnrs predict run/ photo.jpg`, `cnnrs doctor`, and so on.

Each command has a module with `add`, which describes its arguments, and the function that runs it.
"""

from cnnrs.cli.program import main

__all__ = ["main"]
