"""Which names of Keras and TensorFlow a script uses, and what becomes of each; nothing of it is executed."""

from __future__ import annotations

from cnnrs.checking.report import as_json, as_text
from cnnrs.checking.sources import Unreadable, programs
from cnnrs.checking.statuses import Checked, check

__all__ = ["Checked", "Unreadable", "as_json", "as_text", "check", "programs"]
