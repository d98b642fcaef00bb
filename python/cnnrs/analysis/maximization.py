"""Images that a channel or a class answers to most."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs import tree
from cnnrs.analysis.attribution.scores import gradient
from cnnrs.analysis.pictures import grid, to_unit
from cnnrs.analysis.receptive_fields import spatial_axes
from cnnrs.analysis.recording import find_layer, input_facts
from cnnrs.analysis.watching import Run, recorded, result_of
from cnnrs.base.arguments import integer, named, number
from cnnrs.base.extras import pyplot
from cnnrs.ops.annotated import AnnotatedTensor

__all__ = ["MaximizedImages", "maximize_activation"]


@dataclass(frozen=True)
class MaximizedImages:
    """Images that were made to excite channels.

    Attributes:
        layer: The layer's name.
        channels: The channel that each image excites.
        images: (channels, height, width, channels of the image).
        activations: (steps, channels): the mean activation before each step.
    """

    layer: str
    channels: np.ndarray
    images: np.ndarray
    activations: np.ndarray

    def __repr__(self) -> str:
        first, last = self.activations[0].mean(), self.activations[-1].mean()
        return (
            f"<MaximizedImages of {self.layer}: {len(self.channels)} of {self.images.shape[1:]}, "
            f"activation {first:.3g} to {last:.3g}>"
        )

    def plot(self, history: bool = False) -> Any:
        """Draws the images, or how the activations rose.

        Args:
            history: Whether the activations are drawn, by step.

        Returns:
            matplotlib's figure.

        Raises:
            ImportError: matplotlib of the extra `cnnrs[plot]` is not installed.
        """
        if history:
            figure, ax = pyplot("MaximizedImages.plot").subplots(layout="constrained")
            ax.plot(self.activations, label=[f"channel {c}" for c in self.channels])
            ax.set(xlabel="step", ylabel="mean activation", title=self.layer)
            ax.legend()
            return figure
        shown = to_unit(self.images)
        shown = shown if shown.shape[-1] == 3 else shown.mean(axis=-1)
        return grid(list(shown), [f"channel {c}" for c in self.channels], "MaximizedImages.plot", cmap="gray")


@named
def maximize_activation(
    model: Any,
    layer: Any = None,
    channels: Any = 0,
    *,
    input_shape: Any = None,
    steps: int = 100,
    step_size: float = 0.1,
    jitter: int = 2,
    blur: float = 0.5,
    blur_every: int = 4,
    weight_decay: float = 0.01,
    seed: int = 0,
) -> MaximizedImages:
    """Images that channels of a layer, or classes, answer to most, by gradient ascent from noise.

    Each step moves the image by `step_size` along the gradient of the channel's mean, which is divided by its
    root mean square. Between steps the image is shifted at random (`jitter`), blurred and shrunk: else what
    comes out is fine noise. Equal seeds give equal images.

    Args:
        model: A model of one input.
        layer: The layer or its name; None takes the output, before a softmax or sigmoid.
        channels: A channel, or several, with an image for each.
        input_shape: Shape of an image, where the model's is not known.
        steps: Steps.
        step_size: How far a step goes.
        jitter: Rows and columns by which the image is shifted at most.
        blur: Standard deviation of the Gaussian blur in pixels; 0 for none.
        blur_every: Steps between blurs.
        weight_decay: By which part of it the image shrinks in each step: the gradient of an L2 penalty.
        seed: What noise and shifts come from.

    Returns:
        The images, and the activations at each step.

    Raises:
        ValueError: There is no such layer or channel, or an argument is none of these.

    Reference: K. Simonyan, A. Vedaldi, A. Zisserman (2014), "Deep Inside Convolutional Networks: Visualising
    Image Classification Models and Saliency Maps", arXiv:1312.6034, section 2; J. Yosinski, J. Clune, A.
    Nguyen, T. Fuchs, H. Lipson (2015), "Understanding Neural Networks Through Deep Visualization",
    arXiv:1506.06579, for the blur.

    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((12, 12, 1)), cnnrs.layers.Conv2D(4, 3, name="conv")])
    >>> found = cnnrs.analysis.maximize_activation(model, "conv", [0, 2], steps=10)
    >>> found.images.shape, bool((found.activations[-1] > found.activations[0]).all())
    ((2, 12, 12, 1), True)
    """
    owner = "maximize_activation"
    steps, jitter = integer(steps, owner, "steps", least=1), integer(jitter, owner, "jitter", least=0)
    blur_every = integer(blur_every, owner, "blur_every", least=1)
    step_size, blur = number(step_size, owner, "step_size", above=0), number(blur, owner, "blur", least=0)
    weight_decay = number(weight_decay, owner, "weight_decay", least=0, below=1)
    given = channels if isinstance(channels, (tuple, list, range, np.ndarray)) else [channels]
    chosen = np.array([integer(c, owner, "channels", least=0) for c in given], np.int64)
    flat = tree.flatten(input_facts(model, None, len(chosen), owner, input_shape))
    if len(flat) != 1 or not spatial_axes(model, len(flat[0].shape)) or not len(chosen):
        raise ValueError(
            f"{owner}: {model.name}: expected one input that is an image, and at least one channel"
        )
    shape = flat[0].shape
    axes = spatial_axes(model, len(shape))
    target = None if layer is None else find_layer(model, layer, owner)
    random = np.random.default_rng(seed)
    x = random.normal(0.0, 0.1, shape).astype(np.float32)

    def compute(found: Run) -> list[Any]:
        maps = found.output(0, model, owner) if target is None else result_of(found, target, owner)
        if target is None and type(maps) is AnnotatedTensor and maps.info.logits is not None:
            maps = maps.info.logits.tensor
        rank = len(maps.shape)
        axis = 1 if rank == len(shape) and axes[0] == 2 else rank - 1
        if rank < 2 or chosen.max() >= maps.shape[axis]:
            raise ValueError(
                f"{owner}: channels: expected less than {maps.shape[axis] if rank > 1 else 0}, received "
                f"{given}"
            )
        mask = np.zeros([len(chosen) if a == 0 else n if a == axis else 1 for a, n in enumerate(maps.shape)])
        mask.reshape(len(chosen), -1)[np.arange(len(chosen)), chosen] = 1
        picked = (maps * mask.astype(np.float32)).reshape(len(chosen), -1).sum(axis=1)
        means = picked / float(np.prod([n for a, n in enumerate(maps.shape) if a not in (0, axis)]))
        return [gradient(means.sum(), found.inputs[0], owner, "the input"), means]

    function = recorded(model, x, [] if target is None else [target], compute)
    others = tuple(range(1, len(shape)))
    history = []
    for step in range(steps):
        shift = random.integers(-jitter, jitter + 1, len(axes))
        moved = np.roll(x, shift, axes)
        ascent, means = function(moved)
        history.append(means)
        scale = np.sqrt(np.mean(np.square(ascent, dtype=np.float64), axis=others, keepdims=True)) + 1e-12
        moved = moved * (1 - weight_decay) + step_size * ascent / scale
        if blur and (step + 1) % blur_every == 0:
            moved = _blurred(moved, blur, axes)
        x = np.roll(moved, -shift, axes).astype(np.float32)
    history.append(function(x)[1])
    images = np.moveaxis(x, 1, -1) if axes[0] == 2 else x
    name = model.name if target is None else target.name
    return MaximizedImages(name, chosen, images, np.array(history))


def _blurred(x: np.ndarray, sigma: float, axes: tuple[int, ...]) -> np.ndarray:
    """Images under a Gaussian, cut at three standard deviations; borders are repeated."""
    reach = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    weights /= weights.sum()
    for axis in axes:
        padded = np.pad(x, [(reach, reach) if a == axis else (0, 0) for a in range(x.ndim)], mode="edge")
        n = x.shape[axis]
        x = sum(w * np.take(padded, range(k, k + n), axis) for k, w in enumerate(weights))
    return x
