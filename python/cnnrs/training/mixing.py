"""`BatchMixing`: MixUp and CutMix within the steps of `fit`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from cnnrs import ops, random, tree
from cnnrs.base.dtypes import FLOATS
from cnnrs.layers import CutMix, MixUp
from cnnrs.losses.mixed import MixedTargets

__all__ = ["BatchMixing", "MixedBatch"]


class MixedBatch(NamedTuple):
    """A batch whose samples were mixed with each other.

    Attributes:
        x: The mixed samples.
        y: `MixedTargets` in the structure of the targets; None if there are none.
        sample_weight: Weights of the samples' losses; None if there are none.
        labels: For metrics: of each two targets the one of greater weight.
        label_weight: Their sample weights.
    """

    x: Any
    y: Any
    sample_weight: Any
    labels: Any
    label_weight: Any


class _Weights(NamedTuple):
    """How a batch is mixed.

    Attributes:
        order: The places of the samples that are mixed in.
        of_samples: Weights of the samples that were there, of shape (batch,).
        of_elements: The same for the elements of x, of a shape that broadcasts to it.
    """

    order: Any
    of_samples: Any
    of_elements: Any


@dataclass(frozen=True)
class BatchMixing:
    """Mixes the samples of batches: one of some layers is drawn for each batch.

    Attributes:
        layers: The layers.
        owner: What errors call the model.
    """

    layers: tuple[Any, ...]
    owner: str

    @classmethod
    def of(cls, given: Any, owner: str) -> BatchMixing | None:
        """What `fit` was given, checked; None of None.

        Raises:
            TypeError: It is no layer that mixes, and no list of such.
            ValueError: The list is empty.
        """
        if given is None:
            return None
        layers = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        expected = "layers.MixUp or layers.CutMix, or a list of which one is drawn for each batch"
        if not layers:
            raise ValueError(f"{owner}: fit: batch_augmentation: expected {expected}, received an empty list")
        for layer in layers:
            if not isinstance(layer, (MixUp, CutMix)):
                hint = "; layers that change each image by itself belong into the model"
                raise TypeError(
                    f"{owner}: fit: batch_augmentation: expected {expected}, received {layer!r}"
                    f"{hint if hasattr(layer, 'transform_images') else ''}"
                )
        return cls(layers, owner)

    @property
    def variables(self) -> list[Any]:
        """The states of the generators from which is drawn."""
        return list({id(layer): layer.generator.state for layer in self.layers}.values())

    def __call__(self, x: Any, y: Any, sample_weight: Any) -> MixedBatch:
        """Mixes a batch.

        Args:
            x: Samples, one tensor.
            y: Targets, or a structure of them; None.
            sample_weight: Weights of samples, one tensor or in the structure of `y`; None.

        Raises:
            ValueError: There are several inputs, or targets or weights that fit neither samples nor images.
        """
        inputs = [leaf for leaf in tree.flatten(x) if leaf is not None]
        if len(inputs) != 1:
            raise ValueError(
                f"{self.owner}: fit: batch_augmentation: expected a model with one input, received "
                f"{len(inputs)} inputs; mix them in the data"
            )
        image = inputs[0]
        weights = self._draw(tuple(image.shape))
        samples = ops.cast(image, image.dtype if image.dtype in FLOATS else "float32")
        of_elements = ops.cast(weights.of_elements, samples.dtype)
        other = ops.take(samples, weights.order, axis=0)
        mixed = of_elements * samples + (1.0 - of_elements) * other
        x = tree.pack_sequence_as(x, [None if leaf is None else mixed for leaf in tree.flatten(x)])
        if y is None:
            return MixedBatch(x, None, sample_weight, None, sample_weight)
        targets = [
            None if leaf is None else self._targets(leaf, weights, tuple(image.shape))
            for leaf in tree.flatten(y)
        ]
        labels = tree.pack_sequence_as(y, [t if t is None else t.dominant() for t in targets])
        if sample_weight is None:
            return MixedBatch(x, tree.pack_sequence_as(y, targets), None, labels, None)
        targets, loss_weights, label_weights = self._weighted(targets, sample_weight, weights.order)
        return MixedBatch(
            x,
            tree.pack_sequence_as(y, targets),
            tree.pack_sequence_as(y, loss_weights),
            labels,
            tree.pack_sequence_as(y, label_weights),
        )

    def soft(self, y: Any, method: str) -> Any:
        """The mixtures of targets themselves, for a step or a loss that the user wrote.

        Args:
            y: `MixedTargets`, or a structure of them; None.
            method: What the user wrote.

        Raises:
            ValueError: Targets are not one-hot, nor maps, but integers, or numbers that may be.
        """

        def mixed(target: Any) -> Any:
            if target is None:
                return None
            is_row = len(target.shape) == 2 and target.shape[-1] > 1
            if target.dtype not in FLOATS or not (target.is_map or is_row):
                raise ValueError(
                    f"{self.owner}: fit: batch_augmentation: expected one-hot targets of floats, for the "
                    f"model's class has a {method} of its own; received {target.dtype} of shape "
                    f"{tuple(target.shape)}"
                )
            return target.soft()

        return None if y is None else tree.map_structure(mixed, y)

    def _draw(self, shape: tuple[int, ...]) -> _Weights:
        drawn = [_Weights(*layer.mixing(shape)) for layer in self.layers]
        if len(drawn) == 1:
            return drawn[0]
        pick = random.uniform((), 0.0, float(len(drawn)), seed=self.layers[0].generator)
        found = drawn[0]
        for place, other in enumerate(drawn[1:], 1):
            found = _Weights(
                *(ops.where(pick >= float(place), b, a) for a, b in zip(found, other, strict=True))
            )
        return found

    def _targets(self, y: Any, weights: _Weights, shape: tuple[int, ...]) -> MixedTargets:
        """Targets of samples by the weights of samples; of pixels by those of pixels."""
        second = ops.take(y, weights.order, axis=0)
        rank, place = len(y.shape), self._place(tuple(y.shape), shape)
        cuts = [layer for layer in self.layers if isinstance(layer, CutMix)]
        if cuts and place:
            first = self.layers[0].data_format == "channels_first"
            of_pixels = ops.squeeze(weights.of_elements, 1 if first else 3)
            around = _around(of_pixels, place, rank)
            cut = len(cuts) == len(self.layers)
            return MixedTargets(y, second, of_pixels, around, weights.of_samples, is_map=True, cut=cut)
        if rank > 2 and cuts:
            raise ValueError(
                f"{self.owner}: fit: batch_augmentation: {cuts[0].name}: expected targets of samples, or "
                f"maps of the size of the images {shape}, received shape {tuple(y.shape)}"
            )
        weight = weights.of_samples
        return MixedTargets(y, second, weight, _around(weight, 1, rank), is_map=place > 0)

    def _place(self, target: tuple[int, ...], images: tuple[int, ...]) -> int:
        """Where the height of images is among the axes of targets; 0 if these are no maps of their size."""
        rank = len(target)
        if rank <= 2 or len(images) != 4:
            return 0
        first = self.layers[0].data_format == "channels_first"
        places = {1, rank - 2} if first else {1}
        height_width = images[2:] if first else images[1:3]
        return next((place for place in places if target[place : place + 2] == height_width), 0)

    def _weighted(
        self, targets: list[Any], sample_weight: Any, order: Any
    ) -> tuple[list[Any], list[Any], list[Any]]:
        """Targets, and weights of losses and labels: each of the two losses has the weight of its sample."""
        given = tree.flatten(sample_weight)
        if not tree.is_nested(sample_weight):
            given = [sample_weight] * len(targets)
        if len(given) != len(targets):
            raise ValueError(
                f"{self.owner}: fit: batch_augmentation: sample_weight: expected one array, or one for each "
                f"of {len(targets)} targets, received {len(given)}"
            )
        mixed: list[Any] = []
        for target, own in zip(targets, given, strict=True):
            if target is None or own is None:
                mixed.append((target, own, own))
                continue
            own = ops.cast(own, "float32")
            if len(own.shape) > 1 and own.shape[-1] == 1:
                own = ops.squeeze(own, -1)
            rank = max(len(own.shape), len(target.weight.shape))
            part, first = _around(target.weight, 1, rank), _around(own, 1, rank)
            second = ops.take(first, order, axis=0)
            share, total = _shared(part, first, second)
            by_sample: tuple[Any, Any] = target.of_samples, None
            if len(own.shape) == 1:
                by_sample = _shared(target.of_samples, own, ops.take(own, order, axis=0))
            chosen = target.with_weight(share, *by_sample)
            mixed.append((chosen, total, ops.where(part >= 0.5, first, second)))
        found, losses, labels = (list(column) for column in zip(*mixed, strict=True))
        return found, losses, labels


def _shared(part: Any, first: Any, second: Any) -> tuple[Any, Any]:
    """Of two weights, of which the first counts by `part`: its share of their sum, and the sum."""
    total = part * first + (1.0 - part) * second
    there = ops.not_equal(total, 0.0)
    return ops.where(there, part * first / ops.where(there, total, 1.0), part), total


def _around(weight: Any, place: int, rank: int) -> Any:
    """A weight whose axes after the first begin at `place`, with axes of 1 elsewhere up to `rank`."""
    batch, *others = weight.shape
    missing = rank - 1 - len(others)
    if missing <= 0:
        return weight
    before = min(place - 1, missing)
    return ops.reshape(weight, (batch, *[1] * before, *others, *[1] * (missing - before)))
