"""`ParameterGroup`: weights that an optimizer treats in a way of their own."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from cnnrs import _core, serialization
from cnnrs.base.arguments import NamedArguments, flag, number
from cnnrs.optimizers.schedules.schedule import LearningRateSchedule

__all__ = ["Grouping", "ParameterGroup", "layer_wise_decay", "norms_and_biases"]

# Last parts of the paths of weights that scale or shift, whatever their shape.
_SCALES_AND_SHIFTS = ("bias", "gamma", "beta", "scale", "alpha")


def norms_and_biases(variable: Any) -> bool:
    """Whether a weight scales or shifts: a bias, or a weight of a normalisation.

    These are all weights of at most one axis, and those called bias, gamma, beta, scale or alpha. Weight
    decay is meant for the others (He et al. 2019, "Bag of tricks for image classification with convolutional
    neural networks", arXiv:1812.01187, section 3.1).

    Args:
        variable: A weight.

    >>> import cnnrs
    >>> layer = cnnrs.layers.Dense(2)
    >>> layer.build((None, 3))
    >>> [norms_and_biases(weight) for weight in (layer.kernel, layer.bias)]
    [False, True]
    """
    return len(variable.shape) <= 1 or variable.path.rsplit("/", 1)[-1] in _SCALES_AND_SHIFTS


class ParameterGroup(NamedArguments):
    """Weights with a learning rate or a weight decay of their own, or that stay as they are.

    An optimizer takes a list of groups as `parameter_groups`. All weights are still updated in one step. A
    weight may be in several groups that set different things: one the learning rate, say, and one the decay.

    Args:
        match: Which weights: a regular expression that is found in their paths ("conv1/" or "kernel$"); a
            layer or model, for all its weights; a weight; a function that takes a weight and gives whether it
            belongs here, such as `norms_and_biases`; or a list of these.
        learning_rate: A number or a `LearningRateSchedule` in the place of the optimizer's.
        learning_rate_multiplier: Factor of the optimizer's learning rate, which schedules and callbacks
            still set.
        weight_decay: A number in the place of the optimizer's.
        frozen: Whether the weights stay. They have no slots, and their gradients are not computed.
        name: What errors call the group; by default, what `match` is.

    Raises:
        TypeError: `match` is none of these.
        ValueError: The group sets nothing, or both a learning rate and a factor; when the optimizer is built:
            no weight that is trained belongs to the group, or to one of a list, or another group sets the
            same of a weight.

    >>> import cnnrs
    >>> from cnnrs.optimizers import ParameterGroup, norms_and_biases
    >>> body, head = cnnrs.layers.Dense(8, name="body"), cnnrs.layers.Dense(2, name="head")
    >>> model = cnnrs.Sequential([cnnrs.Input((4,)), body, head])
    >>> optimizer = cnnrs.optimizers.AdamW(
    ...     1e-3,
    ...     weight_decay=0.05,
    ...     parameter_groups=[
    ...         ParameterGroup(norms_and_biases, weight_decay=0.0),
    ...         ParameterGroup(head, learning_rate_multiplier=10.0),
    ...     ],
    ... )
    >>> model.compile(optimizer, "mse")
    """

    def __init__(
        self,
        match: Any,
        learning_rate: Any = None,
        learning_rate_multiplier: float | None = None,
        weight_decay: float | None = None,
        frozen: bool = False,
        name: str | None = None,
    ):
        owner = "ParameterGroup"
        parts = list(match) if isinstance(match, (list, tuple)) else [match]
        if not parts or not all(_is_match(part) for part in parts):
            raise TypeError(
                f"{owner}: match: expected a pattern, a layer, a weight, a function or a list of these, "
                f"received {match!r}"
            )
        for part in parts:
            if isinstance(part, str):
                try:
                    re.compile(part)
                except re.error as error:
                    raise ValueError(
                        f"{owner}: match: expected a regular expression, received {part!r}: {error}"
                    ) from None
        self.match = match
        self.name = name or ", ".join(_label(part) for part in parts)
        owner = f"{owner} {self.name!r}"
        if learning_rate is not None and learning_rate_multiplier is not None:
            raise ValueError(
                f"{owner}: expected learning_rate or learning_rate_multiplier, received both: "
                f"{learning_rate!r} and {learning_rate_multiplier!r}"
            )
        if learning_rate is not None and not isinstance(learning_rate, LearningRateSchedule):
            learning_rate = number(learning_rate, owner, "learning_rate", least=0)
        if learning_rate_multiplier is not None:
            number(learning_rate_multiplier, owner, "learning_rate_multiplier", least=0)
        if weight_decay is not None:
            number(weight_decay, owner, "weight_decay", least=0)
        self.learning_rate, self.learning_rate_multiplier = learning_rate, learning_rate_multiplier
        self.weight_decay, self.frozen = weight_decay, flag(frozen, owner, "frozen")
        settings = self.settings()
        if not settings:
            raise ValueError(
                f"{owner}: expected one of learning_rate, learning_rate_multiplier, weight_decay and frozen, "
                "received none"
            )
        if self.frozen and len(settings) > 1:
            raise ValueError(f"{owner}: expected frozen alone, received {', '.join(settings)}")
        if self.frozen and (learning_rate is not None or learning_rate_multiplier is not None):
            raise ValueError(f"{owner}: expected frozen alone, received a learning rate with it")

    def settings(self) -> list[str]:
        """What the group sets of its weights: "learning rate" (also by freezing), "weight decay"."""
        rates = (self.learning_rate, self.learning_rate_multiplier)
        found = ["learning rate"] if self.frozen or any(rate is not None for rate in rates) else []
        return found + ["weight decay"] * (self.weight_decay is not None)

    def members(self, variables: Iterable[Any]) -> list[Any]:
        """The weights among `variables` that belong to the group."""
        parts = self.match if isinstance(self.match, (list, tuple)) else [self.match]
        tests = [_test(part) for part in parts]
        return [variable for variable in variables if any(test(variable) for test in tests)]

    def unmatched(self, variables: Iterable[Any]) -> list[str]:
        """What of `match` no weight among `variables` belongs to."""
        variables = list(variables)
        parts = self.match if isinstance(self.match, (list, tuple)) else [self.match]
        return [_label(part) for part in parts if not any(map(_test(part), variables))]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor. Layers and weights are written as the paths of the weights."""
        parts = self.match if isinstance(self.match, (list, tuple)) else [self.match]
        return {
            "match": [_written(part, self.name) for part in parts],
            "learning_rate": serialization.serialize_keras_object(self.learning_rate),
            "learning_rate_multiplier": self.learning_rate_multiplier,
            "weight_decay": self.weight_decay,
            "frozen": self.frozen,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Any = None) -> ParameterGroup:
        """The group of a config."""
        config = dict(config)
        config["match"] = [_read(part, custom_objects) for part in config["match"]]
        if isinstance(config.get("learning_rate"), dict):
            config["learning_rate"] = serialization.deserialize_keras_object(
                config["learning_rate"], custom_objects
            )
        return cls(**config)

    def __repr__(self) -> str:
        return f"<ParameterGroup {self.name!r}: {', '.join(self.settings())}>"


class _Paths:
    """Weights by their paths: what a file has for a layer or a weight."""

    def __init__(self, paths: Iterable[str]):
        self.paths = frozenset(paths)

    def __call__(self, variable: Any) -> bool:
        return variable.path in self.paths


def _is_match(part: Any) -> bool:
    return isinstance(part, (str, _core.Variable)) or hasattr(part, "variables") or callable(part)


def _label(part: Any) -> str:
    if isinstance(part, str):
        return part
    if isinstance(part, _Paths):
        return " ".join(sorted(part.paths)[:3])
    return str(getattr(part, "path", None) or getattr(part, "name", None) or getattr(part, "__name__", part))


def _test(part: Any) -> Callable[[Any], bool]:
    if isinstance(part, str):
        pattern = re.compile(part)
        return lambda variable: pattern.search(variable.path) is not None
    if isinstance(part, _core.Variable):
        return lambda variable: variable.id == part.id
    if hasattr(part, "variables"):
        own = {variable.id for variable in part.variables}
        return lambda variable: variable.id in own
    return lambda variable: bool(part(variable))


def _written(part: Any, group: str) -> Any:
    if isinstance(part, str):
        return part
    if part is norms_and_biases:
        return {"function": "norms_and_biases"}
    if isinstance(part, _Paths):
        return {"paths": sorted(part.paths)}
    if isinstance(part, _core.Variable):
        return {"paths": [part.path]}  # type: ignore[attr-defined]  # the core's class has no stub of it
    if hasattr(part, "variables"):
        paths = [variable.path for variable in part.variables]
        if not paths:
            raise ValueError(
                f"ParameterGroup {group!r}: get_config: expected a layer that is built, received {part!r}"
            )
        return {"paths": paths}
    return serialization.serialize_keras_object(part)


def _read(part: Any, custom_objects: Any) -> Any:
    if not isinstance(part, dict):
        return part
    if "paths" in part:
        return _Paths(part["paths"])
    if part == {"function": "norms_and_biases"}:
        return norms_and_biases
    return serialization.deserialize_keras_object(part, custom_objects)


class Grouping:
    """The groups of an optimizer, and to which of them each weight belongs.

    Args:
        groups: The groups.
        owner: What errors call the optimizer.

    Raises:
        TypeError: The groups are no list of groups.
    """

    def __init__(self, groups: Any, owner: str):
        entries = [] if groups is None else groups
        if not isinstance(entries, (list, tuple)) or not all(isinstance(g, ParameterGroup) for g in entries):
            raise TypeError(
                f"{owner}: parameter_groups: expected a list of ParameterGroup, received {groups!r}"
            )
        self.groups: list[ParameterGroup] = list(entries)
        self._owner = owner
        self._by_setting: dict[str, dict[int, ParameterGroup]] = {"learning rate": {}, "weight decay": {}}

    def divide(self, variables: list[Any]) -> list[Any]:
        """Finds the groups of each weight; gives the weights that are not frozen.

        Raises:
            ValueError: A group, or one of its list, has no weight, or two groups set the same of one.
        """
        found: dict[str, dict[int, ParameterGroup]] = {"learning rate": {}, "weight decay": {}}
        for group in self.groups:
            members = group.members(variables)
            unmatched = group.unmatched(variables)
            if unmatched:
                paths = [variable.path for variable in variables]
                shown = ", ".join(paths[:6]) + (", …" if len(paths) > 6 else "")
                part = "it matches none"
                if members:
                    part = f"of its list {', '.join(map(repr, unmatched))} matches none"
                raise ValueError(
                    f"{self._owner}: parameter_groups: expected {group.name!r} to match some of the "
                    f"{len(paths)} trainable weights ({shown}), and {part}"
                )
            for setting in group.settings():
                for variable in members:
                    other = found[setting].setdefault(variable.id, group)
                    if other is not group:
                        raise ValueError(
                            f"{self._owner}: parameter_groups: expected groups that do not overlap, and "
                            f"{other.name!r} and {group.name!r} both set the {setting} of {variable.path!r}"
                        )
        self._by_setting = found
        return [variable for variable in variables if not self.freezes(variable)]

    def freezes(self, variable: Any) -> bool:
        """Whether a weight stays as it is."""
        group = self._by_setting["learning rate"].get(variable.id)
        return group is not None and group.frozen

    def sets_rate(self, variable: Any) -> bool:
        """Whether a weight has a learning rate that does not go by the optimizer's, or none."""
        group = self._by_setting["learning rate"].get(variable.id)
        return group is not None and group.learning_rate_multiplier is None

    def decay(self, variable: Any, default: float | None) -> float | None:
        """The weight decay of a weight: its group's, or else `default`."""
        group = self._by_setting["weight decay"].get(variable.id)
        return default if group is None else group.weight_decay

    def rates(self, rate: Any, step: Callable[[Any], Any]) -> Callable[[Any], Any]:
        """What gives the learning rate of a weight in this step.

        Args:
            rate: The optimizer's learning rate.
            step: Gives the number of the step, as a schedule counts.
        """
        made: dict[int, Any] = {}

        def of(variable: Any) -> Any:
            group = self._by_setting["learning rate"].get(variable.id)
            if group is None:
                return rate
            if id(group) not in made:
                made[id(group)] = _rate_of(group, rate, step)
            return made[id(group)]

        return of

    def schedules(self) -> list[LearningRateSchedule]:
        """The schedules of groups."""
        return [g.learning_rate for g in self.groups if isinstance(g.learning_rate, LearningRateSchedule)]


def _rate_of(group: ParameterGroup, rate: Any, step: Callable[[Any], Any]) -> Any:
    if group.learning_rate_multiplier is not None:
        return rate * float(group.learning_rate_multiplier)
    if isinstance(group.learning_rate, LearningRateSchedule):
        return group.learning_rate(step(group.learning_rate))
    return _core.tensor(np.float32(group.learning_rate))


def layer_wise_decay(model: Any, decay: float = 0.75, blocks: Any = None) -> list[ParameterGroup]:
    """Groups whose learning rates fall from the output to the input, to fine-tune a trained model.

    The last block learns at the optimizer's rate, the one before at `decay` times it, and so on
    (Howard and Ruder 2018, "Universal language model fine-tuning for text classification", arXiv:1801.06146,
    section 3.2; Bao et al. 2021, "BEiT: BERT pre-training of image transformers", arXiv:2106.08254).

    Args:
        model: A model that is built. Its layers with weights, in their order, are divided.
        decay: Factor between one block and the next, above 0 and at most 1.
        blocks: How many blocks of about as many layers; None for 12, or one a layer if they are fewer. Or a
            function that takes a layer and gives the number of its block, 0 for that at the input.

    Returns:
        A list of groups for `parameter_groups`.

    Raises:
        ValueError: The model has no weights, or there are more blocks than layers that have some.

    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((4,)), cnnrs.layers.Dense(3), cnnrs.layers.Dense(2)])
    >>> [group.learning_rate_multiplier for group in cnnrs.optimizers.layer_wise_decay(model, 0.5)]
    [0.5, 1.0]
    """
    number(decay, "layer_wise_decay", "decay", above=0, most=1)
    seen: set[int] = set()
    layers: list[tuple[Any, list[Any]]] = []
    for layer in _weighted(model):
        own = [v for v in layer.trainable_variables if v.id not in seen]
        seen.update(v.id for v in own)
        if own:
            layers.append((layer, own))
    if not layers:
        raise ValueError(
            f"layer_wise_decay: model: expected weights that are trained, received none in {model.name!r}; "
            "build it first"
        )
    if callable(blocks):
        places = [int(blocks(layer)) for layer, _ in layers]
    else:
        count = min(12, len(layers)) if blocks is None else blocks
        if isinstance(count, bool) or not isinstance(count, int) or not 1 <= count <= len(layers):
            raise ValueError(
                f"layer_wise_decay: blocks: expected 1..{len(layers)}, as many layers have weights, or a "
                f"function, received {blocks!r}"
            )
        places = [i * count // len(layers) for i in range(len(layers))]
    last = max(places)
    groups = []
    for place in sorted(set(places)):
        weights = [v for (_, own), at in zip(layers, places, strict=True) if at == place for v in own]
        factor = float(decay) ** (last - place)
        groups.append(
            ParameterGroup(weights, learning_rate_multiplier=factor, name=f"block {place} of {model.name}")
        )
    return groups


def _weighted(model: Any) -> list[Any]:
    """The layers of a model, those of models inside of it one by one."""
    found: list[Any] = []
    for layer in getattr(model, "layers", []):
        found += _weighted(layer) if getattr(layer, "layers", None) else [layer]
    return found
