"""Where fetched files are kept."""

from __future__ import annotations

import os

__all__ = ["home", "keras_home"]


def home() -> str:
    """The folder of files that cnnrs fetches: `$CNNRS_HOME`, or `~/.cnnrs`.

    >>> import os
    >>> os.environ["CNNRS_HOME"] = "/data/cnnrs"
    >>> home()
    '/data/cnnrs'
    >>> del os.environ["CNNRS_HOME"]
    """
    return os.path.expanduser(os.environ.get("CNNRS_HOME") or os.path.join("~", ".cnnrs"))


def keras_home() -> str:
    """Keras's folder, whose files are used where their hashes fit: `$KERAS_HOME`, or `~/.keras`."""
    return os.path.expanduser(os.environ.get("KERAS_HOME") or os.path.join("~", ".keras"))
