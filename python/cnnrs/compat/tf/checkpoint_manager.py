"""`tf.train.CheckpointManager`: the last few checkpoints of a folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

from cnnrs.base.arguments import integer, number
from cnnrs.compat.tf.checkpoint_files import SUFFIX, get_checkpoint_state, note
from cnnrs.compat.tf.checkpoints import Checkpoint

__all__ = ["CheckpointManager"]


class CheckpointManager:
    """Keeps the last few checkpoints of a folder.

    Args:
        checkpoint: What is saved.
        directory: The folder; it is made.
        max_to_keep: How many are kept; None for all.
        keep_checkpoint_every_n_hours: Checkpoints this many hours apart are never deleted.
        checkpoint_name: What files begin with.
        step_counter: A variable that counts steps, for `checkpoint_interval`.
        checkpoint_interval: Least number of steps between two checkpoints, with `save(check_interval=True)`.
        init_fn: Called by `restore_or_initialize` if the folder has no checkpoint.

    Raises:
        ValueError: An argument is none of these.
    """

    def __init__(
        self,
        checkpoint: Any,
        directory: Any,
        max_to_keep: int | None,
        keep_checkpoint_every_n_hours: float | None = None,
        checkpoint_name: str = "ckpt",
        step_counter: Any = None,
        checkpoint_interval: int | None = None,
        init_fn: Callable[[], Any] | None = None,
    ):
        owner = "CheckpointManager"
        if not isinstance(checkpoint, Checkpoint):
            raise ValueError(f"{owner}: checkpoint: expected a tf.train.Checkpoint, received {checkpoint!r}")
        if max_to_keep is not None:
            integer(max_to_keep, owner, "max_to_keep", least=1)
        if keep_checkpoint_every_n_hours is not None:
            number(keep_checkpoint_every_n_hours, owner, "keep_checkpoint_every_n_hours", above=0)
        if checkpoint_interval is not None:
            integer(checkpoint_interval, owner, "checkpoint_interval", least=1)
            if step_counter is None:
                raise ValueError(
                    f"{owner}: checkpoint_interval: expected step_counter with it, received None"
                )
        self._checkpoint, self._directory = checkpoint, os.fspath(directory)
        self._most, self._hours, self._name = max_to_keep, keep_checkpoint_every_n_hours, checkpoint_name
        self._counter, self._interval, self._init_fn = step_counter, checkpoint_interval, init_fn
        self._last_step: int | None = None
        self._last_kept = time.time()
        os.makedirs(self._directory, exist_ok=True)
        state = get_checkpoint_state(self._directory)
        listed = state.all_model_checkpoint_paths if state else []
        self._paths = [path for path in listed if os.path.exists(path + SUFFIX)]
        self._times = {path: os.path.getmtime(path + SUFFIX) for path in self._paths}

    @property
    def directory(self) -> str:
        """The folder."""
        return self._directory

    @property
    def checkpoint(self) -> Checkpoint:
        """What is saved."""
        return self._checkpoint

    @property
    def checkpoint_interval(self) -> int | None:
        """Least number of steps between two checkpoints."""
        return self._interval

    @property
    def checkpoints(self) -> list[str]:
        """The paths of the checkpoints that are kept, oldest first."""
        return list(self._paths)

    @property
    def latest_checkpoint(self) -> str | None:
        """The path of the latest; None if there is none."""
        return self._paths[-1] if self._paths else None

    def save(
        self, checkpoint_number: Any = None, check_interval: bool = True, options: Any = None
    ) -> str | None:
        """Writes a checkpoint, and deletes the oldest if there are too many.

        Args:
            checkpoint_number: Number in its name; how often was saved if None.
            check_interval: Whether `checkpoint_interval` counts.
            options: None.

        Returns:
            The path; None if it is too early for another one.
        """
        if check_interval and self._interval is not None and self._last_step is not None:
            if int(self._counter) - self._last_step < self._interval:
                return None
        if self._counter is not None:
            self._last_step = int(self._counter)
        counter = self._checkpoint.save_counter
        counter.assign_add(1)
        number = int(counter) if checkpoint_number is None else int(checkpoint_number)
        path = self._checkpoint.write(os.path.join(self._directory, f"{self._name}-{number}"), options)
        self._paths = [*(kept for kept in self._paths if kept != path), path]
        self._times[path] = time.time()
        note(self._directory, self._paths)
        self._delete()
        return path

    def _delete(self) -> None:
        while self._most is not None and len(self._paths) > self._most:
            oldest = self._paths.pop(0)
            made = self._times.pop(oldest)
            if self._hours is not None and made - self._last_kept >= self._hours * 3600:
                self._last_kept = made
                continue
            os.remove(oldest + SUFFIX)
            note(self._directory, self._paths)

    def restore_or_initialize(self) -> str | None:
        """Restores the latest checkpoint, or calls `init_fn` if there is none.

        Returns:
            The path of the checkpoint, or None.
        """
        if self.latest_checkpoint is not None:
            self._checkpoint.restore(self.latest_checkpoint)
            if self._counter is not None:
                self._last_step = int(self._counter)
            return self.latest_checkpoint
        if self._init_fn is not None:
            self._init_fn()
        return None
