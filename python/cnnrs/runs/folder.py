"""`RunFolder`: the files of a training run."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

__all__ = ["RunFolder", "write_json", "write_text"]


def write_text(path: Any, text: str) -> None:
    """Writes a file that is whole or not there: whatever stood there stays until then.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_text(Path(folder) / "a.txt", "ä")
    ...     (Path(folder) / "a.txt").read_text(encoding="utf-8")
    'ä'
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with open(part, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Any, value: Any) -> None:
    """Writes plain data as JSON, whole or not at all."""
    write_text(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


class RunFolder:
    """The folder of a run, and where its files are.

    Attributes:
        path: The folder.
        settings: `run.toml`, which repeats the run.
        best: `model.keras`, the best epoch by the validation.
        last: `last.keras`, the last epoch.
        snapshot: The folder of the state from which training goes on; when it is over, it is `state`.
        state: The folder of the state at the end, from which `resume` trains further.
        history: `history.csv`, a line an epoch.
        environment: `environment.json`: command, versions, seed, hash of the data, machine.
        search: `search.json`, the trials of a search.
        evaluation: `evaluation.json`, the figures of the end.
        report: `report.html`.
    """

    def __init__(self, path: Any):
        self.path = Path(path)
        self.settings = self.path / "run.toml"
        self.best = self.path / "model.keras"
        self.last = self.path / "last.keras"
        self.snapshot = self.path / "snapshot"
        self.state = self.path / "state"
        self.history = self.path / "history.csv"
        self.environment = self.path / "environment.json"
        self.search = self.path / "search.json"
        self.evaluation = self.path / "evaluation.json"
        self.report = self.path / "report.html"

    @property
    def is_complete(self) -> bool:
        """Whether a run came to its end, and was evaluated; its report may be missing."""
        return self.is_run and self.evaluation.is_file()

    @property
    def is_run(self) -> bool:
        """Whether there is a run."""
        return self.settings.is_file()

    @property
    def is_resumable(self) -> bool:
        """Whether training was interrupted."""
        return self.is_run and (self.snapshot / "latest.safetensors").is_file()

    def keep_state(self) -> None:
        """Makes the snapshot of a training that is over the state that more epochs begin from."""
        shutil.rmtree(self.state, ignore_errors=True)
        if self.snapshot.is_dir():
            self.snapshot.rename(self.state)

    def take_up_state(self) -> None:
        """Makes the state at the end a snapshot again.

        Raises:
            FileNotFoundError: It is not there.
        """
        if not (self.state / "latest.safetensors").is_file():
            raise FileNotFoundError(
                f"{str(self.path)!r}: the state of its training is not there (state/latest.safetensors); "
                f"`cnnrs train … --model {self.last} --out another` trains its model further"
            )
        shutil.rmtree(self.snapshot, ignore_errors=True)
        self.state.rename(self.snapshot)

    def require_model(self) -> RunFolder:
        """The folder itself, if it has a model: that of a run, or of `reporting.RunReport`.

        Raises:
            FileNotFoundError: It has none.
        """
        return self if self.best.is_file() else self.require()

    def require_results(self) -> RunFolder:
        """The folder itself, if it has anything that a report shows.

        Raises:
            FileNotFoundError: It has nothing.
        """
        shown = (self.best, self.history, self.evaluation, self.environment)
        return self if any(path.is_file() for path in shown) else self.require()

    def require(self) -> RunFolder:
        """The folder itself.

        Raises:
            FileNotFoundError: There is no run in it.
        """
        if not self.is_run:
            what = "a folder without run.toml" if self.path.is_dir() else "no such folder"
            raise FileNotFoundError(
                f"{str(self.path)!r}: expected the folder of a run, as `cnnrs train` writes it; {what}"
            )
        return self

    def read_environment(self) -> dict[str, Any]:
        """What `environment.json` says; nothing where there is none."""
        if not self.environment.is_file():
            return {}
        return dict(json.loads(self.environment.read_text(encoding="utf-8")))
