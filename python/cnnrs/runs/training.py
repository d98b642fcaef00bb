"""`train` and `resume`: a run from its settings to its folder."""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import callbacks, config, reporting, utils
from cnnrs.base.user_warnings import warn_user
from cnnrs.evaluation import evaluate_model
from cnnrs.recipes.training import mixers_of
from cnnrs.runs import toml
from cnnrs.runs.callbacks import BestModel, EpochOrder, HistoryFile, LiveReport, RunProgress, Snapshots
from cnnrs.runs.data import ImageBatches
from cnnrs.runs.folder import RunFolder, write_json, write_text
from cnnrs.runs.inspecting import inspect
from cnnrs.runs.preparing import Prepared, prepare, surroundings
from cnnrs.runs.settings import Settings, SettingsError
from cnnrs.runs.stopping import Interrupted, Stopping

__all__ = ["RunResult", "resume", "train"]

_NOTE = "# The settings of a run. This repeats it: cnnrs train run.toml --out another\n\n"

_RESULTS = (
    "model.keras", "last.keras", "history.csv", "evaluation.json", "predictions.npz", "samples.npz",
    "report.html", "search.json", "search.log",
)  # fmt: skip


@dataclass(frozen=True)
class RunResult:
    """What a run gave.

    Attributes:
        folder: Its folder.
        metrics: Figures of the best epoch on the validation; of the last one without a validation.
        epochs: Epochs that were trained.
        best_epoch: The best of them, counted from 1.
        seconds: Seconds of training, of this process.
        parameters: Parameters of the network.
        seed: The seed.
        history: The rows of `history.csv`.
    """

    folder: Path
    metrics: dict[str, Any]
    epochs: int
    best_epoch: int | None
    seconds: float
    parameters: int
    seed: int
    history: list[dict[str, Any]]


def _environment(prepared: Prepared) -> dict[str, Any]:
    """Where and how the run was made: what its bits may depend on beside its settings."""
    from cnnrs import _core

    info, validation = _core.cpu_info(), prepared.validation
    versions = {"cnnrs": _core.__version__, "python": platform.python_version(), "numpy": np.__version__}
    return {
        "command": shlex.join(["cnnrs", *sys.argv[1:]] if _is_command() else sys.argv),
        "versions": versions,
        "seed": prepared.settings.seed,
        "data_hash": prepared.data_hash,
        "images": {
            "training": len(prepared.training.indices),
            "validation": len(validation.indices) if validation else 0,
        },
        "parameters": prepared.model.count_params(),
        "machine": {
            "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
            "processors": os.cpu_count(),
            "threads": config.get_num_threads(),
            "device": config.get_device(),
            **{key: value for key, value in info.items() if isinstance(value, (str, int))},
        },
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
    }  # fmt: skip


def _is_command() -> bool:
    name = Path(sys.argv[0]).name
    return name in ("cnnrs", "cnnrs.exe") or Path(sys.argv[0]).parts[-2:] == ("cnnrs", "__main__.py")


def train(
    settings: Settings,
    out: Any,
    overwrite: bool = False,
    progress: bool = True,
    callbacks: Any = (),
    check: bool = True,
    report: bool = True,
    live: int | None = None,
) -> RunResult:
    """Trains a classifier of images and writes the folder of the run.

    Args:
        settings: What is trained, on what and how.
        out: The folder of the run; it is made.
        overwrite: Whether a run that is there is replaced.
        progress: Whether progress is shown on standard error.
        callbacks: More callbacks for `fit`.
        check: Whether data and model are looked at first (`cnnrs.sanity`): what looks like a mistake is a
            warning, and an error where nothing sensible can come of it.
        report: Whether `report.html` is written at the end.
        live: A port, 0 for a free one, at which the report is served to this machine while training goes on.

    Returns:
        What the run gave. The folder then has `run.toml`, `model.keras`, `last.keras`, `history.csv`,
        `environment.json`, `evaluation.json`, `predictions.npz` and `report.html`.

    Raises:
        SettingsError: The settings do not go together, or do not fit the data.
        FileExistsError: There is a run.
        Interrupted: SIGINT or SIGTERM came; `resume` goes on.
    """
    folder = RunFolder(out)
    if (folder.is_run or folder.search.is_file()) and not overwrite:
        if not folder.is_run:
            what = "a search that has not come to its end"
        elif folder.is_complete and not folder.is_resumable:
            what = "a run, it is complete"
        else:
            what = f"a run, `cnnrs resume {folder.path}` goes on with it"
        raise FileExistsError(f"{str(folder.path)!r} holds {what}; --overwrite replaces it")
    if folder.path.exists() and not folder.path.is_dir():
        raise NotADirectoryError(f"{str(folder.path)!r}: expected a folder for the run, found a file")
    with surroundings(settings):
        prepared = prepare(settings)
        if check:
            _look(prepared)
        folder.path.mkdir(parents=True, exist_ok=True)
        for part in (folder.snapshot, folder.state, folder.path / "trials"):
            shutil.rmtree(part, ignore_errors=True)
        for name in _RESULTS:
            (folder.path / name).unlink(missing_ok=True)
        try:
            write_text(folder.settings, _NOTE + toml.dumps(prepared.settings.tables()))
            write_json(folder.environment, _environment(prepared))
            return _run(prepared, folder, progress, list(callbacks), report, live)
        except Exception:
            if not folder.is_resumable and not folder.is_complete:
                # Nothing was trained that is worth keeping, and the next try finds the folder free.
                for name in (*_RESULTS, folder.settings.name, folder.environment.name):
                    (folder.path / name).unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    folder.path.rmdir()
            raise


def _look(prepared: Prepared) -> None:
    findings = inspect(prepared)
    for finding in findings:
        if finding.is_error:
            raise ValueError(
                f"{finding.message}\n  do: {finding.advice}\n  (--no-check, check=False: train all the same)"
            )
        warn_user(f"{finding.message}\n  do: {finding.advice}")


def resume(
    out: Any,
    progress: bool = True,
    callbacks: Any = (),
    report: bool = True,
    live: int | None = None,
    epochs: int | None = None,
) -> RunResult:
    """Goes on with a run that was interrupted: the result has the bits of one that was not.

    With `epochs` a run goes on to more epochs than it was to have, also one that has come to its end. Its
    schedule is from there on that of as many epochs, and `run.toml` names them.

    Args:
        out: The folder of the run.
        progress: Whether progress is shown on standard error.
        callbacks: More callbacks for `fit`.
        report: Whether `report.html` is written at the end.
        live: A port, 0 for a free one, at which the report is served meanwhile.
        epochs: Epochs in all; None for those of the run.

    Raises:
        FileNotFoundError: There is no run, or it has come to its end and `epochs` is not given.
        SettingsError: The data have changed, or the run has as many epochs already.
        Interrupted: SIGINT or SIGTERM came again.
    """
    folder = RunFolder(out).require()
    settings = Settings.load(folder.settings)
    if epochs is not None:
        settings = _longer(folder, settings, epochs)
    elif folder.is_complete and not folder.is_resumable:
        page = "" if folder.report.is_file() else f"`cnnrs report {folder.path}` writes its report, "
        raise FileNotFoundError(
            f"{str(folder.path)!r}: the run has come to its end; {page}"
            f"`cnnrs resume {folder.path} --epochs N` trains it to N epochs"
        )
    with surroundings(settings):
        prepared = prepare(settings)
        if epochs is not None:
            if folder.is_complete and not folder.is_resumable:
                folder.take_up_state()
            write_text(folder.settings, _NOTE + toml.dumps(prepared.settings.tables()))
        return _run(prepared, folder, progress, list(callbacks), report, live)


def _longer(folder: RunFolder, settings: Settings, epochs: int) -> Settings:
    """The settings of a run with another number of epochs.

    Raises:
        SettingsError: It has as many already.
    """
    changed = settings.changed(epochs=epochs)
    done = 0
    if folder.history.is_file():
        done = max(len(folder.history.read_text(encoding="utf-8").splitlines()) - 1, 0)
    if done >= (changed.epochs or 0):
        raise SettingsError(
            f"epochs: {str(folder.path)!r} has {done} already, expected more, received {epochs}"
        )
    return changed


def _run(
    prepared: Prepared, folder: RunFolder, progress: bool, more: list[Any], report: bool, live: int | None
) -> RunResult:
    settings, model = prepared.settings, prepared.model
    recipe = settings.chosen_recipe()
    validated = prepared.validation is not None
    monitor = f"val_{settings.monitor}" if validated else str(settings.monitor)
    shown = RunProgress(recipe.batch_size, len(prepared.training.indices), monitor)
    history = HistoryFile(folder.history)
    used: list[Any] = [EpochOrder(prepared.training), history]
    if recipe.ema_epochs:
        used.append(callbacks.SwapEMAWeights(swap_on_epoch=True))
    if recipe.swa_start is not None:
        used.append(callbacks.StochasticWeightAveraging(float(recipe.swa_start)))
    used.append(BestModel(folder.best, monitor))
    if settings.early_stopping:
        used.append(callbacks.EarlyStopping(monitor, patience=settings.early_stopping))
    used += [*more, *([shown] if progress else [])]
    start = time.perf_counter()
    with contextlib.ExitStack() as stack:
        stopping = stack.enter_context(Stopping(quiet=not progress))
        if live is not None:
            service = LiveReport(folder.path, live)
            stack.callback(service.close)
            used.append(service)
        try:
            model.fit(
                prepared.training, epochs=recipe.epochs, verbose=0, shuffle=False,
                validation_data=prepared.validation, class_weight=_class_weight(prepared),
                batch_augmentation=mixers_of(recipe),
                callbacks=[*used, Snapshots(folder.snapshot, stopping)],
            )  # fmt: skip
        except Interrupted:
            shown.close()
            model.save(folder.last)
            raise
        stopping.check()
        if recipe.ema_epochs:
            # The moving statistics are those of the weights as they were, not of their averages.
            utils.reestimate_batch_norm(model, prepared.training)
        model.save(folder.last)
        seconds = time.perf_counter() - start
        stopping.check()
        figures = _finish(prepared, folder)
        folder.keep_state()
        if report:
            reporting.write(folder.path)
    values = [row.get(monitor) for row in history.rows]
    known = [value for value in values if value is not None]
    best = (max if settings.monitor == "accuracy" else min)(known) if known else None
    return RunResult(
        folder.path, figures, len(history.rows), values.index(best) + 1 if known else None, seconds,
        model.count_params(), int(settings.seed or 0), history.rows,
    )  # fmt: skip


def _finish(prepared: Prepared, folder: RunFolder) -> dict[str, Any]:
    """Evaluates the best model, or the last one where averaging has made it better, and keeps it."""
    from cnnrs.saving import load_model

    measured = prepared.validation
    if measured is None:
        measured = ImageBatches(
            prepared.training.images, prepared.training.indices, prepared.training.batch_size,
            workers=prepared.training.workers,
        )  # fmt: skip
    recipe = prepared.settings.chosen_recipe()
    best = evaluate_model(load_model(folder.best, compile=False), measured)
    if recipe.ema_epochs or recipe.swa_start is not None:
        averaged = evaluate_model(prepared.model, measured)
        if prepared.settings.monitor == "accuracy":
            is_better = averaged.accuracy > best.accuracy
        else:
            is_better = averaged.loss < best.loss
        if is_better:
            best = averaged
            prepared.model.save(folder.best, include_optimizer=False)
    best.save(folder.path)
    return {
        "of": "validation" if prepared.validation is not None else "training",
        "images": len(best.labels),
        "accuracy": best.accuracy,
        "loss": best.loss,
    }


def _class_weight(prepared: Prepared) -> dict[int, float] | None:
    """For "balanced": the mean number of images of a class over that of each."""
    if prepared.settings.class_weight != "balanced":
        return None
    counts = np.bincount(prepared.training.labels, minlength=len(prepared.training.images.class_names))
    present = counts[counts > 0]
    return {label: float(present.mean() / count) for label, count in enumerate(counts) if count}
