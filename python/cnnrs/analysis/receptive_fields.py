"""Receptive fields: what of an image an element of a layer's result sees, and what counts of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from cnnrs import config, tree
from cnnrs.analysis.dependence import Dependence, dependences
from cnnrs.analysis.fields import Field
from cnnrs.analysis.recording import find_layer, input_facts, record
from cnnrs.analysis.tables import table
from cnnrs.analysis.watching import gradient_of_layer
from cnnrs.base.arguments import integer, named
from cnnrs.base.suggest import did_you_mean
from cnnrs.charts import Plotted

__all__ = [
    "EffectiveField",
    "LayerField",
    "ReceptiveFields",
    "effective_receptive_field",
    "receptive_field",
]


@dataclass(frozen=True)
class LayerField:
    """The receptive field of a layer's results. Tuples have an entry for each axis of the image.

    Attributes:
        name: The layer's name.
        type: Its class.
        path: Names of the layers that it lies in, and its own, with slashes between.
        size: Elements of the image that an element of the result sees through windows, also outside of the
            image, on all ways together; None where there is no way through windows alone.
        least: The same on the way that sees least.
        stride: Elements of the image between the fields of neighbours: the output stride.
        centre: The middle of the field of the first element; None as `size`.
        whole: Whether the whole image takes part, on some way: by global pooling, a dense layer, attention.
        aligned: Whether all ways that meet have fields with the same centres.
        output_shape: Extents of the result along the axes of the image, where it has them.
        image_shape: Extents of the image.
        paths: How many ways through the network see how much; empty, unless asked for.
    """

    name: str
    type: str
    path: str
    size: tuple[int, ...] | None
    least: tuple[int, ...] | None
    stride: tuple[int | Fraction, ...] | None
    centre: tuple[float, ...] | None
    whole: bool
    aligned: bool
    output_shape: tuple[int, ...]
    image_shape: tuple[int, ...]
    paths: dict[tuple[int, ...], int] = field(default_factory=dict)
    _fields: tuple[Field, ...] = ()

    def region(self, *position: int) -> tuple[tuple[int, int], ...]:
        """Rows and columns of the image that the element at `position` sees.

        Args:
            *position: Its index along each axis of the image.

        Returns:
            For each axis the first index and the one behind the last, cut to the image. Near borders it may
            be more than what is seen, where a layer in between reads padding of its own.

        Raises:
            ValueError: There is not one integer for each axis.
        """
        if len(position) != len(self.image_shape):
            raise ValueError(
                f"{self.name}: region: position: expected {len(self.image_shape)} indices, received "
                f"{position}"
            )
        if self.whole or self.size is None:
            return tuple((0, n) for n in self.image_shape)
        stretches = [
            f.at(integer(p, self.name, "position")) for f, p in zip(self._fields, position, strict=True)
        ]
        cut = []
        for stretch, n in zip(stretches, self.image_shape, strict=True):
            first, last = stretch or (0, -1)
            start = min(max(first, 0), n)
            cut.append((start, max(start, min(last + 1, n))))
        return tuple(cut)

    @property
    def text(self) -> str:
        """The size in words: "7 × 7", "whole image", or "whole (7 × 7)" where windows see less."""
        if self.size is None:
            return "whole image"
        size = _times(self.size)
        return f"whole ({size})" if self.whole else size

    @property
    def stride_text(self) -> str:
        """The stride in words: "2 × 2"; "" where there is none."""
        return "" if self.stride is None else _times(self.stride)


class ReceptiveFields(Plotted):
    """Receptive fields of the layers of a model. Printing it shows a table.

    `plot` draws the sizes of the fields by layer.

    Attributes:
        title: The model's name.
        layers: One for each call of a layer, in the order of the calls.
        output: That of the model's first result.
    """

    def __init__(self, title: str, layers: list[LayerField], output: LayerField):
        self.title = title
        self.layers = layers
        self.output = output

    def __getitem__(self, name: str | int) -> LayerField:
        """That of the layer of this name or path, of its last call; or by number.

        Raises:
            KeyError: There is none.
        """
        if isinstance(name, int):
            return self.layers[name]
        for layer in reversed(self.layers):
            if name in (layer.path, layer.name):
                return layer
        names = [layer.name for layer in self.layers]
        raise KeyError(f"receptive_field: no layer is called {name!r}{did_you_mean(name, names)}")

    def __iter__(self) -> Iterator[LayerField]:
        return iter(self.layers)

    def __len__(self) -> int:
        return len(self.layers)

    def __repr__(self) -> str:
        rows = [
            [
                layer.path,
                layer.type,
                layer.text,
                "" if layer.least in (None, layer.size) else _times(layer.least or ()),
                layer.stride_text,
                "" if layer.centre is None else ", ".join(f"{c:g}" for c in layer.centre),
                "" if layer.aligned else "no",
            ]
            for layer in self.layers
        ]
        titles = ["Layer", "Type", "Receptive field", "Least", "Stride", "Centre of first", "Aligned"]
        return f"Receptive fields of {self.title}\n{table(titles, rows)}"

    def _draw(self, ax: Any) -> None:
        shown = [layer for layer in self.layers if layer.size is not None]
        curves = {
            "all ways together": [max(layer.size or (0,)) for layer in shown],
            "the way that sees least": [max(layer.least or (0,)) for layer in shown],
        }
        for label, sizes in curves.items():
            if label == "all ways together" or sizes != curves["all ways together"]:
                ax.plot(range(len(shown)), sizes, drawstyle="steps-mid", label=label)
        ax.axhline(max(self.output.image_shape), linestyle=":", color="gray", label="the image")
        if len(shown) <= 12:
            ax.set_xticks(range(len(shown)), [layer.name for layer in shown], rotation=45, ha="right")
        else:
            ax.set_xlabel("layer, in the order of calls, those inside of layers included")
        ax.set(title=self.title, ylabel="receptive field")
        ax.legend()


@named
def receptive_field(
    model: Any, x: Any = None, *, input_shape: Any = None, input: int = 0, paths: bool = False
) -> ReceptiveFields:
    """What of the image an element of each layer's result sees.

    A window of k elements, d apart, widens a field of r by `(k - 1) d j`, where j is how many elements of the
    image lie between neighbours; its stride s multiplies j. Here the recursion runs over the recorded
    operations, on each way through the graph: custom, nested and subclassed layers need no rules of their
    own. Transposed convolutions and upsampling have fields that differ by place; `size` is the widest. Sizes
    count what lies outside of the image, too. Images of unknown size are taken as 256 × 256.

    Args:
        model: A model or a layer.
        x: Samples of one batch, whose shapes count. By default the shapes of the model's inputs.
        input_shape: Or the shape of one sample.
        input: The number of the input that is asked about, where there are several.
        paths: Whether the ways through the graph are counted by what they see.

    Returns:
        A table: `fields["block4_conv3"].size`.

    Raises:
        ValueError: The inputs have no known shapes, or no axes of an image.

    Reference: A. Araujo, W. Norris, J. Sim (2019), "Computing Receptive Fields of Convolutional Neural
    Networks", Distill, doi:10.23915/distill.00021.

    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([
    ...     cnnrs.Input((32, 32, 3)),
    ...     layers.Conv2D(8, 3, name="conv1"),
    ...     layers.MaxPooling2D(2, name="pool"),
    ...     layers.Conv2D(8, 3, dilation_rate=2, name="conv2"),
    ...     layers.GlobalAveragePooling2D(name="mean"),
    ... ])
    >>> fields = cnnrs.receptive_field(model)
    >>> fields["conv2"].size, fields["mean"].text
    ((12, 12), 'whole image')
    >>> fields["conv2"].region(1, 0)
    ((2, 14), (0, 12))
    """
    facts = input_facts(model, x, 1, "receptive_field", input_shape)
    flat = tree.flatten(facts)
    input = integer(input, "receptive_field", "input", least=0, most=len(flat) - 1)
    shape = flat[input].shape
    axes = spatial_axes(model, len(shape))
    if not axes:
        raise ValueError(
            f"receptive_field: {model.name}: expected an input with axes of an image, received shape {shape}"
        )
    recording = record(model, facts)
    known = dependences(recording.nodes, paths)
    layers = []
    for call in recording.calls:
        if not call.outputs:
            continue
        states = [known[call.outputs[0]].get((input, axis)) for axis in axes]
        if all(states):
            found = _layer_field(call.layer.name, type(call.layer).__name__, call.path, states, shape, axes)
            layers.append(_placed(found, states, recording.nodes[call.outputs[0]]["shape"]))
    states = [known[recording.outputs[0]].get((input, axis)) for axis in axes]
    if not all(states):
        raise ValueError(f"receptive_field: {model.name}: no output depends on input {input}")
    output = _layer_field(model.name, type(model).__name__, model.name, states, shape, axes)
    output = _placed(output, states, recording.nodes[recording.outputs[0]]["shape"])
    return ReceptiveFields(model.name, layers or [output], output)


def spatial_axes(model: Any, rank: int) -> tuple[int, ...]:
    """The axes of an input that are an image's, a volume's or a sequence's: neither batch nor channels."""
    found = (getattr(layer, "data_format", None) for layer in model._flatten_layers())
    data_format = next((d for d in found if d is not None), config.image_data_format())
    if rank < 3:
        return ()
    return tuple(range(2, rank)) if data_format == "channels_first" else tuple(range(1, rank - 1))


def _layer_field(
    name: str, kind: str, path: str, states: list[Any], shape: tuple[int, ...], axes: tuple[int, ...]
) -> LayerField:
    found: list[Dependence] = states
    whole = any(d.whole for d in found)
    aligned = all(d.aligned for d in found)
    image = tuple(shape[axis] for axis in axes)
    fields = tuple(d.field for d in found if d.field is not None)
    least = tuple(d.least.size for d in found if d.least is not None)
    if len(fields) < len(found):
        return LayerField(name, kind, path, None, None, None, None, True, aligned, (), image)
    counted: dict[tuple[int, ...], int] = {}
    # Ways along the axes are the same: what sees most along one does along the others, unless windows are
    # oblong.
    ordered = [sorted((d.paths or {}).items(), key=lambda item: item[0].size) for d in found]
    if len({tuple(count for _, count in ways) for ways in ordered}) == 1:
        for ways in zip(*ordered, strict=True):
            key = tuple(way.size for way, _ in ways)
            counted[key] = counted.get(key, 0) + ways[0][1]
    return LayerField(
        name,
        kind,
        path,
        tuple(f.size for f in fields),
        least,
        _strides(fields),
        tuple(f.centre for f in fields),
        whole,
        aligned,
        (),
        image,
        counted,
        fields,
    )


def _placed(found: LayerField, states: list[Any], shape: tuple[int, ...]) -> LayerField:
    """With the extents of the result along the axes of the image, where it has them."""
    axes = [d.axis for d in states]
    if None in axes or len(set(axes)) < len(axes):
        return found
    # Behind an upsampling that repeats elements, several in a row have the same field.
    fields = tuple(d.field.repeated(d.inner) for d in states)
    return replace(
        found,
        output_shape=tuple(shape[axis] for axis in axes),
        stride=_strides(fields),
        centre=tuple(f.centre for f in fields),
        _fields=fields,
    )


def _strides(fields: tuple[Field, ...]) -> tuple[Any, ...]:
    return tuple(int(f.stride) if f.stride.denominator == 1 else f.stride for f in fields)


def _times(numbers: tuple[Any, ...]) -> str:
    return " × ".join(str(n) if int(n) == n else f"{float(n):g}" for n in numbers)


@dataclass(frozen=True)
class EffectiveField(Plotted):
    """How much each pixel counts for an element of a layer's result. `plot` draws the weights as a picture.

    Attributes:
        layer: The layer's name.
        position: The element, along the axes of the image.
        weights: Mean absolute gradient of the element by each pixel, with the sum 1: an array of the image's
            extents.
        radius: Of a disc with the same second moment as the weights, in pixels; of a uniform disc, its own.
        gaussian_width: Twice the standard deviations of the weights along each axis.
        theoretical: The size by the recursion; None where the whole image is seen.
    """

    layer: str
    position: tuple[int, ...]
    weights: np.ndarray
    radius: float
    gaussian_width: tuple[float, ...]
    theoretical: tuple[int, ...] | None

    def __repr__(self) -> str:
        seen = "the whole image" if self.theoretical is None else _times(self.theoretical)
        widths = " × ".join(f"{w:.1f}" for w in self.gaussian_width)
        sizes = f"{widths} of {seen}, radius {self.radius:.1f}"
        return f"<EffectiveField of {self.layer} at {self.position}: {sizes}>"

    def _draw(self, ax: Any) -> None:
        weights = self.weights if self.weights.ndim > 1 else self.weights[None]
        ax.imshow(weights, cmap="magma")
        ax.set(title=f"{self.layer}: effective receptive field", xticks=[], yticks=[])


@named
def effective_receptive_field(
    model: Any, layer: Any = None, x: Any = None, *, position: Any = None, samples: int = 16, seed: int = 0
) -> EffectiveField:
    """How much each pixel counts for an element of a layer's result, by gradients.

    The gradient of one element's channels, taken together, by the image is measured; absolute values are
    averaged over samples and channels. It falls off like a bell inside of the receptive field, whose borders
    hardly count.

    Args:
        model: A model.
        layer: The layer or its name; None takes the model's output, or if that has no axes of the image the
            last layer whose result has.
        x: Images; by default `samples` of normal noise, as in the paper.
        position: The element along the axes of the image, by default the one in the middle.
        samples: Images of noise, where `x` is not given.
        seed: What the noise comes from.

    Returns:
        The weights of the pixels, and their radius.

    Raises:
        ValueError: There is no such layer or element, or its results have no axes of the image.

    Reference: W. Luo, Y. Li, R. Urtasun, R. Zemel (2016), "Understanding the Effective Receptive Field in
    Deep Convolutional Neural Networks", arXiv:1701.04128.

    >>> import cnnrs
    >>> from cnnrs import layers
    >>> model = cnnrs.Sequential([cnnrs.Input((17, 17, 1)), *(layers.Conv2D(4, 3) for _ in range(4))])
    >>> found = cnnrs.analysis.effective_receptive_field(model)
    >>> found.weights.shape, found.theoretical, bool(found.gaussian_width[0] < 9)
    ((17, 17), (9, 9), True)
    """
    owner = "effective_receptive_field"
    samples = integer(samples, owner, "samples", least=1)
    if x is None:
        (fact,) = tree.flatten(input_facts(model, None, samples, owner))
        x = np.random.default_rng(seed).standard_normal(fact.shape).astype(np.float32)
    x = np.asarray(x, np.float32)
    axes = spatial_axes(model, x.ndim)
    fields = receptive_field(model, x[:1])
    found = fields.output
    if layer is not None:
        path = find_layer(model, layer, owner).name
        found = fields[path]
    elif not found.output_shape:
        maps = [each for each in fields if each.output_shape]
        if maps:
            found, layer = maps[-1], find_layer(model, maps[-1].path, owner)
    if not found.output_shape:
        raise ValueError(
            f"{owner}: layer: expected one whose result has the axes of the image, received {found.name!r}"
        )
    if position is None:
        position = tuple(n // 2 for n in found.output_shape)
    position = tuple(integer(p, owner, "position", least=0) for p in position)
    if len(position) != len(found.output_shape) or any(
        p >= n for p, n in zip(position, found.output_shape, strict=True)
    ):
        raise ValueError(
            f"{owner}: position: expected an element of {found.output_shape}, received {position}"
        )

    def element(outputs: Any) -> Any:
        # The axes of the image lie in the result where they lie in the input.
        where: list[Any] = [slice(None)] * len(outputs.shape)
        for axis, p in zip(axes, position, strict=True):
            where[axis] = p
        return outputs[tuple(where)].sum()

    gradients = gradient_of_layer(model, layer, x, element, owner)
    others = tuple(a for a in range(x.ndim) if a not in axes)
    weights = np.abs(gradients).mean(axis=others, dtype=np.float64)
    total = weights.sum()
    if not total > 0:
        raise ValueError(f"{owner}: {model.name}: no pixel has a gradient at {position}")
    weights /= total
    widths, moment = [], 0.0
    for axis in range(weights.ndim):
        along = weights.sum(axis=tuple(a for a in range(weights.ndim) if a != axis))
        places = np.arange(len(along))
        variance = float(along @ (places - along @ places) ** 2)
        moment += variance
        widths.append(2 * variance**0.5)
    # A uniform disc of radius r has the second moment r² / 2.
    radius = (2 * moment) ** 0.5
    whole = None if found.whole else found.size
    return EffectiveField(found.name, position, weights, radius, tuple(widths), whole)
