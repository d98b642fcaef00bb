"""`search`: runs over a declared space of settings, by Optuna."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cnnrs import reporting
from cnnrs.base.arguments import flag, integer, number
from cnnrs.base.extras import library
from cnnrs.base.suggest import did_you_mean
from cnnrs.runs import toml
from cnnrs.runs.callbacks import Pruning
from cnnrs.runs.folder import RunFolder, write_json, write_text
from cnnrs.runs.settings import SETTINGS, DataChanged, Settings, SettingsError
from cnnrs.runs.training import RunResult, resume, train

__all__ = ["Space", "search"]

_NOTE = (
    "# The best of {} trials, over the space below. This repeats it: cnnrs train run.toml --out another\n\n"
)
_METRICS = {"val_accuracy": "maximize", "val_loss": "minimize", "accuracy": "maximize", "loss": "minimize"}
_KEYS = ("trials", "timeout", "metric", "pruning", "seed", "space")
# What one trial has in common with the next: comparing needs the same data.
_FIXED = ("data", "validation", "data_hash", "class_names", "validation_split", "broken")
# What does not change the figures of a trial.
_ANY = ("device", "workers")
# Epochs of a trial, and trials, before the median of the others ends one.
_STARTUP_TRIALS, _WARMUP_EPOCHS = 3, 1


@dataclass(frozen=True)
class Space:
    """The settings that a search varies: the table `[search]` of a TOML file.

    Attributes:
        choices: For each setting a list of values, or a range: `low`, `high`, and `log` or `step`.
        trials: How many trials.
        timeout: Seconds after which no trial begins; None for no end.
        metric: "val_accuracy", "val_loss", "accuracy" or "loss".
        pruning: Whether trials end that are worse than the median of the others.
        seed: Of what is tried.

    >>> table = {"trials": 3, "space": {"optimizer": ["sgd", "adam"], "mixup": {"low": 0, "high": 0.4}}}
    >>> Space.of_table(table).choices
    {'optimizer': ['sgd', 'adam'], 'mixup': {'low': 0, 'high': 0.4}}
    """

    choices: dict[str, Any]
    trials: int = 20
    timeout: float | None = None
    metric: str = "val_accuracy"
    pruning: bool = True
    seed: int = 0

    @classmethod
    def of_table(cls, table: Mapping[str, Any]) -> Space:
        """The space of a table.

        Raises:
            SettingsError: A key or a value is none of those above.
        """
        for key in table:
            if key not in _KEYS:
                raise SettingsError(f"[search] has no {key!r}{did_you_mean(key, _KEYS)}")
        space = table.get("space")
        if not isinstance(space, Mapping) or not space:
            raise SettingsError(
                "[search.space]: expected settings with lists of values or ranges, as "
                "learning_rate = {low = 1e-4, high = 1e-1, log = true}"
            )
        try:
            return cls(
                {name: _checked(name, value) for name, value in space.items()},
                integer(table.get("trials", 20), "search", "trials", least=1),
                None if "timeout" not in table else number(table["timeout"], "search", "timeout", above=0),
                _metric(table.get("metric", "val_accuracy")),
                flag(table.get("pruning", True), "search", "pruning"),
                integer(table.get("seed", 0), "search", "seed", least=0, most=2**32 - 1),
            )
        except SettingsError:
            raise
        except (TypeError, ValueError) as error:
            raise SettingsError(f"[search] {str(error).removeprefix('search: ')}") from error

    def drawn(self, trial: Any) -> dict[str, Any]:
        """The values of a trial of Optuna."""
        return {name: _drawn(trial, name, value) for name, value in self.choices.items()}


def _metric(value: Any) -> str:
    if value not in _METRICS:
        raise ValueError(f"metric: expected one of {', '.join(_METRICS)}, received {value!r}")
    return str(value)


def _checked(name: str, value: Any) -> Any:
    """A list of values or a range, each of which the setting takes."""
    where = f"[search.space] {name}"
    if name not in SETTINGS:
        raise SettingsError(f"[search.space] has no {name!r}{did_you_mean(name, SETTINGS)}")
    if name in _FIXED:
        raise SettingsError(f"{where}: trials of different data cannot be compared")
    if isinstance(value, list):
        if not value:
            raise SettingsError(f"{where}: expected at least one value, received []")
        ends = value
    elif isinstance(value, Mapping):
        unknown = [key for key in value if key not in ("low", "high", "log", "step")]
        if unknown or not {"low", "high"} <= set(value):
            raise SettingsError(f"{where}: expected low, high, and log or step, received {dict(value)}")
        ends = [value["low"], value["high"]]
        if any(isinstance(end, bool) or not isinstance(end, (int, float)) for end in ends):
            raise SettingsError(f"{where}: expected numbers, received {dict(value)}")
        if ends[0] >= ends[1]:
            raise SettingsError(f"{where}: expected low < high, received {ends[0]} and {ends[1]}")
        if value.get("log") and (ends[0] <= 0 or "step" in value):
            raise SettingsError(f"{where}: log: expected low > 0, and no step, received {dict(value)}")
    else:
        raise SettingsError(f"{where}: expected a list of values or a range, received {value!r}")
    for end in ends:
        try:
            SETTINGS[name].convert(end, name)
        except (TypeError, ValueError) as error:
            raise SettingsError(f"[search.space] {str(error).removeprefix('settings: ')}") from error
    return value if isinstance(value, list) else dict(value)


def _drawn(trial: Any, name: str, value: Any) -> Any:
    if isinstance(value, list):
        # Optuna keeps numbers and texts; a list, as that of a size, is written as a text.
        if all(isinstance(each, (str, int, float)) for each in value):
            return trial.suggest_categorical(name, value)
        return json.loads(trial.suggest_categorical(name, list(map(json.dumps, value))))
    low, high, step = value["low"], value["high"], value.get("step")
    if isinstance(low, int) and isinstance(high, int) and (step is None or isinstance(step, int)):
        try:
            SETTINGS[name].convert(low + 0.5, name)
        except (TypeError, ValueError):
            return trial.suggest_int(name, low, high, step=step or 1, log=bool(value.get("log")))
    return trial.suggest_float(name, low, high, step=step, log=bool(value.get("log")))


def search(
    settings: Settings,
    space: Space,
    out: Any,
    say: Callable[[str], None] | None = None,
    progress: bool = False,
) -> dict[str, Any]:
    """Trains runs of different settings, and keeps the best one as the run of the folder.

    A search that was interrupted goes on where it stopped, and so does its trial.

    Args:
        settings: What all trials have in common.
        space: What they differ in.
        out: The folder. It has `search.json`, `search.log` (Optuna's journal), the trials' folders in
            `trials`, and the files of the best run, so that it is a run itself.
        say: Called with a line after each trial; None prints it on standard error.
        progress: Whether the progress of each trial is shown.

    Returns:
        What `search.json` holds: metric, trials with their values, and the number of the best.

    Raises:
        ImportError: Optuna, of the extra `search`, is not installed.
        SettingsError: The settings do not go together.
        ValueError: No trial came to its end, or the folder holds another search.
    """
    optuna = library("optuna", "search", "search")
    logging.getLogger("optuna").setLevel(logging.ERROR)
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    say = say or (lambda line: print(line, file=sys.stderr, flush=True))
    folder = RunFolder(out)
    if folder.is_run and not folder.search.is_file():
        raise ValueError(f"{str(folder.path)!r} holds a run, not a search; expected another folder")
    folder.path.mkdir(parents=True, exist_ok=True)
    monitor = settings.monitor or space.metric.removeprefix("val_")
    settings = settings.changed(seed=settings.seed or 0, monitor=monitor)
    study = _study(optuna, folder, space, settings)
    end = None if space.timeout is None else time.monotonic() + space.timeout
    failed = 0
    while len(_finished(optuna, study)) < space.trials and (end is None or time.monotonic() < end):
        trial = study.ask()
        start = time.monotonic()
        try:
            result, value = _trial(optuna, trial, settings, space, folder, progress)
            study.tell(trial, value)
            line = f"{space.metric} {value:.4f}"
        except optuna.TrialPruned:
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
            line = "ended early: worse than the median"
        except DataChanged:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            raise
        except (ValueError, TypeError, MemoryError) as error:
            trial.set_user_attr("error", str(error))
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
            line, failed = f"failed: {error}", failed + 1
            if failed >= 3 and not _complete(optuna, study):
                raise ValueError(
                    f"search: the first {failed} trials failed; the last one: {error}"
                ) from error
        study.set_user_attr(f"seconds {trial.number}", round(time.monotonic() - start, 3))
        given = ", ".join(f"{name} {_short(value)}" for name, value in trial.params.items())
        say(f"trial {trial.number}: {line}  ({given})")
        _write(optuna, study, space, folder)
    if not _complete(optuna, study):
        raise ValueError("search: expected at least one trial that comes to its end, had none")
    return _keep_best(optuna, study, space, folder)


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _in_common(settings: Settings) -> dict[str, Any]:
    """What all trials of a search have in common, as a study keeps it."""
    values = {name: value for name, value in settings if name not in _ANY}
    for name in ("data", "validation", "model", "weights"):
        if name in values and os.path.exists(values[name]):
            values[name] = os.path.abspath(values[name])
    return values


def _same_settings(study: Any, folder: RunFolder, settings: Settings) -> None:
    """Compares the settings with those of the trials that there are.

    Raises:
        SettingsError: They are others.
    """
    declared, known = _in_common(settings), study.user_attrs.get("settings")
    for name in SETTINGS if known is not None else ():
        if known.get(name) != declared.get(name):
            raise SettingsError(
                f"{name}: {str(folder.path)!r} has trials with {known.get(name)!r}, received "
                f"{declared.get(name)!r}: they could not be compared; expected the same, or another folder"
            )
    study.set_user_attr("settings", declared)


def _study(optuna: Any, folder: RunFolder, space: Space, settings: Settings) -> Any:
    """The study of a folder. A trial that was under way when a former search ended is tried again."""
    journal = optuna.storages.journal
    storage = optuna.storages.JournalStorage(
        journal.JournalFileBackend(
            str(folder.path / "search.log"),
            lock_obj=journal.JournalFileOpenLock(str(folder.path / "search.log")),
        )
    )
    pruner = (
        optuna.pruners.MedianPruner(_STARTUP_TRIALS, _WARMUP_EPOCHS)
        if space.pruning
        else optuna.pruners.NopPruner()
    )
    study = optuna.create_study(
        study_name="search", storage=storage, direction=_METRICS[space.metric], pruner=pruner,
        load_if_exists=True,
    )  # fmt: skip
    known = study.user_attrs.get("space")
    declared = {"choices": space.choices, "metric": space.metric}
    if known is not None and known != declared:
        raise ValueError(
            f"{str(folder.path)!r} holds a search over another space or for another metric; expected another "
            "folder, or the same table [search]"
        )
    _same_settings(study, folder, settings)
    study.set_user_attr("space", declared)
    # Another process draws other values than the first one did.
    study.sampler = optuna.samplers.TPESampler(
        seed=space.seed + len(study.trials), n_startup_trials=5, multivariate=len(space.choices) > 1
    )
    for trial in study.get_trials(states=[optuna.trial.TrialState.RUNNING]):
        study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
        study.enqueue_trial(trial.params, user_attrs={"continues": trial.number})
    return study


def _finished(optuna: Any, study: Any) -> list[Any]:
    state = optuna.trial.TrialState
    return [
        trial
        for trial in study.get_trials(deepcopy=False)
        if trial.state in (state.COMPLETE, state.PRUNED)
        or (trial.state == state.FAIL and "error" in trial.user_attrs)
    ]


def _complete(optuna: Any, study: Any) -> list[Any]:
    return list(study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE]))


def _place(folder: RunFolder, number: int) -> Path:
    return folder.path / "trials" / f"{number:04}"


def _trial(
    optuna: Any, trial: Any, settings: Settings, space: Space, folder: RunFolder, progress: bool
) -> tuple[RunResult, float]:
    """Trains a trial; gives its run and the best value of the metric."""
    values = space.drawn(trial)
    chosen = settings.changed(**values)
    known = trial.study.user_attrs.get("data_hash")
    if known is not None and chosen.data_hash is None:
        chosen = chosen.changed(data_hash=known)
    upward = _METRICS[space.metric] == "maximize"
    best: list[float] = []

    def report(epoch: int, logs: dict[str, Any]) -> None:
        if space.metric not in logs:
            raise SettingsError(f"[search] metric: {space.metric!r} is not measured, but {sorted(logs)}")
        best.append(float(logs[space.metric]))
        trial.report(best[-1], epoch)
        if space.pruning and trial.should_prune():
            raise optuna.TrialPruned

    place = _place(folder, trial.number)
    before = trial.user_attrs.get("continues")
    if before is not None and RunFolder(_place(folder, before)).is_resumable:
        _place(folder, before).rename(place)
        # Epochs before the interruption are those of this trial, too.
        for epoch, value in sorted(trial.study.trials[before].intermediate_values.items()):
            best.append(value)
            trial.report(value, epoch)
        result = resume(place, progress=progress, callbacks=[Pruning(report)], report=False)
    else:
        shutil.rmtree(place, ignore_errors=True)
        result = train(
            chosen,
            place,
            progress=progress,
            callbacks=[Pruning(report)],
            check=trial.number == 0,
            report=False,
        )
    if known is None:
        trial.study.set_user_attr("data_hash", Settings.load(place / "run.toml").data_hash)
    measured = [row[space.metric] for row in result.history]
    return result, (max if upward else min)(measured)


def _write(optuna: Any, study: Any, space: Space, folder: RunFolder) -> dict[str, Any]:
    """Writes `search.json`, which the report shows."""
    trials = []
    for trial in study.get_trials(deepcopy=False):
        if trial.state in (optuna.trial.TrialState.WAITING, optuna.trial.TrialState.RUNNING):
            continue
        if trial.state == optuna.trial.TrialState.FAIL and "error" not in trial.user_attrs:
            continue
        trials.append({
            "number": trial.number,
            "state": trial.state.name.lower(),
            "value": trial.value,
            "settings": {name: trial.params[name] for name in sorted(trial.params)},
            "epochs": [trial.intermediate_values[e] for e in sorted(trial.intermediate_values)],
            "seconds": study.user_attrs.get(f"seconds {trial.number}"),
            **({"error": trial.user_attrs["error"]} if "error" in trial.user_attrs else {}),
        })  # fmt: skip
    complete = _complete(optuna, study)
    found = {
        "metric": space.metric,
        "direction": _METRICS[space.metric],
        "space": space.choices,
        "best": study.best_trial.number if complete else None,
        "trials": trials,
    }
    write_json(folder.search, found)
    return found


def _keep_best(optuna: Any, study: Any, space: Space, folder: RunFolder) -> dict[str, Any]:
    """Makes the best run the run of the folder; of the other trials models are left out."""
    found = _write(optuna, study, space, folder)
    best = _place(folder, found["best"])
    for path in best.iterdir():
        if path.is_file() and path.name != "run.toml":
            shutil.copyfile(path, folder.path / path.name)
    shutil.rmtree(folder.state, ignore_errors=True)
    if RunFolder(best).state.is_dir():
        RunFolder(best).state.rename(folder.state)
    kept = {"trials": space.trials, "metric": space.metric, "pruning": space.pruning, "seed": space.seed}
    tables: dict[str, Any] = dict(Settings.load(best / "run.toml").tables())
    if space.timeout is not None:
        kept["timeout"] = space.timeout
    tables["search"] = {**kept, "space": space.choices}
    write_text(folder.settings, _NOTE.format(len(found["trials"])) + toml.dumps(tables))
    reporting.write(folder.path)
    for place in (folder.path / "trials").iterdir():
        if place != best:
            for name in ("model.keras", "last.keras", "samples.npz"):
                (place / name).unlink(missing_ok=True)
            for part in (RunFolder(place).snapshot, RunFolder(place).state):
                shutil.rmtree(part, ignore_errors=True)
    return found
