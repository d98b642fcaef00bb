"""Images mixed with what chains of layers make of them."""

from __future__ import annotations

from typing import Any

from cnnrs import ops, random
from cnnrs.base import context
from cnnrs.base.arguments import integer, number
from cnnrs.base.image_steps import Step
from cnnrs.layers.augmentation.arguments import MOST_LAYERS
from cnnrs.layers.augmentation.base import RandomColorLayer
from cnnrs.layers.augmentation.policies import COLORS, GEOMETRY, VALUES, Policy

__all__ = ["AugMix"]


class AugMix(RandomColorLayer, Policy):
    """In training, mixes images with what chains of random layers make of them.

    Hendrycks et al. 2020, "AugMix: A simple data processing method", arXiv:1912.02781.

    Args:
        value_range: The least and the largest value of pixels.
        num_chains: How many chains there are.
        chain_depth: How many layers a chain has at most.
        factor: How strong the layers are, within 0..1.
        alpha: Of the distributions from which the weights of the chains and of the mixture are drawn.
        all_ops: Whether layers that change brightness, contrast, colour and sharpness are among them.
        interpolation: "bilinear" or "nearest", of those that move pixels.
        seed: Integer; None draws one.
        data_format: "channels_last" or "channels_first"; None takes the configured one.
        bounding_box_format: How boxes are given, if there are any; they stay as they are.

    >>> import numpy as np
    >>> from cnnrs import layers
    >>> layers.AugMix(seed=1)(np.zeros((2, 8, 8, 3))).shape
    (2, 8, 8, 3)
    """

    def __init__(
        self,
        value_range: Any = (0, 255),
        num_chains: int = 3,
        chain_depth: int = 3,
        factor: Any = 0.3,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: Any = None,
        data_format: str | None = None,
        **kwargs: Any,
    ):
        super().__init__(
            value_range=value_range,
            factor=factor,
            interpolation=interpolation,
            seed=seed,
            data_format=data_format,
            **kwargs,
        )
        self.num_chains = integer(num_chains, self.name, "num_chains", least=1, most=MOST_LAYERS)
        self.chain_depth = integer(chain_depth, self.name, "chain_depth", least=1, most=MOST_LAYERS)
        self.alpha = number(alpha, self.name, "alpha", above=0)
        self.all_ops = all_ops
        self._make_layers()
        self._augment_layers = [*GEOMETRY, *VALUES, *(COLORS if all_ops else [])]

    def get_random_transformation(self, data: Any, training: bool = True, seed: Any = None) -> Any:
        if not training:
            return None
        seed = self.generator if seed is None else seed
        shares = random.gamma((self.num_chains,), self.alpha, seed=seed)
        chains = [[self._link(data) for _ in range(self.chain_depth)] for _ in range(self.num_chains)]
        return {
            "chain_mixing_weights": shares / ops.sum(shares),
            "weight_sample": random.beta((), self.alpha, self.alpha, seed=seed),
            "chain_transforms": [[link for link in chain if link is not None] for chain in chains],
        }

    def _link(self, data: Any) -> Any:
        """One layer of a chain, None for none; in a recorded function, all of them with the number of one."""
        names = self._augment_layers
        if not context.is_tracing():
            index = int(random.randint((), 0, len(names) + 1, seed=self.generator))
            if index == len(names):
                return None
            return {"layer_name": names[index], "transformation": self._draw(names[index], data)}
        return {
            "index": random.randint((), 0, len(names) + 1, seed=self.generator),
            "transforms": {name: self._draw(name, data) for name in names},
        }

    def _linked(self, images: Any, link: Any) -> Any:
        if "index" not in link:
            return getattr(self, link["layer_name"]).transform_images(images, link["transformation"])
        result = images
        for place, (name, drawn) in enumerate(link["transforms"].items()):
            changed = getattr(self, name).transform_images(images, drawn)
            result = ops.where(link["index"] == place, changed, result)
        return result

    def _link_steps(self, link: Any, shape: Any) -> Any:
        if "index" in link:
            choice = self._choice(link["index"], link["transforms"], shape)
            return None if choice is None else [choice]
        return getattr(self, link["layer_name"])._steps(link["transformation"], shape, True)

    def _steps(self, transformation: Any, shape: Any, training: bool) -> Any:
        if not training:
            return []
        chains = []
        for chain in transformation["chain_transforms"]:
            links = [self._link_steps(link, shape) for link in chain]
            if None in links:
                return None
            chains.append([step for steps in links for step in steps])
        weights = ops.reshape(transformation["chain_mixing_weights"], (1, -1))
        return [Step("mix", self.value_range, [transformation["weight_sample"], weights], chains)]

    def transform_images(self, images: Any, transformation: Any, training: bool = True) -> Any:
        images = self._floats(images)
        if not training:
            return images
        weights = ops.cast(transformation["chain_mixing_weights"], "float32")
        mixed: Any = 0.0
        for place, chain in enumerate(transformation["chain_transforms"]):
            changed = images
            for link in chain:
                changed = self._linked(changed, link)
            mixed = mixed + changed * weights[place]
        share = ops.cast(transformation["weight_sample"], "float32")
        return ops.clip(share * images + (1.0 - share) * mixed, *map(float, self.value_range))

    def get_config(self) -> dict[str, Any]:
        names = ("num_chains", "chain_depth", "alpha", "all_ops")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}
