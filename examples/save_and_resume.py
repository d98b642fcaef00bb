"""Training that is interrupted and resumed ends with the same bits as training that was not.

python examples/save_and_resume.py
"""

import tempfile
from pathlib import Path

import numpy as np

import cnnrs
from cnnrs import layers

rng = np.random.default_rng(0)
x, y = rng.normal(size=(256, 12, 12, 3)).astype("float32"), rng.integers(0, 4, 256)


def build():
    """A small residual network with dropout."""
    inputs = cnnrs.Input((12, 12, 3))
    h = layers.Conv2D(16, 3, padding="same", use_bias=False)(inputs)
    h = layers.ReLU()(layers.BatchNormalization()(h))
    h = layers.Add()([h, layers.Conv2D(16, 3, padding="same")(h)])
    h = layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(h))
    model = cnnrs.Model(inputs, layers.Dense(4)(h))
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(cnnrs.optimizers.SGD(0.05, momentum=0.9), loss)
    return model


cnnrs.utils.set_random_seed(1)
whole = build()
whole.fit(x, y, epochs=4, verbose=0)

cnnrs.utils.set_random_seed(1)
first = build()
first.fit(x, y, epochs=2, verbose=0)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "half.safetensors"
    first.save(path)
    resumed = cnnrs.models.load_model(path)
resumed.fit(x, y, initial_epoch=2, epochs=4, verbose=0)

same = all(np.array_equal(a, b) for a, b in zip(whole.get_weights(), resumed.get_weights(), strict=True))
print("the same bits" if same else "different weights")
