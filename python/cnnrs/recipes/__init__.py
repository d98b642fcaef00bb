"""Recipes of training: what a good run sets, by name.

>>> from cnnrs import recipes
>>> recipes.names()
['cifar', 'convnext', 'fine-tune', 'imagenet-large-batch', 'imagenet-small', 'mnist']
"""

from cnnrs.recipes.recipe import RECIPES, Recipe, get, names
from cnnrs.recipes.training import train

__all__ = ["RECIPES", "Recipe", "get", "names", "train"]
