"""What layers make of samples, and the filters that they have learned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from cnnrs import _core, tree
from cnnrs.analysis.pictures import filter_tiles, grid, map_tiles, to_unit
from cnnrs.analysis.receptive_fields import spatial_axes
from cnnrs.analysis.recording import find_layer, paths_of
from cnnrs.analysis.watching import Run, run
from cnnrs.base.arguments import integer, named
from cnnrs.charts import data_url
from cnnrs.charts.html import tag

__all__ = ["FeatureMaps", "LayerFilters", "feature_maps", "filters"]


class FeatureMaps(dict[str, np.ndarray]):
    """Results of layers by their names, or paths inside of other layers: arrays with the samples first.

    Attributes:
        channel_axis: The axis of images that has the channels.
    """

    def __init__(self, maps: dict[str, np.ndarray], channel_axis: int):
        super().__init__(maps)
        self.channel_axis = channel_axis

    def __repr__(self) -> str:
        return "\n".join(["Feature maps", *(f"  {name}: {a.shape}" for name, a in self.items())])

    def _repr_html_(self) -> str:
        """The first channels that layers made of the first sample, for notebooks."""
        parts: list[Any] = []
        for name, maps in self.items():
            text = f"{name}: {' × '.join(map(str, maps.shape))}"
            if maps.ndim != 4 or not len(maps) or len(parts) >= 12:
                parts.append(tag("p", text))
                continue
            pixels = map_tiles(np.moveaxis(maps[0], self.channel_axis - 1, 0))
            drawn = tag("img", src=data_url(pixels), alt=text, style="image-rendering:pixelated")
            parts.append(tag("figure", drawn, tag("figcaption", text), style="margin:0 0 .6em"))
        return tag("div", *parts)

    def plot(self, layer: str, sample: int = 0, channels: int = 16) -> Any:
        """Draws the first channels that a layer made of a sample.

        Args:
            layer: The layer's name, as among the keys.
            sample: Number of the sample.
            channels: How many at most.

        Returns:
            matplotlib's figure.

        Raises:
            ImportError: matplotlib of the extra `cnnrs[plot]` is not installed.
            ValueError: The layer's results are no images.
        """
        maps = self[layer]
        if maps.ndim != 4:
            raise ValueError(
                f"FeatureMaps.plot: layer: expected one that makes images, received {maps.shape}"
            )
        sample = integer(sample, "FeatureMaps.plot", "sample", least=0, most=len(maps) - 1)
        channels = integer(channels, "FeatureMaps.plot", "channels", least=1)
        shown = list(np.moveaxis(maps[sample], self.channel_axis - 1, 0)[:channels])
        return grid(shown, [], "FeatureMaps.plot")


@named
def feature_maps(model: Any, x: Any, layers: Any = None) -> FeatureMaps:
    """What layers make of samples.

    Args:
        model: A model of any kind.
        x: Samples.
        layers: A layer or a name, or several; None takes all that the model lists, and those of models
            inside.

    Returns:
        A dictionary of arrays: the results of each layer's last call, the first of several results.

    Raises:
        ValueError: The model has no such layer, or does not call it.

    >>> import numpy as np
    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 1)), cnnrs.layers.Conv2D(4, 3, name="conv")])
    >>> cnnrs.analysis.feature_maps(model, np.zeros((2, 8, 8, 1)))["conv"].shape
    (2, 6, 6, 4)
    """
    owner = "feature_maps"
    paths = paths_of(model)
    if layers is None:
        wanted = [(layer, path) for layer, path in paths.values() if _is_listed(layer, path, model)]
    else:
        given = layers if isinstance(layers, (list, tuple)) else [layers]
        found = [find_layer(model, layer, owner) for layer in given]
        wanted = [
            (layer, asked if isinstance(asked, str) else paths[id(layer)][1])
            for layer, asked in zip(found, given, strict=True)
        ]
    called: list[str] = []

    def compute(record: Run) -> list[Any]:
        tensors = []
        for layer, path in wanted:
            if id(layer) in record.values:
                called.append(path)
                tensors.append(tree.flatten(record.values[id(layer)])[0])
            elif layers is not None:
                raise ValueError(f"{owner}: layers: {path!r} is not called by the model")
        return tensors

    with _core.no_grad():
        arrays = run(model, x, [layer for layer, _ in wanted], compute)
    rank = np.ndim(tree.flatten(x)[0])
    channel_axis = 1 if spatial_axes(model, rank)[:1] == (2,) else rank - 1
    return FeatureMaps(dict(zip(called, arrays, strict=True)), channel_axis)


def _is_listed(layer: Any, path: str, model: Any) -> bool:
    """Whether models list the layer: those that layers make for themselves are left out."""
    owner = model
    *outer, name = path.split("/")
    for part in outer:
        owner = next((inner for inner in getattr(owner, "layers", ()) if inner.name == part), None)
    return (
        any(inner is layer for inner in getattr(owner, "layers", ())) and type(layer).__name__ != "InputLayer"
    )


@dataclass(frozen=True)
class LayerFilters:
    """The filters of a convolution.

    Attributes:
        layer: The layer's name.
        weights: An array (rows, columns, channels of the input, filters).
    """

    layer: str
    weights: np.ndarray

    def __repr__(self) -> str:
        rows, columns, channels, count = self.weights.shape
        return f"<LayerFilters of {self.layer}: {count} of {rows} × {columns} × {channels}>"

    def _repr_html_(self) -> str:
        """The first filters, for notebooks: of three channels in colours, of others the first channel."""
        picture = filter_tiles(self.weights)
        return tag("figure", tag("img", src=data_url(picture), alt=repr(self)), tag("figcaption", repr(self)))

    def plot(self, count: int = 32) -> Any:
        """Draws the first filters: of three channels in colours, of others the first channel.

        Args:
            count: How many at most.

        Returns:
            matplotlib's figure.

        Raises:
            ImportError: matplotlib of the extra `cnnrs[plot]` is not installed.
        """
        count = integer(count, "LayerFilters.plot", "count", least=1)
        shown = np.moveaxis(self.weights, -1, 0)[:count]
        shown = to_unit(shown) if shown.shape[-1] == 3 else shown[..., 0]
        return grid(list(shown), [], "LayerFilters.plot", cmap="gray")


@named
def filters(model: Any, layer: Any = None) -> LayerFilters:
    """The filters of a convolution.

    Args:
        model: A built model.
        layer: The layer or its name; None takes the first that has filters.

    Returns:
        The weights as an array of four axes.

    Raises:
        ValueError: There is no such layer, or it has no filters.

    >>> import cnnrs
    >>> model = cnnrs.Sequential([cnnrs.Input((8, 8, 3)), cnnrs.layers.Conv2D(4, 5, name="conv")])
    >>> cnnrs.analysis.filters(model)
    <LayerFilters of conv: 4 of 5 × 5 × 3>
    """
    chosen = [find_layer(model, layer, "filters")] if layer is not None else []
    for candidate in chosen or [inner for inner, _ in paths_of(model).values()]:
        own = [weight for weight in candidate.weights if len(weight.shape) == 4]
        if own and (chosen or not hasattr(candidate, "layers")):
            return LayerFilters(candidate.name, np.asarray(own[0].numpy()))
    names = [inner.name for inner, _ in paths_of(model).values()]
    what = f"layer {chosen[0].name!r}" if chosen else f"{model.name} with the layers {', '.join(names[:12])}"
    raise ValueError(f"filters: expected filters with rows and columns, received {what}")
