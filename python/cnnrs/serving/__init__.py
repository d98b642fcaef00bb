"""Answers over HTTP: `cnnrs serve run/`, and its application for ASGI servers of your own.

>>> from cnnrs import serving
>>> serving.Limits(max_bytes=1 << 20).max_images
64
"""

from cnnrs.serving.application import make_app
from cnnrs.serving.batching import Batcher, QueueFull
from cnnrs.serving.limits import Limits
from cnnrs.serving.server import serve

__all__ = ["Batcher", "Limits", "QueueFull", "make_app", "serve"]
