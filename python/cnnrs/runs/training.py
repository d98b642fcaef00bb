"""`train` and `resume`: a run from its settings to its folder."""

from __future__ import annotations

import contextlib
import hashlib
import os
import platform
import shlex
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cnnrs import callbacks, config, losses, utils
from cnnrs.base.devices import device as device_of
from cnnrs.evaluation import evaluate_model
from cnnrs.random import draw_seed
from cnnrs.recipes.training import gives_logits, optimizer_of
from cnnrs.runs import networks, toml
from cnnrs.runs.callbacks import EpochOrder, HistoryFile, RunProgress, Snapshots
from cnnrs.runs.data import NAMED, Arrays, Folder, ImageBatches, Images, split_indices
from cnnrs.runs.folder import RunFolder, write_json, write_text
from cnnrs.runs.settings import Settings, SettingsError
from cnnrs.runs.stopping import Interrupted, Stopping

__all__ = ["Prepared", "RunResult", "measured_by", "prepare", "resume", "surroundings", "train"]

_NOTE = "# The settings of a run. This repeats it: cnnrs train run.toml --out another\n\n"

_RESULTS = (
    "model.keras", "last.keras", "history.csv", "evaluation.json", "predictions.npz", "samples.npz",
    "report.html",
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
    """

    folder: Path
    metrics: dict[str, Any]
    epochs: int
    best_epoch: int | None
    seconds: float
    parameters: int
    seed: int


@dataclass
class Prepared:
    """A run that can begin: its resolved settings, data and compiled model."""

    settings: Settings
    training: ImageBatches
    validation: ImageBatches | None
    model: Any
    data_hash: str


@contextlib.contextmanager
def surroundings(settings: Settings) -> Iterator[None]:
    """Device, precision and seed of a run; device and precision are put back behind it."""
    policy = config.dtype_policy()
    with contextlib.ExitStack() as stack:
        if settings.device is not None:
            stack.enter_context(device_of(settings.device))
        config.set_dtype_policy(settings.precision or "float32")
        try:
            yield
        finally:
            config.set_dtype_policy(policy)


def _resolved(settings: Settings) -> Settings:
    """The settings with all that is not given filled in, but for what the data say."""
    if settings.data is None:
        raise SettingsError("data: expected a folder with a sub-folder of images for each class")
    named = settings.data in NAMED
    recipe = settings.chosen_recipe()
    model = settings.model or ("lenet5" if named else "resnet18")
    values: dict[str, Any] = {
        "data": settings.data if named else os.path.abspath(settings.data),
        "model": os.path.abspath(model) if networks.is_file(model) else model,
        "weights": settings.weights or "none",
        "color_mode": settings.color_mode or "rgb",
        "fit": settings.fit or "stretch",
        "recipe": settings.recipe or "none",
        "augment": settings.augment or ("none" if named else "light"),
        "class_weight": settings.class_weight or "none",
        "early_stopping": settings.early_stopping or 0,
        "monitor": settings.monitor or "accuracy",
        "precision": settings.precision or "float32",
        "seed": draw_seed() if settings.seed is None else settings.seed,
        **{name: value for name, value in recipe.settings().items() if value is not None},
    }
    if settings.validation is not None:
        values["validation"] = os.path.abspath(settings.validation)
        if settings.validation_split:
            raise SettingsError("validation, validation_split: expected one of them, received both")
    elif settings.validation_split is None and not named:
        values["validation_split"] = 0.2
    if named and settings.color_mode is None:
        values["color_mode"] = "grayscale" if "mnist" in settings.data else "rgb"
    if settings.image_size is None:
        shipped = [28, 28] if "mnist" in settings.data else [32, 32]
        values["image_size"] = shipped if named else networks.size_of(model)
    if values["weights"] not in ("none", "imagenet"):
        values["weights"] = os.path.abspath(values["weights"])
    return settings.changed(**values)


def _images(settings: Settings) -> tuple[Images, np.ndarray, Images, np.ndarray]:
    """Images to train on and to validate on, with the indices of those that take part."""
    assert settings.data is not None and settings.image_size is not None and settings.seed is not None
    if settings.data in NAMED:
        source: Images = Arrays(settings.data)
        extents = list(source.read(np.arange(1)).shape[1:3])
        if extents != settings.image_size:
            raise SettingsError(f"image_size: {settings.data} has images of {extents}, expected these")
        if not settings.validation_split:
            test = Arrays(settings.data, 1)
            return source, np.arange(len(source)), test, np.arange(len(test))
    else:
        source = _folder(settings, settings.data, settings.class_names)
    if settings.validation is not None:
        other = _folder(settings, settings.validation, source.class_names)
        return source, np.arange(len(source)), other, np.arange(len(other))
    kept, validation = split_indices(source.labels, settings.validation_split or 0.0, settings.seed)
    return source, kept, source, validation


def _folder(settings: Settings, directory: str, class_names: list[str] | None) -> Folder:
    assert settings.image_size is not None
    return Folder(
        directory, settings.image_size, settings.color_mode or "rgb", settings.fit or "stretch",
        class_names, settings.workers or os.cpu_count() or 1,
    )  # fmt: skip


def measured_by(settings: Settings) -> ImageBatches:
    """The images that a run is measured by: its validation, or, without one, what it trains on.

    Args:
        settings: Resolved settings, as `run.toml` has them.
    """
    source, kept, other, rest = _images(settings)
    images, indices = (other, rest) if len(rest) else (source, kept)
    return ImageBatches(images, indices, settings.chosen_recipe().batch_size)


def _hash(images: Images, digests: list[bytes]) -> str:
    """A hash of names of classes, and of labels and contents of images, in any place and of any name."""
    made = hashlib.sha256("\0".join(images.class_names).encode())
    for row in sorted(label.to_bytes(4, "little") + digest for label, digest in
                      zip(images.labels.tolist(), digests, strict=True)):  # fmt: skip
        made.update(row)
    return made.hexdigest()


def prepare(settings: Settings) -> Prepared:
    """Resolves settings, lists and hashes the data, and compiles the model.

    Args:
        settings: The settings; `data` must be given.

    Raises:
        SettingsError: They do not go together, or do not fit the data.
    """
    settings = _resolved(settings)
    source, kept, other, rest = _images(settings)
    classes = len(source.class_names)
    if classes < 2:
        raise SettingsError(f"data: expected at least two classes, found {source.class_names}")
    if not len(kept):
        raise SettingsError("validation_split: leaves no image to train on")
    digests = source.digests()
    data_hash = _hash(source, digests)
    if settings.data_hash not in (None, data_hash):
        raise SettingsError(
            f"data_hash: {settings.data!r} does not hold the images of the run that is to be repeated "
            f"({data_hash[:12]}… instead of {str(settings.data_hash)[:12]}…); leave data_hash out to train "
            "on what it holds now"
        )
    settings = settings.changed(class_names=source.class_names, data_hash=data_hash)
    recipe, seed = settings.chosen_recipe(), settings.seed
    utils.set_random_seed(seed)
    mixes = bool(recipe.mixup or recipe.cutmix)
    one_hot = mixes or recipe.label_smoothing > 0
    workers = settings.workers or (1 if isinstance(source, Arrays) else os.cpu_count() or 1)
    training = ImageBatches(
        source, kept, recipe.batch_size, seed, one_hot, recipe.mixup, recipe.cutmix, workers
    )
    validation = None
    if len(rest):
        validation = ImageBatches(other, rest, recipe.batch_size, None, one_hot, workers=workers)
    channels = {"rgb": 3, "grayscale": 1, "rgba": 4}[settings.color_mode or "rgb"]
    model = networks.make(
        settings.model or "", classes, settings.image_size or [], channels, settings.weights or "none",
        settings.augment or "none",
    )  # fmt: skip
    model.set_image_preprocessing(
        source.class_names, image_size=settings.image_size, color_mode=settings.color_mode,
        fit=settings.fit or "stretch",
    )  # fmt: skip
    from_logits = gives_logits(model)
    loss = (
        losses.CategoricalCrossentropy(from_logits, label_smoothing=recipe.label_smoothing)
        if one_hot
        else losses.SparseCategoricalCrossentropy(from_logits)
    )
    model.compile(optimizer_of(model, recipe, len(training)), loss, metrics=["accuracy"])
    return Prepared(settings, training, validation, model, data_hash)


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
) -> RunResult:
    """Trains a classifier of images and writes the folder of the run.

    Args:
        settings: What is trained, on what and how.
        out: The folder of the run; it is made.
        overwrite: Whether a run that is there is replaced.
        progress: Whether progress is shown on standard error.
        callbacks: More callbacks for `fit`.

    Returns:
        What the run gave. The folder then has `run.toml`, `model.keras`, `last.keras`, `history.csv`,
        `environment.json`, `evaluation.json` and `predictions.npz`.

    Raises:
        SettingsError: The settings do not go together, or do not fit the data.
        FileExistsError: There is a run.
        Interrupted: SIGINT or SIGTERM came; `resume` goes on.
    """
    folder = RunFolder(out)
    if folder.is_run and not overwrite:
        hint = f"`cnnrs resume {folder.path}` goes on with it" if folder.is_resumable else "it is complete"
        raise FileExistsError(f"{str(folder.path)!r} holds a run, {hint}; --overwrite replaces it")
    if folder.path.exists() and not folder.path.is_dir():
        raise NotADirectoryError(f"{str(folder.path)!r}: expected a folder for the run, found a file")
    with surroundings(settings):
        prepared = prepare(settings)
        folder.path.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(folder.snapshot, ignore_errors=True)
        for name in (
            "model.keras",
            "last.keras",
            "history.csv",
            "evaluation.json",
            "predictions.npz",
            "samples.npz",
        ):
            (folder.path / name).unlink(missing_ok=True)
        write_text(folder.settings, _NOTE + toml.dumps(prepared.settings.tables()))
        write_json(folder.environment, _environment(prepared))
        return _run(prepared, folder, progress, list(callbacks))


def resume(out: Any, progress: bool = True, callbacks: Any = ()) -> RunResult:
    """Goes on with a run that was interrupted: the result has the bits of one that was not.

    Args:
        out: The folder of the run.
        progress: Whether progress is shown on standard error.
        callbacks: More callbacks for `fit`.

    Raises:
        FileNotFoundError: There is no run, or it has come to its end.
        SettingsError: The data have changed.
        Interrupted: SIGINT or SIGTERM came again.
    """
    folder = RunFolder(out).require()
    settings = Settings.load(folder.settings)
    done = (folder.path / "evaluation.json").is_file()
    if done and not folder.is_resumable:
        raise FileNotFoundError(
            f"{str(folder.path)!r}: the run has come to its end; "
            f"`cnnrs train … --model {folder.last} --out another` trains its model further"
        )
    with surroundings(settings):
        return _run(prepare(settings), folder, progress, list(callbacks))


def _run(prepared: Prepared, folder: RunFolder, progress: bool, more: list[Any]) -> RunResult:
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
    path = str(folder.best).replace("{", "{{").replace("}", "}}")
    used.append(callbacks.ModelCheckpoint(path, monitor, save_best_only=True))
    if settings.early_stopping:
        used.append(callbacks.EarlyStopping(monitor, patience=settings.early_stopping))
    used += [*more, *([shown] if progress else [])]
    start = time.perf_counter()
    with Stopping(quiet=not progress) as stopping:
        try:
            model.fit(
                prepared.training, epochs=recipe.epochs, verbose=0, shuffle=False,
                validation_data=prepared.validation, class_weight=_class_weight(prepared),
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
        shutil.rmtree(folder.snapshot, ignore_errors=True)
    values = [row.get(monitor) for row in history.rows]
    known = [value for value in values if value is not None]
    best = (max if settings.monitor == "accuracy" else min)(known) if known else None
    return RunResult(
        folder.path, figures, len(history.rows), values.index(best) + 1 if known else None, seconds,
        model.count_params(), int(settings.seed or 0),
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
            shutil.copyfile(folder.last, folder.best)
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
