"""`train`: trains a classifier by a recipe."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from cnnrs import layers, losses, ops, optimizers
from cnnrs.base.arguments import named
from cnnrs.callbacks import StochasticWeightAveraging, SwapEMAWeights
from cnnrs.data import Dataset
from cnnrs.models import Model
from cnnrs.optimizers.schedules import OneCycle, WarmupCosine
from cnnrs.recipes.recipe import Recipe, get
from cnnrs.utils.batch_statistics import reestimate_batch_norm

__all__ = ["gives_logits", "mixers_of", "optimizer_of", "train"]

_ADAPTIVE: dict[str, Any] = {
    "adam": optimizers.Adam,
    "adamw": optimizers.AdamW,
    "lion": optimizers.Lion,
    "nadam": optimizers.Nadam,
    "rmsprop": optimizers.RMSprop,
}


@named
def train(
    model: Any,
    data: Any,
    recipe: Any,
    validation_data: Any = None,
    metrics: Any = ("accuracy",),
    callbacks: Any = None,
    verbose: Any = "auto",
    **settings: Any,
) -> Any:
    """Compiles a classifier by a recipe and fits it; prints what the recipe sets.

    Args:
        model: A built model with one output, whose last layer gives probabilities (softmax) or logits.
        data: `(x, y)`, arrays of samples and of their classes, as integers or one-hot; or a
            `cnnrs.data.Dataset` of such batches.
        recipe: The name of a recipe (`recipes.names()`), or a `Recipe`.
        validation_data: Data to validate on, like `data`.
        metrics: As for `compile`; targets are one-hot.
        callbacks: More callbacks.
        verbose: As for `fit`; 0 prints nothing.
        **settings: Settings of the recipe in the place of its own: `epochs=3`, `mixup=0.0`. A `batch_size`
            without `learning_rate` changes the rate as much (Goyal et al. 2017, arXiv:1706.02677).

    Returns:
        `History`, as `fit` does.

    Raises:
        TypeError: `model` is none, `data` or `recipe` are neither, or the recipe has no such setting.
        ValueError: The recipe is unknown, a setting is out of its range, the model is not built or has
            another kind of output.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((4,)), cnnrs.layers.Dense(3, activation="softmax")])
    >>> x, y = np.random.default_rng(0).normal(size=(64, 4)), np.arange(64) % 3
    >>> history = cnnrs.train(model, (x, y), recipe="mnist", epochs=2, batch_size=16, verbose=0)
    >>> len(history.history["loss"])
    2
    """
    if not isinstance(model, Model):
        raise TypeError(f"train: model: expected a model, received {type(model).__name__}")
    try:
        known = get(recipe)
    except TypeError as error:
        hint = "; data are one argument, (x, y)" if hasattr(recipe, "shape") else ""
        raise TypeError(f"train: {error}{hint}") from None
    chosen = known.changed(settings)
    if not model.built:
        raise ValueError(
            f"train: model: expected a model that is built, received {model!r}; give it an Input"
        )
    classes, from_logits = _classes(model), gives_logits(model)
    if isinstance(data, Dataset) and "batch_size" in settings:
        raise TypeError("train: batch_size: expected none with a Dataset, whose batches have their size")
    batches, steps = _batches(data, chosen, classes, "data")
    if verbose != 0:
        print(_told(known, chosen, set(settings), isinstance(data, Dataset)))
    loss = losses.CategoricalCrossentropy(from_logits, label_smoothing=chosen.label_smoothing)
    model.compile(optimizer_of(model, chosen, steps), loss, metrics=list(metrics))
    own: list[Any] = []
    if chosen.ema_epochs:
        own.append(SwapEMAWeights())
    if chosen.swa_start is not None:
        own.append(StochasticWeightAveraging(float(chosen.swa_start)))
    if validation_data is not None:
        validation_data = _batches(validation_data, chosen, classes, "validation_data")[0]
    arguments: dict[str, Any] = {"x": batches}
    if not isinstance(batches, Dataset):
        arguments = {"x": batches[0], "y": batches[1], "batch_size": chosen.batch_size}
    history = model.fit(
        **arguments,
        epochs=chosen.epochs,
        validation_data=validation_data,
        callbacks=[*own, *(callbacks or [])],
        verbose=verbose,
        batch_augmentation=mixers_of(chosen),
    )
    if chosen.ema_epochs:
        # The moving statistics are those of the weights as they were, not of their averages.
        source = arguments["x"]
        size = None if isinstance(source, Dataset) else chosen.batch_size
        reestimate_batch_norm(model, source, batch_size=size)
    return history


def _told(known: Recipe, chosen: Recipe, given: set[str], is_dataset: bool) -> str:
    lines = [f"recipe {known.name!r}: {known.purpose}"]
    before, width = known.settings(), max(map(len, known.settings()))
    for name, value in chosen.settings().items():
        if is_dataset and name == "batch_size":
            value = "that of the data"
        mark = f"  (instead of {before[name]})" if value != before[name] else ""
        if mark and name not in given:
            mark = f"  ({before[name]} at batches of {known.batch_size})"
        lines.append(f"  {name:{width}}  {value}{mark}")
    return "\n".join(lines)


def _classes(model: Any) -> int:
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) != 2 or not isinstance(shape[-1], int) or shape[-1] < 2:
        raise ValueError(
            "train: model: expected one output of shape (batch, classes) with at least 2 classes, "
            f"received {shape}"
        )
    return shape[-1]


def gives_logits(model: Any) -> bool:
    """Whether the last layer gives logits, not probabilities."""
    last = model
    while getattr(last, "layers", None):
        last = last.layers[-1]
    if isinstance(last, layers.Softmax):
        return False
    activation = getattr(getattr(last, "activation", None), "__name__", "linear")
    if activation not in ("softmax", "linear"):
        raise ValueError(
            "train: model: expected a last layer with softmax, or without activation, received "
            f"{activation!r} of {last.name!r}"
        )
    return activation == "linear"


def optimizer_of(model: Any, recipe: Recipe, steps: int | None) -> Any:
    """The optimizer that a recipe sets for a model, with its schedule.

    Args:
        model: A built model.
        recipe: The recipe.
        steps: Batches of an epoch, which a moving average needs; None if nobody knows.

    Raises:
        ValueError: The recipe averages weights, and `steps` is None.
    """
    groups = [optimizers.ParameterGroup(optimizers.norms_and_biases, weight_decay=0.0)]
    if not recipe.weight_decay or not groups[0].members(model.trainable_variables):
        groups = []
    if recipe.layer_decay < 1:
        groups += optimizers.layer_wise_decay(model, recipe.layer_decay)
    arguments: dict[str, Any] = {
        "learning_rate": _schedule(recipe),
        "weight_decay": recipe.weight_decay,
        "global_clipnorm": recipe.global_clipnorm or None,
        "parameter_groups": groups,
    }
    if recipe.ema_epochs:
        if steps is None:
            raise ValueError(
                "train: ema_epochs: expected 0 for data that do not say how many batches they have"
            )
        arguments |= {"use_ema": True, "ema_momentum": 1.0 - 1.0 / max(1.0, recipe.ema_epochs * steps)}
    if recipe.optimizer == "sgd":
        # Decoupled decay that takes off as much as a penalty does whose gradient goes through momentum.
        arguments["weight_decay"] = recipe.weight_decay / (1.0 - recipe.momentum)
        made: Any = optimizers.SGD(momentum=recipe.momentum, nesterov=recipe.momentum > 0, **arguments)
    elif recipe.optimizer == "lars":
        made = optimizers.LARS(momentum=recipe.momentum, **arguments)
    else:
        made = _ADAPTIVE[recipe.optimizer](**arguments)
    return optimizers.SAM(made, rho=recipe.sam_rho) if recipe.sam_rho else made


def _schedule(recipe: Recipe) -> Any:
    if recipe.schedule == "one_cycle":
        return OneCycle(recipe.learning_rate)
    if recipe.schedule == "constant":
        return recipe.learning_rate
    return WarmupCosine(recipe.learning_rate, warmup_epochs=recipe.warmup_epochs, eta_min=recipe.eta_min)


def _batches(data: Any, recipe: Recipe, classes: int, argument: str) -> tuple[Any, int | None]:
    """What `fit` gets, with one-hot targets, and how many batches that has."""
    if isinstance(data, Dataset):
        count = int(np.asarray(data.cardinality()))
        return data.map(lambda x, y: (x, _one_hot_tensor(y, classes))), (count if count > 0 else None)
    if not isinstance(data, tuple) or len(data) != 2:
        raise TypeError(f"train: {argument}: expected (x, y) or a cnnrs.data.Dataset, received {type(data)}")
    x, y = np.asarray(data[0]), _one_hot(np.asarray(data[1]), classes, argument)
    if len(x) != len(y):
        raise ValueError(f"train: {argument}: expected as many x as y, received {len(x)} and {len(y)}")
    return (x, y), math.ceil(len(x) / recipe.batch_size)


def _one_hot(y: np.ndarray, classes: int, argument: str) -> np.ndarray:
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim == 2 and y.shape[1] == classes:
        return y.astype(np.float32)
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"train: {argument}: expected classes as integers or one-hot of {classes}, received shape "
            f"{y.shape} of {y.dtype}"
        )
    if y.size and (y.min() < 0 or y.max() >= classes):
        raise ValueError(
            f"train: {argument}: expected classes of 0..{classes - 1}, received {y.min()}..{y.max()}"
        )
    return np.eye(classes, dtype=np.float32)[y]


def _one_hot_tensor(y: Any, classes: int) -> Any:
    if len(y.shape) == 2 and y.shape[1] == classes:
        return ops.cast(y, "float32")
    return ops.one_hot(ops.reshape(y, (-1,)), classes)


def mixers_of(recipe: Recipe) -> list[Any] | None:
    """The layers of which one mixes each batch; None if there are none."""
    mixers: list[Any] = []
    if recipe.mixup:
        mixers.append(layers.MixUp(recipe.mixup))
    if recipe.cutmix:
        mixers.append(layers.CutMix(recipe.cutmix))
    return mixers or None
