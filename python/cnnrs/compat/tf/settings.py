"""What `tf.config` sets and functions read."""

from __future__ import annotations

__all__ = ["SETTINGS", "Settings"]


class Settings:
    """The settings of the process.

    Attributes:
        soft_device_placement: Whether "/GPU:0" means the processor on a machine without a GPU.
        functions_run_eagerly: Whether what `tf.function` decorates runs as Python.
    """

    def __init__(self) -> None:
        self.soft_device_placement = True
        self.functions_run_eagerly = False


SETTINGS = Settings()
