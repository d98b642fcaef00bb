"""Networks with torchvision's names: what they are made of and compute is what torchvision's are and do.

`tests/fixtures/torchvision_networks.json.xz` has torchvision's figures; `make fixtures` writes it.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cnnrs
from cnnrs import layers
from cnnrs.applications import torchvision, vit
from cnnrs.applications.further_networks import FURTHER
from cnnrs.applications.torchvision import making, state_dicts

sys.path.insert(0, str(Path(__file__).parents[1] / "fixtures"))

from torchvision_cases import CASES, CLASSES, TRANSFORMER, Case, images, read, value

THEIRS = read()
NETWORKS = THEIRS["networks"]
AUXILIARY = ("googlenet", "inception_v3")


def test_each_network_of_torchvision_is_there():
    ours = {title for title, row in FURTHER.items() if row.module == "torchvision"}
    assert ours == set(NETWORKS)
    assert ours <= set(torchvision.__all__)


@pytest.mark.parametrize(
    ("weights", "theirs"),
    [("imagenet", "DEFAULT"), ("DEFAULT", "DEFAULT"), ("IMAGENET1K_V1", "IMAGENET1K_V1")],
)
def test_names_of_published_weights_are_answered_by_how_to_convert_them(weights, theirs):
    with pytest.raises(
        ValueError, match=f"resnet18: weights: .* received '{weights}': torchvision"
    ) as caught:
        torchvision.resnet18(weights=weights)
    assert f'models.resnet18(weights="{theirs}").state_dict()' in str(caught.value)


@pytest.mark.parametrize("network", NETWORKS)
def test_networks_are_made_of_what_torchvision_makes_them_of(network, no_draws):
    theirs = NETWORKS[network]
    options = {"aux_heads": True} if network in AUXILIARY else {}
    model = getattr(torchvision, network)(**options)
    assert model.name == network
    arrays = {array.key: list(array.shape) for array in state_dicts._arrays(model)}
    assert arrays == theirs["arrays"]
    count = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    assert count == theirs["count"]
    # What torchvision publishes of GoogLeNet leaves the auxiliary classifiers out.
    if network == "googlenet":
        count -= sum(weight.value.size for weight in model.trainable_weights if weight.path.startswith("aux"))
    assert count in theirs["published"]
    norms = {
        (layer.epsilon, round(layer.momentum, 6))
        for layer in model.layers
        if isinstance(layer, layers.BatchNormalization)
    }
    assert [list(norm) for norm in sorted(norms)] == theirs["norms"]
    rates = [round(layer.rate, 6) for layer in model.layers if isinstance(layer, layers.Dropout)]
    assert sorted(rates) == theirs["rates"]
    features = getattr(torchvision, network)(include_top=False, pooling="avg")
    assert features.output_shape == (None, FURTHER[network].channels)


def built(case: Case) -> cnnrs.Model:
    size: dict[str, Any] = {"input_shape": (case.height, case.width, 3), "weights": None}
    if case.network == "transformer":
        side, patch, blocks, heads, channels = TRANSFORMER
        assert (case.height, case.width) == (side, side)
        design = vit.Design(channels, blocks, heads, patch)
        title = "vit_b_16"  # what is looked up by the name are sizes and that there are no weights
        make = making.network(
            title, "", lambda x: vit.vit(making.MAKE, x, design), vit.top(making.MAKE), __name__
        )
        return make(**size, classes=CLASSES, classifier_activation=None)
    build = getattr(torchvision, case.network)
    if not case.top:
        return build(**size, include_top=False, pooling="avg")
    options = {"aux_heads": True} if case.auxiliary else {}
    return build(**size, **options, classes=CLASSES, classifier_activation=None)


def state_of(model: cnnrs.Model, gain: float = 2.0) -> dict[str, np.ndarray]:
    return {array.key: value(array.key, array.shape, gain) for array in state_dicts._arrays(model)}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.key)
def test_outputs_are_those_of_torchvision(case):
    model = built(case)
    torchvision.load_state_dict(model, state_of(model, case.gain))
    found = model.predict(images(case), verbose=0)
    found = found if case.auxiliary else [found]
    assert len(found) == len(THEIRS["outputs"][case.key])
    for ours, theirs in zip(found, THEIRS["outputs"][case.key], strict=True):
        expected = np.array(theirs)
        largest = np.abs(expected).max()
        # Images must tell: weights that drown them compare nothing.
        assert np.abs(expected[0] - expected[1]).max() > 1e-3 * largest
        np.testing.assert_allclose(ours[:, :CLASSES], expected, atol=1e-4 * largest, rtol=0)
