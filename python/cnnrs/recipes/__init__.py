"""Recipes of training: what a good run sets, by name.

>>> from cnnrs import recipes
>>> recipes.names()
['cifar', 'convnext', 'fine-tune', 'imagenet-large-batch', 'imagenet-small', 'mnist']
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cnnrs.base import suggest
from cnnrs.base.late import late
from cnnrs.recipes.recipe import RECIPES, Recipe, get, names

if TYPE_CHECKING:
    from cnnrs.recipes.training import train as train

__all__ = ["RECIPES", "Recipe", "get", "names", "train"]

# Settings of runs name recipes, and need no layers for that.
__getattr__, __dir__ = late(
    "cnnrs.recipes", {"training": "train"}, suggest.without("cnnrs.recipes", {}, __all__)
)
