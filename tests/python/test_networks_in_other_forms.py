"""Networks of all families with channels first, in 16 bits, on a GPU, with normalisation folded."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from test_devices import SOFTWARE, needs_software
from test_further_networks import SMALL

import cnnrs
from cnnrs import applications, layers

# The smallest of each family that Keras has not, and of one that it has.
NETWORKS: dict[str, tuple[dict[str, Any], int]] = {
    **{name: (options, size) for name, options, size in SMALL if name != "SEResNet18"},
    "MobileNetV2": ({"alpha": 0.35, "weights": None}, 32),
}
# Their normalisation stands behind a sum or a pooling, where there is no convolution to fold it into.
BEFORE = {"WideResNet": r"_1_bn$|^post_bn$"}


def build(network: str, channels_first: bool = False) -> Any:
    options, size = NETWORKS[network]
    shape = (3, size, size) if channels_first else (size, size, 3)
    cnnrs.utils.set_random_seed(0)
    return getattr(applications, network)(**options, input_shape=shape, classes=3, classifier_activation=None)


def images(network: str) -> np.ndarray:
    size = NETWORKS[network][1]
    return np.random.default_rng(0).standard_normal((2, size, size, 3)).astype("float32")


@pytest.mark.parametrize("network", [name for name in NETWORKS if name != "ViTTiny"])
def test_channels_first_give_the_same(network: str) -> None:
    last = build(network)
    expected = last.predict(images(network), verbose=0)
    assert expected.std() > 0
    cnnrs.config.set_image_data_format("channels_first")
    try:
        model = build(network, channels_first=True)
    finally:
        cnnrs.config.set_image_data_format("channels_last")
    model.set_weights(last.get_weights())
    found = model.predict(np.moveaxis(images(network), -1, 1).copy(), verbose=0)
    np.testing.assert_allclose(found, expected, atol=2e-5 * np.abs(expected).max())


def test_transformers_want_channels_last() -> None:
    cnnrs.config.set_image_data_format("channels_first")
    try:
        with pytest.raises(ValueError, match="ViTTiny: expected .* to be 'channels_last'"):
            build("ViTTiny", channels_first=True)
    finally:
        cnnrs.config.set_image_data_format("channels_last")


@pytest.mark.parametrize("network", ["GoogLeNet", "ResNet20", "ShuffleNetV2", "RegNetY002", "ViTTiny"])
def test_16_bits(network: str) -> None:
    whole = build(network)
    expected = whole.predict(images(network), verbose=0)
    assert expected.std() > 1e-4
    cnnrs.config.set_dtype_policy("mixed_float16")
    try:
        model = build(network)
    finally:
        cnnrs.config.set_dtype_policy("float32")
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    model.set_weights(whole.get_weights())
    found = model.predict(images(network), verbose=0).astype("float32")
    np.testing.assert_allclose(found, expected, atol=0.03 * np.abs(expected).max())
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(cnnrs.optimizers.SGD(1e-4), loss)
    assert isinstance(model.optimizer, cnnrs.optimizers.LossScaleOptimizer)
    losses = [float(model.train_on_batch(images(network), np.arange(2))) for _ in range(2)]
    assert np.isfinite(losses).all()


@pytest.mark.parametrize(
    "network", ["ResNet20", "WideResNet", "CBAMResNet18", "ShuffleNetV2", "RegNetY002", "MobileNetV2"]
)
def test_batch_normalisation_is_folded(network: str) -> None:
    model = build(network)
    told = cnnrs.utils.explain(model)
    norms = [layer.name for layer in model.layers if isinstance(layer, layers.BatchNormalization)]
    left = {name for name in norms if not told[name].is_folded}
    assert left == {name for name in norms if network in BEFORE and re.search(BEFORE[network], name)}
    assert len(norms) > len(left)


PROGRAM = """
import numpy as np
import cnnrs
import test_networks_in_other_forms as forms
model = forms.build("ResNet20")
found = []
for device in ("cpu", "gpu:0"):
    with cnnrs.device(device):
        found.append(model.predict(forms.images("ResNet20"), verbose=0))
bound = 1e-4 * np.abs(found[0]).max()
assert found[0].std() > 1e-4 and np.abs(found[0] - found[1]).max() <= bound, found
print("the same")
"""


@needs_software
def test_networks_on_a_gpu() -> None:
    here = os.path.dirname(__file__)
    path = os.pathsep.join([here, *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=400,
        env={**os.environ, **SOFTWARE, "PYTHONPATH": path},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "the same"
