"""`utils.bounding_boxes`: what Keras 3.15.1 gives for the same boxes, and what errors say."""

import numpy as np
import pytest

from cnnrs.utils import bounding_boxes

# As Keras computes them, to four places.
KERAS = {
    "convert": [
        [0.9474, 0.4249, 0.8757, 0.6339],
        [0.6838, 0.4153, 1.3021, 0.8174],
        [1.1016, 0.4081, 0.9021, 0.086],
    ],
    "crop": [[5.4785, 0.7915, 25.0, 30.0], [0.0, 0.0, 25.0, 30.0], [12.5308, 26.5102, 25.0, 30.0]],
    "iou": [[0.1109, 0.4772, 1.0], [0.0543, 1.0, 0.4772], [1.0, 0.0543, 0.1109]],
    "iou_ba": [
        [[0.6332, 0.6431, 0.2986, 0.4942], [0.3954, 0.357, 0.1557, 0.4112], [0.1207, 0.1455, 0.1264, 0.1258]],
        [[0.4849, 0.4415, 0.6409, 0.2007], [0.8858, 0.2283, 0.3337, 0.0966], [0.056, 0.2089, 0.158, 0.219]],
    ],
    "iou_rel": [[1.0, 0.4772, 0.1109], [0.4772, 1.0, 0.0543], [0.1109, 0.0543, 1.0]],
    "iou_mask": [[1.0, -2.0, 0.1109], [-2.0, -2.0, -2.0], [0.1109, -2.0, 1.0]],
    "ciou": [0.0319, 0.8485, 0.0607],
    "enc": [
        [0.2616, 0.5476, -0.3402, 0.5727],
        [0.004, 0.0126, 0.0081, 0.0249],
        [0.8223, 0.1115, 2.1548, 0.429],
    ],
    "dec": [
        [25.0101, 7.5298, 47.9211, 74.0358],
        [-4.1504, -5.0417, 76.7707, 93.4153],
        [29.4109, 36.0905, 52.3167, 9.877],
    ],
    "dec_rel": [
        [
            [-0.2349, 0.2153, 1.1979, 1.3445],
            [-0.3068, -0.1756, 1.3574, 1.5054],
            [0.3741, 0.4165, 0.5741, 1.3498],
        ],
        [
            [-0.2812, 0.0771, 1.2954, 1.1196],
            [-0.1252, -0.2815, 1.5184, 1.573],
            [0.3829, 0.2717, 0.5533, 1.383],
        ],
    ],
    "affine_c": [
        [
            [39.0575, -1.743, 88.7027, 70.3693],
            [35.012, 3.9685, 87.0005, 60.1131],
            [42.8127, 19.8575, 67.5128, 73.2157],
            [19.7914, 14.2543, 80.0295, 57.8534],
        ],
        [
            [-38.4992, 13.2296, 77.3496, 152.2774],
            [4.85, 55.8928, 93.6643, 131.4976],
            [2.3947, 39.902, 77.9838, 122.0328],
            [22.987, 81.4062, 69.918, 123.4045],
        ],
    ],
}


def corners(*shape):
    return np.concatenate([RNG.random((*shape, 2)) * 40, 45 + RNG.random((*shape, 2)) * 40], -1).astype(
        "float32"
    )


RNG = np.random.default_rng(0)
BOXES, BATCH = corners(3), corners(2, 4)
TURN = [np.array(pair, "float32") for pair in ([10, -20], [0.1, 0], [0, 0.2], [1, 1.5], [0, 5], [7, 0])]
NONE = np.where(np.arange(3)[:, None] == 1, np.float32(-1), BOXES)
SHAPE = (90, 80, 3)
B = bounding_boxes


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("convert", lambda: B.convert_format(BOXES, "xyxy", "rel_center_xywh", 100, 50)),
        ("crop", lambda: B.crop(BOXES, 10, 20, 30, 25)),
        ("iou", lambda: B.compute_iou(BOXES, BOXES[::-1], "xyxy")),
        ("iou_ba", lambda: B.compute_iou(BOXES, BATCH, "yxyx")),
        ("iou_rel", lambda: B.compute_iou(BOXES / 100, BOXES / 100, "rel_xyxy", image_shape=(100, 50, 3))),
        ("iou_mask", lambda: B.compute_iou(NONE, NONE, "xyxy", use_masking=True, mask_val=-2)),
        ("ciou", lambda: B.compute_ciou(BOXES, BOXES[::-1] + 3, "xyxy")),
        ("enc", lambda: B.encode_box_to_deltas(BOXES, BOXES[::-1], "xyxy", "xywh")),
        (
            "dec",
            lambda: B.decode_deltas_to_boxes(
                BOXES, BOXES[::-1] / 100, "xyxy", "xywh", variance=[0.1, 0.1, 0.2, 0.2]
            ),
        ),
        (
            "dec_rel",
            lambda: B.decode_deltas_to_boxes(
                BOXES, BATCH[:, :3] / 100, "xyxy", "rel_yxyx", "center_xywh", image_shape=SHAPE
            ),
        ),
        ("affine_c", lambda: B.affine_transform(BATCH, *TURN, 90, 80, center_x=0.3, center_y=0.2)),
    ],
)
def test_boxes_are_those_of_keras(name, call):
    result = call().numpy()
    np.testing.assert_allclose(result, np.array(KERAS[name]), rtol=0, atol=2e-4)


@pytest.mark.parametrize("order", ["center_xywh", "center_yxhw"])
def test_deltas_give_the_boxes_again(order):
    variance = [0.1, 0.1, 0.2, 0.2]
    deltas = B.encode_box_to_deltas(BATCH[0], BATCH, "xyxy", "xyxy", order, variance)
    again = B.decode_deltas_to_boxes(BATCH[0], deltas, "xyxy", "xyxy", order, variance)
    np.testing.assert_allclose(again.numpy(), BATCH, rtol=1e-5)
    levels = B.decode_deltas_to_boxes({"p3": BATCH[0]}, {"p3": deltas}, "xyxy", "xyxy", order, variance)
    np.testing.assert_array_equal(levels["p3"].numpy(), again.numpy())


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: B.compute_iou(BOXES[0], BOXES, "xyxy"), ValueError, "boxes1: expected shape"),
        (lambda: B.compute_iou(BOXES, BOXES, "rel_xyxy"), ValueError, "height, width"),
        (lambda: B.compute_iou(BOXES, BOXES, "xyxx"), ValueError, "expected one of xyxy"),
        (lambda: B.compute_ciou(BOXES, BOXES, "xyxy", image_shape=(3, 4)), ValueError, "image_shape"),
        (lambda: B.crop(BOXES, 0, 0, 4, 4, "xywh"), NotImplementedError, "expected 'xyxy'"),
        (lambda: B.pad(BOXES, 1, 1, height=8), ValueError, "height, width: expected None"),
        (lambda: B.encode_box_to_deltas(BOXES, BOXES, "xyxy", "xyxy", "xyxy"), ValueError, "center_yxhw"),
        (
            lambda: B.decode_deltas_to_boxes(BOXES, BOXES, "xyxy", "xyxy", variance=[1]),
            ValueError,
            "variance: expected 4",
        ),
        (lambda: B.decode_deltas_to_boxes({"a": BOXES}, {}, "xyxy", "xyxy"), ValueError, "structure"),
    ],
)
def test_errors_say_what_fits(call, error, text):
    with pytest.raises(error, match=text):
        call()
