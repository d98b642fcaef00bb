"""Training runs as folders: what `cnnrs train` does, from Python.

>>> from cnnrs import runs
>>> settings = runs.Settings(data="photos", model="resnet18", epochs=20)
>>> settings.tables()
{'data': {'data': 'photos'}, 'model': {'model': 'resnet18'}, 'training': {'epochs': 20}}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnrs.base import suggest
from cnnrs.base.late import late
from cnnrs.runs.folder import RunFolder
from cnnrs.runs.settings import Settings, SettingsError
from cnnrs.runs.stopping import Interrupted

if TYPE_CHECKING:
    from cnnrs.runs.searching import Space as Space
    from cnnrs.runs.searching import search as search
    from cnnrs.runs.training import RunResult as RunResult
    from cnnrs.runs.training import resume as resume
    from cnnrs.runs.training import train as train

__all__ = [
    "Interrupted",
    "RunFolder",
    "RunResult",
    "Settings",
    "SettingsError",
    "Space",
    "resume",
    "search",
    "train",
]

# The command line lists settings, and needs no layers for that.
_LATE = {"training": "RunResult resume train", "searching": "Space search"}

__getattr__, __dir__ = late("cnnrs.runs", _LATE, suggest.without("cnnrs.runs", {}, __all__))
