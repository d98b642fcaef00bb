"""The page of Keras's names is what the package says, and what it lacks says why."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))

import keras_names

from cnnrs.base import absent


def test_the_page_is_current():
    assert keras_names.PAGE.read_text() == keras_names.page(), "run `make names`"


ABSENT = [
    name for name in ("layers.TFSMLayer", "layers.FlaxLayer", "layers.JaxLayer", "distribution.DeviceMesh")
]


@pytest.mark.parametrize("name", ABSENT)
def test_what_is_absent_says_what_to_use(name):
    found = keras_names.status(name)
    assert not found.works
    assert " has no " not in found.text and len(found.text) > 10


def test_statuses():
    assert keras_names.status("layers.Conv2D") == (True, "")
    assert keras_names.status("Layer.quantize").works is False
    assert keras_names.status("Callback.on_epoch_end").works
    assert keras_names.status("schedules.CosineDecay").works
    assert keras_names.status("losses.Hubert").works is False
    with pytest.raises(AttributeError, match="cnnrs.layers has no 'JaxLayer', which Keras has: "):
        keras_names.resolve("layers.JaxLayer")


@pytest.mark.parametrize("module", ["", "layers"])
def test_what_is_listed_as_absent_is(module):
    table = getattr(absent, f"OF_{module.upper() or 'CNNRS'}")
    home = importlib.import_module(f"cnnrs.{module}".rstrip("."))
    assert [name for names in table for name in names.split() if hasattr(home, name)] == []
