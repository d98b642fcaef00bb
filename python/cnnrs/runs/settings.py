"""`Settings`: all that a training run depends on, as flags, as a TOML file and as keywords of Python."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cnnrs import recipes
from cnnrs.base.arguments import integer, number
from cnnrs.base.suggest import did_you_mean
from cnnrs.recipes.recipe import Recipe
from cnnrs.runs import toml

__all__ = [
    "AUGMENTATIONS",
    "DataChanged",
    "OPTIMIZERS",
    "PLAIN",
    "PRECISIONS",
    "SETTINGS",
    "Setting",
    "Settings",
    "SettingsError",
]

AUGMENTATIONS = ("none", "light", "standard", "randaugment")
_FITS = ("stretch", "crop", "pad")
_COLOR_MODES = ("rgb", "grayscale", "rgba")
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")
# Of no recipe: small batches, AdamW, a cosine after one epoch of warm-up.
PLAIN = Recipe(
    "none", "AdamW along a cosine", epochs=20, batch_size=32, learning_rate=1e-3, optimizer="adamw",
    weight_decay=1e-4, warmup_epochs=0.5,
)  # fmt: skip
# Rates at which these optimizers train small networks; the recipe's own optimizer keeps its own.
_RATES = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3, "nadam": 1e-3, "rmsprop": 1e-3, "lion": 1e-4, "lars": 1.0}

OPTIMIZERS = tuple(_RATES)


class SettingsError(ValueError):
    """A setting that there is not, or whose value is out of its range: a mistake of whoever gave it."""


class DataChanged(SettingsError):
    """The data are not those of `data_hash`."""


def _int(least: int, most: int | None = None) -> Callable[[Any, str], Any]:
    def convert(value: Any, name: str) -> int:
        if isinstance(value, str):
            value = int(value) if value.strip().lstrip("+-").isdecimal() else value
        return integer(value, "settings", name, least=least, most=most)

    return convert


def _float(**bounds: Any) -> Callable[[Any, str], Any]:
    def convert(value: Any, name: str) -> float:
        if isinstance(value, str):
            try:
                value = float(value)
            except ValueError:
                pass
        return number(value, "settings", name, **bounds)

    return convert


def _one_of(*choices: str) -> Callable[[Any, str], Any]:
    def convert(value: Any, name: str) -> str:
        if value not in choices:
            raise ValueError(f"settings: {name}: expected one of {', '.join(choices)}, received {value!r}")
        return str(value)

    # What shells complete by.
    convert.words = choices  # type: ignore[attr-defined]
    return convert


def _text(value: Any, name: str) -> str:
    if not isinstance(value, (str, os.PathLike)) or not str(value):
        raise TypeError(f"settings: {name}: expected a text, received {value!r}")
    return str(value)


def _recipe(value: Any, name: str) -> str:
    if value != "none" and value not in recipes.RECIPES:
        known = ["none", *recipes.names()]
        raise ValueError(f"settings: {name}: {value!r} is unknown{did_you_mean(str(value), known)}")
    return str(value)


def _size(value: Any, name: str) -> list[int]:
    """One number, or height and width: 224, "224", "160x224", [160, 224]."""
    parts = value.lower().replace("×", "x").split("x") if isinstance(value, str) else value
    parts = list(parts) if isinstance(parts, (list, tuple)) else [parts]
    parts = parts * 2 if len(parts) == 1 else parts
    if len(parts) != 2:
        raise ValueError(f"settings: {name}: expected a size or height and width, received {value!r}")
    return [_int(1, 16384)(part, name) for part in parts]


def _names(value: Any, name: str) -> list[str]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",")]
    if not isinstance(value, (list, tuple)) or not all(isinstance(part, str) and part for part in value):
        raise TypeError(f"settings: {name}: expected a list of texts, received {value!r}")
    if len(set(value)) != len(value):
        raise ValueError(f"settings: {name}: expected different names, received {value!r}")
    return list(value)


class Setting(NamedTuple):
    """A row of the table of settings.

    Attributes:
        name: The attribute, the key in the file, and with dashes the flag.
        table: The table of the file.
        convert: Checks a value, and makes one of a text.
        help: What it is, for `--help` and the documentation.
        metavar: What stands for the value there.
        words: Values that shells complete by, or a function that gives them.
    """

    name: str
    table: str
    convert: Callable[[Any, str], Any]
    help: str
    metavar: str
    words: Any = ()


def _of(table: str, convert: Callable[[Any, str], Any], help: str, metavar: str, words: Any = None) -> Any:
    words = getattr(convert, "words", ()) if words is None else words
    return dataclasses.field(
        default=None,
        metadata={"table": table, "convert": convert, "help": help, "metavar": metavar, "words": words},
    )


_D, _M, _T = "data", "model", "training"
# What is filled in by another setting, where it is not given.
_DEPEND = {
    "recipe": tuple(PLAIN.settings()),
    "optimizer": ("learning_rate",),
    "batch_size": ("learning_rate",),
    "schedule": ("warmup_epochs", "eta_min"),
    "model": ("image_size", "augment", "precision"),
}


@dataclass(frozen=True)
class Settings:
    """What a training run depends on. What is None is filled in by `resolved`, from recipe and network.

    Attributes are listed by `cnnrs train --help` and in docs/command-line.md; each is a keyword here, a key
    of its table in a TOML file, and a flag.

    Raises:
        SettingsError: A value is out of its range.

    >>> Settings(data="photos", epochs=3).epochs
    3
    >>> Settings.of_tables({"training": {"epoch": 3}})
    Traceback (most recent call last):
    cnnrs.runs.settings.SettingsError: [training] has no 'epoch'; did you mean 'epochs'?
    """

    data: str | None = _of(
        _D, _text, "folder with a sub-folder of images for each class, or the name of a data set", "FOLDER"
    )
    validation: str | None = _of(
        _D, _text, "such a folder to validate on, in place of a part of the data", "FOLDER"
    )
    validation_split: float | None = _of(
        _D, _float(least=0, below=1), "part of each class to validate on (0.2)", "PART"
    )
    class_names: list[str] | None = _of(
        _D, _names, "the classes in the order of their labels (the folders by name)", "A,B"
    )
    image_size: list[int] | None = _of(
        _D, _size, "height and width that images are resized to (those of the network)", "N|HxW"
    )
    color_mode: str | None = _of(_D, _one_of(*_COLOR_MODES), "channels of the images (rgb)", "MODE")
    fit: str | None = _of(
        _D, _one_of(*_FITS), "how other shapes become that size: stretch, crop or pad (stretch)", "HOW"
    )
    broken: str | None = _of(
        _D, _one_of("error", "skip"),
        "files that are no images: an error, or left out with a warning (error)", "HOW",
    )  # fmt: skip
    workers: int | None = _of(_D, _int(1, 256), "threads that read images (the processors)", "N")
    data_hash: str | None = _of(
        _D, _text, "what the data must be: a run that repeats another stops where they are not", "HASH"
    )
    model: str | None = _of(
        _M, _text, "network: lenet5, resnet18, mobilenet_v2 …, or the file of a model (resnet18)", "NAME"
    )
    weights: str | None = _of(
        _M,
        _text,
        '"none", "imagenet" where they are published, or a file of weights (none)',
        "WEIGHTS",
        ("none", "imagenet"),
    )
    recipe: str | None = _of(
        _T,
        _recipe,
        "named settings of training, for all that is not given (none)",
        "NAME",
        lambda: ["none", *recipes.names()],
    )
    epochs: int | None = _of(_T, _int(1), "passes over the training images (20)", "N")
    batch_size: int | None = _of(_T, _int(1), "images of a step (32)", "N")
    optimizer: str | None = _of(
        _T, _one_of(*OPTIMIZERS), "adamw, adam, sgd, nadam, rmsprop, lion, lars", "NAME"
    )
    learning_rate: float | None = _of(
        _T, _float(above=0), "the highest learning rate (by optimizer and recipe)", "RATE"
    )
    schedule: str | None = _of(
        _T, _one_of("cosine", "one_cycle", "constant"), "course of the learning rate (cosine)", "NAME"
    )
    warmup_epochs: float | None = _of(_T, _float(least=0), "epochs in which the rate rises (0.5)", "N")
    eta_min: float | None = _of(_T, _float(least=0), "the last learning rate (0)", "RATE")
    momentum: float | None = _of(_T, _float(least=0, below=1), "momentum of sgd and lars (0.9)", "PART")
    weight_decay: float | None = _of(_T, _float(least=0), "decay of weights (0.0001)", "RATE")
    label_smoothing: float | None = _of(_T, _float(least=0, below=1), "part spread over classes (0)", "PART")
    mixup: float | None = _of(_T, _float(least=0), "alpha of MixUp (0: none)", "ALPHA")
    cutmix: float | None = _of(_T, _float(least=0, most=1), "factor of CutMix (0: none)", "FACTOR")
    ema_epochs: float | None = _of(_T, _float(least=0), "epochs of a moving average of weights (0)", "N")
    swa_start: float | None = _of(_T, _float(least=0, below=1), "part after which weights are averaged", "P")
    sam_rho: float | None = _of(_T, _float(least=0), "radius of sharpness-aware minimisation (0)", "RHO")
    layer_decay: float | None = _of(_T, _float(above=0, most=1), "rate's factor from block to block (1)", "F")
    global_clipnorm: float | None = _of(_T, _float(least=0), "largest norm of the gradients (0: any)", "NORM")
    augment: str | None = _of(
        _T, _one_of(*AUGMENTATIONS),
        "none; light: flips and shifts; standard: crops, turns, colours too; randaugment (light)", "NAME",
    )  # fmt: skip
    class_weight: str | None = _of(
        _T, _one_of("none", "balanced"), "balanced: rare classes count more (none)", "HOW"
    )
    early_stopping: int | None = _of(_T, _int(0), "epochs without a better one to stop after (0)", "N")
    monitor: str | None = _of(
        _T,
        _one_of("accuracy", "loss"),
        "what of the validation names the best epoch (accuracy)",
        "WHAT",
    )
    precision: str | None = _of(_T, _one_of(*PRECISIONS), "float32, mixed_float16 or mixed_bfloat16", "NAME")
    device: str | None = _of(_T, _text, '"cpu", "gpu", "gpu:1" ("cpu")', "NAME", ("cpu", "gpu"))
    seed: int | None = _of(_T, _int(0, 2**32 - 1), "makes the run repeatable (drawn, and kept)", "N")
    # Names of settings whose values nobody gave: they are filled in anew where what they depend on changes.
    filled: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for setting in SETTINGS.values():
            value = getattr(self, setting.name)
            if value is None:
                continue
            try:
                value = setting.convert(value, setting.name)
            except (TypeError, ValueError) as error:
                raise SettingsError(str(error).removeprefix("settings: ")) from error
            object.__setattr__(self, setting.name, value)

    @classmethod
    def of_tables(cls, tables: Mapping[str, Any], name: str = "") -> Settings:
        """The settings of the tables of a TOML file. A table `search` is left to the search.

        Args:
            tables: The tables.
            name: Name of the file, for errors.

        Raises:
            SettingsError: There is no such table or key, or a value is out of its range.
        """
        where = f"{name}: " if name else ""
        known = sorted({setting.table for setting in SETTINGS.values()})
        values: dict[str, Any] = {}
        for table, entries in tables.items():
            if table == "search":
                continue
            if table == "filled":
                values["filled"] = _filled(entries, where)
                continue
            if table not in known:
                owner = SETTINGS.get(table)
                hint = f"; it belongs to [{owner.table}]" if owner else did_you_mean(table, known)
                raise SettingsError(f"{where}no table or key {table!r}{hint}")
            if not isinstance(entries, Mapping):
                raise SettingsError(f"{where}{table}: expected a table, received {entries!r}")
            for key, value in entries.items():
                setting = SETTINGS.get(key)
                if setting is None or setting.table != table:
                    own = [each.name for each in SETTINGS.values() if each.table == table]
                    hint = f"; it belongs to [{setting.table}]" if setting else did_you_mean(key, own)
                    raise SettingsError(f"{where}[{table}] has no {key!r}{hint}")
                values[key] = value
        try:
            return cls(**values)
        except SettingsError as error:
            raise SettingsError(f"{where}{error}") from error

    @classmethod
    def load(cls, path: Any) -> Settings:
        """The settings of a TOML file, as each run writes one.

        Raises:
            OSError: The file cannot be read.
            SettingsError: It is no TOML, or has a wrong key or value.
        """
        try:
            tables = toml.load(path)
        except ValueError as error:
            raise SettingsError(str(error)) from error
        return cls.of_tables(tables, str(path))

    def tables(self) -> dict[str, dict[str, Any]]:
        """What is set, by table and key."""
        tables: dict[str, dict[str, Any]] = {}
        for setting in SETTINGS.values():
            value = getattr(self, setting.name)
            if value is not None:
                tables.setdefault(setting.table, {})[setting.name] = value
        if self.filled:
            tables["filled"] = {"names": list(self.filled)}
        return tables

    def changed(self, **values: Any) -> Settings:
        """The settings with other values, and without those that were filled in by what these replace.

        Raises:
            SettingsError: There is no such setting, or a value is out of its range.
        """
        for name in values:
            if name not in SETTINGS:
                raise SettingsError(f"no setting {name!r}{did_you_mean(name, SETTINGS)}")
        depend = {name for key in values for name in _DEPEND.get(key, ()) if name not in values}
        for name in self.filled:
            if name in depend:
                values[name] = None
        filled = tuple(name for name in self.filled if values.get(name, self) is self)
        return dataclasses.replace(self, **values, filled=filled)

    def filled_in(self, values: Mapping[str, Any]) -> Settings:
        """The settings with values that nobody gave, which are noted as such."""
        new = {name: value for name, value in values.items() if getattr(self, name) is None}
        # A seed that was drawn, and what the data are, stay as they are.
        names = [name for name in SETTINGS if name in new and name != "seed"] + list(self.filled)
        return dataclasses.replace(self, **values, filled=tuple(n for n in SETTINGS if n in names))

    def chosen_recipe(self) -> Recipe:
        """The recipe with the settings that were given in the place of its own.

        Raises:
            SettingsError: They do not go together.
        """
        base = PLAIN if self.recipe in (None, "none") else recipes.get(self.recipe)
        own = base.settings()
        given = {name: getattr(self, name) for name in own if getattr(self, name, None) is not None}
        optimizer = given.get("optimizer", base.optimizer)
        if optimizer != base.optimizer and "learning_rate" not in given:
            given["learning_rate"] = _RATES[optimizer] * given.get("batch_size", 32) / 32
        schedule = given.get("schedule", base.schedule)
        if schedule != "cosine":
            given.setdefault("warmup_epochs", 0.0)
            given.setdefault("eta_min", 0.0)
        try:
            return base.changed(given)
        except (TypeError, ValueError) as error:
            raise SettingsError(str(error)) from error

    def __iter__(self) -> Iterator[tuple[str, Any]]:
        """Names and values of what is set."""
        return ((n, getattr(self, n)) for n in SETTINGS if getattr(self, n) is not None)


SETTINGS: Mapping[str, Setting] = {
    field.name: Setting(
        field.name,
        field.metadata["table"],
        field.metadata["convert"],
        field.metadata["help"],
        field.metadata["metavar"],
        field.metadata["words"],
    )
    for field in dataclasses.fields(Settings)
    if field.metadata
}


def _filled(entries: Any, where: str) -> tuple[str, ...]:
    names = entries.get("names") if isinstance(entries, Mapping) else None
    if not isinstance(names, list) or not all(name in SETTINGS for name in names):
        raise SettingsError(f"{where}[filled] names: expected names of settings, received {entries!r}")
    return tuple(names)
