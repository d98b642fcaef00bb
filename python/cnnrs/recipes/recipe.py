"""`Recipe`: the settings of a training run as data, and those that have names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from types import MappingProxyType
from typing import Any

from cnnrs.base.arguments import integer, number
from cnnrs.base.suggest import did_you_mean

__all__ = ["RECIPES", "Recipe", "get", "names"]

_OPTIMIZERS = ("sgd", "adamw", "lars", "adam", "nadam", "rmsprop", "lion")
_SCHEDULES = ("cosine", "one_cycle", "constant")


@dataclass(frozen=True)
class Recipe:
    """The settings of a training run.

    Attributes:
        name: What it is called.
        purpose: What it is for, and from where its numbers are.
        epochs: Epochs.
        batch_size: Samples of a batch.
        learning_rate: The highest rate, for `batch_size`; `train` scales it with another size.
        optimizer: "sgd" (with Nesterov's momentum), "adamw", "lars", "adam", "nadam", "rmsprop" or "lion".
        momentum: Of "sgd" and "lars".
        weight_decay: Decay of all weights but norms and biases. Of "sgd" it is what papers mean, the factor
            of a penalty in the gradient, for which `train` sets the decoupled decay of the same size.
        schedule: "cosine" (with warm-up), "one_cycle" or "constant".
        warmup_epochs: Epochs of a linear rise, with "cosine".
        eta_min: The last rate, with "cosine".
        label_smoothing: Part of each target that is spread over all classes.
        mixup: The `alpha` of MixUp; 0 for none.
        cutmix: The `factor` of CutMix; 0 for none. With both, either is drawn for each batch.
        ema_epochs: Epochs over which a moving average of the weights looks back, which the model has at the
            end, with moving statistics of its own; 0 for none.
        swa_start: Part of the epochs after which weights are averaged with equal shares; None for none.
        sam_rho: Radius of sharpness-aware minimization, of which a step costs two passes; 0 for none.
        layer_decay: Factor of the learning rate between a block of layers and the one before; 1 for none.
        global_clipnorm: Largest norm of all gradients together; 0 for none.

    Raises:
        ValueError: A setting is out of its range.
    """

    name: str
    purpose: str
    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: str = "sgd"
    momentum: float = 0.9
    weight_decay: float = 0.0
    schedule: str = "cosine"
    warmup_epochs: float = 0
    eta_min: float = 0.0
    label_smoothing: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    ema_epochs: float = 0.0
    swa_start: float | None = None
    sam_rho: float = 0.0
    layer_decay: float = 1.0
    global_clipnorm: float = 0.0

    def __post_init__(self) -> None:
        owner = f"recipe {self.name!r}"
        integer(self.epochs, owner, "epochs", least=1)
        integer(self.batch_size, owner, "batch_size", least=1)
        number(self.learning_rate, owner, "learning_rate", above=0)
        for argument, value, known in (
            ("optimizer", self.optimizer, _OPTIMIZERS),
            ("schedule", self.schedule, _SCHEDULES),
        ):
            if value not in known:
                raise ValueError(
                    f"{owner}: {argument}: expected one of {', '.join(known)}, received {value!r}"
                )
        number(self.momentum, owner, "momentum", least=0, below=1)
        for argument in ("weight_decay", "warmup_epochs", "eta_min", "mixup", "ema_epochs", "sam_rho"):
            number(getattr(self, argument), owner, argument, least=0)
        number(self.global_clipnorm, owner, "global_clipnorm", least=0)
        number(self.label_smoothing, owner, "label_smoothing", least=0, below=1)
        number(self.cutmix, owner, "cutmix", least=0, most=1)
        number(self.layer_decay, owner, "layer_decay", above=0, most=1)
        if self.swa_start is not None:
            number(self.swa_start, owner, "swa_start", least=0, below=1)
        if self.schedule == "cosine" and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"{owner}: warmup_epochs: expected less than the {self.epochs} epochs, received "
                f"{self.warmup_epochs!r}"
            )
        if self.schedule != "cosine" and (self.warmup_epochs or self.eta_min):
            raise ValueError(
                f"{owner}: warmup_epochs and eta_min: expected 0 with schedule={self.schedule!r}, received "
                f"{self.warmup_epochs!r} and {self.eta_min!r}"
            )
        if self.ema_epochs and self.swa_start is not None:
            raise ValueError(f"{owner}: expected one of ema_epochs and swa_start, received both")

    def settings(self) -> dict[str, Any]:
        """What may be set, by name."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in ("name", "purpose")}

    def changed(self, settings: Mapping[str, Any]) -> Recipe:
        """The recipe with other settings. With another batch size the learning rate changes as much.

        Raises:
            TypeError: There is no such setting; the message suggests one.
        """
        known = self.settings()
        for name in settings:
            if name not in known:
                raise TypeError(f"train: recipe {self.name!r} has no {name!r}{did_you_mean(name, known)}")
        settings = dict(settings)
        if "batch_size" in settings and "learning_rate" not in settings:
            integer(settings["batch_size"], f"recipe {self.name!r}", "batch_size", least=1)
            settings["learning_rate"] = self.learning_rate * settings["batch_size"] / self.batch_size
        return replace(self, **settings)


_ALL = (
    Recipe(
        "mnist",
        "small gray images: one cycle (Smith and Topin 2018, arXiv:1708.07120)",
        epochs=5,
        batch_size=128,
        learning_rate=0.1,
        weight_decay=5e-4,
        schedule="one_cycle",
    ),
    Recipe(
        "cifar",
        "32×32 images: rates of He et al. 2016 (arXiv:1512.03385, section 4.2) along a cosine, with MixUp",
        epochs=100,
        batch_size=128,
        learning_rate=0.1,
        weight_decay=5e-4,
        warmup_epochs=5,
        mixup=0.2,
    ),
    Recipe(
        "imagenet-small",
        "ResNets and their like: the tricks of He et al. 2019 (arXiv:1812.01187, table 6)",
        epochs=120,
        batch_size=256,
        learning_rate=0.1,
        weight_decay=1e-4,
        warmup_epochs=5,
        label_smoothing=0.1,
        mixup=0.2,
        ema_epochs=2.0,
    ),
    Recipe(
        "imagenet-large-batch",
        "batches of thousands: LARS (You et al. 2017, arXiv:1708.03888) with warm-up",
        epochs=90,
        batch_size=4096,
        learning_rate=9.0,
        optimizer="lars",
        weight_decay=1e-4,
        warmup_epochs=5,
        label_smoothing=0.1,
    ),
    Recipe(
        "convnext",
        "ConvNeXt and vision transformers from scratch (Liu et al. 2022, arXiv:2201.03545, table 5)",
        epochs=300,
        batch_size=4096,
        learning_rate=4e-3,
        optimizer="adamw",
        weight_decay=0.05,
        warmup_epochs=20,
        label_smoothing=0.1,
        mixup=0.8,
        cutmix=1.0,
        ema_epochs=32.0,
    ),
    Recipe(
        "fine-tune",
        "trained networks on other data: rates that fall towards the input (Bao et al. 2021, "
        "arXiv:2106.08254)",
        epochs=10,
        batch_size=32,
        learning_rate=5e-4,
        optimizer="adamw",
        weight_decay=0.05,
        warmup_epochs=1,
        label_smoothing=0.1,
        layer_decay=0.75,
        global_clipnorm=1.0,
    ),
)

RECIPES: Mapping[str, Recipe] = MappingProxyType({recipe.name: recipe for recipe in _ALL})


def names() -> list[str]:
    """The names of all recipes.

    >>> "mnist" in names()
    True
    """
    return sorted(RECIPES)


def get(recipe: Any) -> Recipe:
    """The recipe of a name; a recipe itself.

    Raises:
        TypeError: It is neither a name nor a recipe.
        ValueError: The name is unknown; the message suggests one.

    >>> get("mnist").epochs
    5
    """
    if isinstance(recipe, Recipe):
        return recipe
    if not isinstance(recipe, str):
        raise TypeError(
            f"recipe: expected a Recipe or one of {', '.join(names())}, received {type(recipe).__name__}"
        )
    if recipe not in RECIPES:
        raise ValueError(f"recipe: {recipe!r} is unknown{did_you_mean(str(recipe), RECIPES)}")
    return RECIPES[recipe]
