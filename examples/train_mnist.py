"""LeNet-5 on MNIST: about 99% after an epoch or two.

python examples/train_mnist.py --epochs 3
"""

import argparse

import cnnrs

parser = argparse.ArgumentParser()
parser.add_argument("--epochs", type=int, default=3)
parser.add_argument("--images", type=int, default=60_000, help="how many of the training images")
options = parser.parse_args()

cnnrs.utils.set_random_seed(0)
(x, y), (x_test, y_test) = cnnrs.datasets.mnist.load_data()
x, x_test = x[: options.images, ..., None] / 255.0, x_test[..., None] / 255.0

model = cnnrs.applications.LeNet5(classifier_activation=None)  # logits: the loss applies the softmax
model.compile("adam", cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
model.fit(x, y[: options.images], batch_size=64, epochs=options.epochs)
loss, accuracy = model.evaluate(x_test, y_test, batch_size=256, verbose=0)
print(f"test accuracy {accuracy:.2%}")
