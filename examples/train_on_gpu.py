"""A small network trains on the GPU where there is one, and on the CPU otherwise.

python examples/train_on_gpu.py --epochs 2
"""

import argparse

import cnnrs
from cnnrs import layers

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=2)
parser.add_argument("--images", type=int, default=60_000, help="how many of the training images")
options = parser.parse_args()

chosen = "cpu"
for device in cnnrs.devices():
    print(f"{device.name}: {device.description} ({device.kind})")
    if device.name.startswith("gpu") and chosen == "cpu":
        chosen = device.name

cnnrs.utils.set_random_seed(0)
(x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
x, x_test = x[: options.images, ..., None] / 255.0, x_test[..., None] / 255.0

model = cnnrs.Sequential(
    [
        cnnrs.Input((28, 28, 1)),
        layers.Conv2D(8, 3, strides=2, activation="relu"),
        layers.Conv2D(16, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
model.compile("adam", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])

with cnnrs.device(chosen):
    model.fit(x, y[: options.images], batch_size=64, epochs=options.epochs)
print(f"trained on {chosen}; the weights lie on {model.weights[0].device}")

# What was trained there predicts anywhere.
with cnnrs.device("cpu"):
    loss, accuracy = model.evaluate(x_test, y_test, batch_size=500, verbose=0)
print(f"test accuracy {accuracy:.2%}")
