"""A training loop of one's own: a recorded step, a gradient tape, an optimizer.

python examples/custom_loop.py --steps 300
"""

import argparse

import cnnrs
from cnnrs import layers, ops

parser = argparse.ArgumentParser()
parser.add_argument("--steps", type=int, default=300)
options = parser.parse_args()

cnnrs.utils.set_random_seed(0)
(x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
x, x_test = x[..., None] / 255.0, x_test[..., None] / 255.0

model = cnnrs.Sequential(
    [
        cnnrs.Input((28, 28, 1)),
        layers.Conv2D(16, 3, strides=2, activation="relu"),
        layers.Conv2D(32, 3, strides=2, activation="relu"),
        layers.Flatten(),
        layers.Dense(10),
    ]
)
loss_fn = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
optimizer = cnnrs.optimizers.AdamW(1e-3)


@cnnrs.function
def train_step(images, labels):
    """Recorded at the first call; every other call replays it as one plan."""
    with cnnrs.GradientTape() as tape:
        loss = loss_fn(labels, model(images, training=True))
    gradients = tape.gradient(loss, model.trainable_variables)
    optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
    return loss


for step in range(options.steps):
    batch = slice(step * 64 % 59_968, step * 64 % 59_968 + 64)
    loss = train_step(x[batch].astype("float32"), y[batch])
    if step % 100 == 0:
        print(f"step {step}: loss {float(loss):.3f}")

right = 0
for i in range(0, 10_000, 500):
    guess = ops.argmax(model(x_test[i : i + 500]), axis=-1).numpy()
    right += int((guess == y_test[i : i + 500]).sum())
print(f"test accuracy {right / 10_000:.2%}")
