"""A class and a box for each image, and what goes with boxes."""

import keras
import numpy as np
import tensorflow as tf
from keras import layers, ops

rng = np.random.default_rng(0)
images = rng.random((20, 32, 32, 3))
boxes = rng.random((20, 4)).astype("float32")
labels = rng.integers(0, 3, 20)
inputs = keras.Input(shape=(32, 32, 3))
x = layers.Conv2D(8, 3, activation="relu")(inputs)
x = layers.MaxPooling2D()(x)
x = layers.Flatten()(x)
bbox = layers.Dense(4, activation="sigmoid", name="bounding_box")(x)
cls = layers.Dense(3, activation="softmax", name="class_label")(x)
m = keras.Model(inputs=inputs, outputs={"bounding_box": bbox, "class_label": cls})
m.compile(
    optimizer="adam",
    loss={"class_label": "sparse_categorical_crossentropy", "bounding_box": "mean_squared_error"},
    loss_weights={"class_label": 1.0, "bounding_box": 4.0},
    metrics={"class_label": ["accuracy"], "bounding_box": [keras.metrics.MeanAbsoluteError()]},
)
h = m.fit(
    images, {"class_label": labels, "bounding_box": boxes}, validation_split=0.2, epochs=2, batch_size=8
)
print(sorted(h.history))
print(m.evaluate(images, {"class_label": labels, "bounding_box": boxes}, return_dict=True))
p = m.predict(images[:3])
print({k: v.shape for k, v in p.items()})
m = keras.Model(inputs, [bbox, cls])
m.compile("adam", ["mse", "sparse_categorical_crossentropy"], metrics=[["mae"], ["accuracy"]])
h = m.fit(images, [boxes, labels], epochs=1)
print(sorted(h.history))
m.compile(
    "adam",
    {"bounding_box": "mse", "class_label": "sparse_categorical_crossentropy"},
    metrics={"class_label": "accuracy"},
)
h = m.fit(images, (boxes, labels), epochs=1)
print(sorted(h.history))
ds = tf.data.Dataset.from_tensor_slices((images, {"bounding_box": boxes, "class_label": labels})).batch(4)
m.fit(ds, epochs=1)
b = np.array([[10, 20, 110, 220.0]])
np.testing.assert_allclose(
    keras.utils.bounding_boxes.convert_format(b, source="xyxy", target="center_xywh"), [[60, 120, 100, 200]]
)
iou = keras.utils.bounding_boxes.compute_iou(b, b + 10, bounding_box_format="xyxy")
np.testing.assert_allclose(np.asarray(iou), [[0.7467249]], rtol=1e-5)
sel = tf.image.non_max_suppression(
    boxes[:, [1, 0, 3, 2]], rng.random(20).astype("float32"), 5, iou_threshold=0.5
)
print(sel.shape)
flip = layers.RandomFlip("horizontal", bounding_box_format="xyxy", seed=1)
o = flip(
    {
        "images": images[:2].astype("float32"),
        "bounding_boxes": {
            "boxes": np.array([[[1.0, 2, 10, 12]], [[3, 4, 20, 30]]], "float32"),
            "labels": np.array([[0], [1]]),
        },
    },
    training=True,
)
print(o["bounding_boxes"]["boxes"])


def iou_loss(t, p):
    x1 = ops.maximum(t[..., 0], p[..., 0])
    y1 = ops.maximum(t[..., 1], p[..., 1])
    x2 = ops.minimum(t[..., 2], p[..., 2])
    y2 = ops.minimum(t[..., 3], p[..., 3])
    inter = ops.clip(x2 - x1, 0, 1) * ops.clip(y2 - y1, 0, 1)
    return 1 - inter / (ops.abs((t[..., 2] - t[..., 0]) * (t[..., 3] - t[..., 1])) + 1e-6)


mb = keras.Model(inputs, bbox)
mb.compile("adam", iou_loss)
mb.fit(images, boxes, epochs=1)
