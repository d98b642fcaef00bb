"""Training runs as folders: what `cnnrs train` does, from Python.

>>> from cnnrs import runs
>>> settings = runs.Settings(data="photos", model="resnet18", epochs=20)
>>> settings.tables()
{'data': {'data': 'photos'}, 'model': {'model': 'resnet18'}, 'training': {'epochs': 20}}
"""

from cnnrs.runs.folder import RunFolder
from cnnrs.runs.settings import Settings, SettingsError
from cnnrs.runs.stopping import Interrupted
from cnnrs.runs.training import RunResult, resume, train

__all__ = ["Interrupted", "RunFolder", "RunResult", "Settings", "SettingsError", "resume", "train"]
