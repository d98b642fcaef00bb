"""`tf.errors`: exceptions by TensorFlow's names.

What cnnrs raises are Python's own exceptions; each class here is one of these as well, so that a script's
`except tf.errors.InvalidArgumentError` finds the ValueError of a shape, and
`OutOfRangeError` the end of data.

>>> import cnnrs.compat.tf as tf
>>> try:
...     tf.reshape(tf.zeros(3), (2, 2))
... except tf.errors.InvalidArgumentError:
...     print("refused")
refused
"""

from __future__ import annotations

from cnnrs.compat.tf.namespaces import unknown

__all__ = [
    "AbortedError",
    "AlreadyExistsError",
    "CancelledError",
    "DataLossError",
    "DeadlineExceededError",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "NotFoundError",
    "OpError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "UnavailableError",
    "UnimplementedError",
    "UnknownError",
]

# `except` compares classes, hence the names are Python's classes wherever cnnrs raises these.
OpError = Exception
InvalidArgumentError = ValueError
NotFoundError = FileNotFoundError
AlreadyExistsError = FileExistsError
PermissionDeniedError = PermissionError
ResourceExhaustedError = MemoryError
OutOfRangeError = StopIteration
UnimplementedError = NotImplementedError
DeadlineExceededError = TimeoutError
DataLossError = OSError
UnavailableError = ConnectionError
AbortedError = CancelledError = FailedPreconditionError = InternalError = UnknownError = RuntimeError

__getattr__ = unknown("tf.errors", {"ABORTED OK CANCELLED UNKNOWN": "exceptions have no codes here"}, __all__)
