"""`prepare`: from the settings of a run to its data and its compiled model."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs import config, losses, utils
from cnnrs.base.devices import device as device_of
from cnnrs.base.naming import fresh_names
from cnnrs.base.user_warnings import warn_user
from cnnrs.random import draw_seed
from cnnrs.recipes.training import gives_logits, optimizer_of
from cnnrs.runs import networks
from cnnrs.runs.data import NAMED, Arrays, Folder, ImageBatches, Images, split_indices
from cnnrs.runs.settings import DataChanged, Settings, SettingsError

__all__ = ["Prepared", "measured_by", "prepare", "surroundings"]


@dataclass
class Prepared:
    """A run that can begin: its resolved settings, data and compiled model."""

    settings: Settings
    training: ImageBatches
    validation: ImageBatches | None
    model: Any
    data_hash: str
    digests: list[bytes]


@contextlib.contextmanager
def surroundings(settings: Settings) -> Iterator[None]:
    """Device, precision and seed of a run; device and precision are put back behind it."""
    policy = config.dtype_policy()
    with contextlib.ExitStack() as stack:
        if settings.device is not None:
            try:
                stack.enter_context(device_of(settings.device))
            except ValueError as error:
                raise SettingsError(str(error)) from error
        precision = settings.precision
        if precision is None and settings.model and os.path.isfile(settings.model):
            precision = networks.precision_of(settings.model)
        config.set_dtype_policy(precision or "float32")
        # Names are part of the files of a run, which are the same in any process.
        stack.enter_context(fresh_names())
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
        "broken": settings.broken or "error",
        "recipe": settings.recipe or "none",
        "class_weight": settings.class_weight or "none",
        "early_stopping": settings.early_stopping or 0,
        "monitor": settings.monitor or "accuracy",
        "seed": draw_seed() if settings.seed is None else settings.seed,
        **{name: value for name, value in recipe.settings().items() if value is not None},
    }
    if not networks.is_file(model):
        values["augment"] = settings.augment or ("none" if named else "light")
        values["precision"] = settings.precision or "float32"
    elif settings.augment is not None:
        raise SettingsError(
            "augment: expected none with the file of a model: what augments is a part of it, and stays"
        )
    else:
        values["precision"] = own = networks.precision_of(model)
        if settings.precision not in (None, own):
            raise SettingsError(f"precision: {model!r} has layers of {own}, received {settings.precision}")
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
    return settings.filled_in(values)


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
        class_names, settings.workers or os.cpu_count() or 1, settings.broken == "skip",
    )  # fmt: skip


def measured_by(settings: Settings, batch_size: int | None = None) -> ImageBatches:
    """The images that a run is measured by: its validation, or, without one, what it trains on.

    Data that are no longer those of the run are a warning: what of them is for validation is drawn anew, so
    that the model may have been trained on it.

    Args:
        settings: Resolved settings, as `run.toml` has them.
        batch_size: Images of a batch; None takes that of the run.
    """
    source, kept, other, rest = _images(settings)
    images, indices = (other, rest) if len(rest) else (source, kept)
    found = _hash_of(settings, source, source.digests(), other)
    if settings.data_hash not in (None, found):
        warn_user(
            f"{settings.data!r} no longer holds the images of the run: some of those that it is measured by "
            "may be ones that it was trained on"
        )
    workers = 1 if isinstance(images, Arrays) else settings.workers or os.cpu_count() or 1
    return ImageBatches(images, indices, batch_size or settings.chosen_recipe().batch_size, workers=workers)


def _hash_of(settings: Settings, source: Images, digests: list[bytes], other: Images) -> str:
    """The hash of the data of a run, those of `validation` among them."""
    found = _hash(source, digests)
    if settings.validation is not None:
        both = f"{found} {_hash(other, other.digests())}"
        found = hashlib.sha256(both.encode()).hexdigest()
    return found


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
    data_hash = _hash_of(settings, source, digests, other)
    if settings.data_hash not in (None, data_hash):
        where = f"{settings.data!r}" + (f" or {settings.validation!r}" if settings.validation else "")
        raise DataChanged(
            f"data_hash: {where} does not hold the images of the run that is to be repeated "
            f"({data_hash[:12]}… instead of {str(settings.data_hash)[:12]}…); leave data_hash out to train "
            "on what it holds now"
        )
    settings = settings.changed(class_names=source.class_names, data_hash=data_hash)
    recipe, seed = settings.chosen_recipe(), int(settings.seed or 0)
    utils.set_random_seed(seed)
    workers = settings.workers or (1 if isinstance(source, Arrays) else os.cpu_count() or 1)
    training = ImageBatches(source, kept, recipe.batch_size, seed, workers)
    validation = None
    if len(rest):
        validation = ImageBatches(other, rest, recipe.batch_size, workers=workers)
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
    loss = losses.SparseCategoricalCrossentropy(from_logits, label_smoothing=recipe.label_smoothing)
    model.compile(optimizer_of(model, recipe, len(training)), loss, metrics=["accuracy"])
    return Prepared(settings, training, validation, model, data_hash, digests)
