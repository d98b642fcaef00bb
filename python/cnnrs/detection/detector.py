"""YOLOX: a model that finds objects, with its loss and the choice of its boxes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import losses, metrics, ops
from cnnrs.base import suggest
from cnnrs.base.arguments import integer, number
from cnnrs.detection.assignment import sim_ota
from cnnrs.detection.network import SIZES, STRIDES, Scale, network
from cnnrs.models import Model
from cnnrs.ops.box_formats import FORMATS, convert_format
from cnnrs.ops.spatial import only_channels_last

__all__ = ["YOLOX"]


def _scale(size: Any) -> Scale:
    if isinstance(size, str):
        if size not in SIZES:
            hint = suggest.did_you_mean(size, list(SIZES))
            raise ValueError(f"YOLOX: size: expected one of {', '.join(SIZES)}, received {size!r}{hint}")
        return SIZES[size]
    if not isinstance(size, (tuple, list)) or len(size) not in (2, 3):
        raise ValueError(
            f"YOLOX: size: expected one of {', '.join(SIZES)}, or (depth, width) and whether it is "
            f"depthwise, received {size!r}"
        )
    depth, width = (number(factor, "YOLOX", "size", above=0) for factor in size[:2])
    return Scale(depth, width, bool(size[2]) if len(size) == 3 else False)


class YOLOX(Model):
    """A detector without anchors: CSPDarknet, a path aggregation pyramid, and heads apart for class and box.

    It trains with `fit(images, {"boxes": …, "classes": …})`: boxes of shape (images, n, 4), and integers of
    shape (images, n), -1 where there is no box. `compile` takes no loss and no metrics. `predict` gives a
    dict of arrays: "boxes" (images, max_detections, 4), "scores", "classes" (-1 behind the last) and "count".
    `model(images)` gives raw predictions, `decode(raw)` boxes and logits.

    The loss is 5 (1 - IoU²) of the boxes, and the binary cross-entropies of objects and of classes, whose
    target is the IoU; places answer for objects by `sim_ota`.

    Args:
        input_shape: Height and width, multiples of 32, and channels.
        classes: Number of classes.
        size: "nano", "tiny", "small", "medium", "large", "xlarge" (0.91, 5.06, 8.97, 25.3, 54.2 and 99.1
            million parameters for 80 classes), or (depth, width), or (depth, width, is_depthwise).
        bounding_box_format: How boxes are given and found, in pixels: "xyxy", "yxyx", "xywh", "center_xywh",
            "center_yxhw"; or "rel_xyxy" and so on, relative to the images' size.
        score_threshold: The least score of what `predict` finds.
        iou_threshold: The greatest overlap of two boxes of one class.
        max_detections: How many boxes `predict` gives for an image at most.
        name: Name.

    Raises:
        ValueError: An argument does not fit.

    Reference:
        Ge, Liu, Wang, Li and Sun 2021, "YOLOX: Exceeding YOLO Series in 2021", arXiv:2107.08430.

    >>> import numpy as np
    >>> from cnnrs.detection import YOLOX
    >>> model = YOLOX((64, 64, 3), classes=2, size=(0.33, 0.125))
    >>> model.compile("adam")
    >>> images = np.zeros((2, 64, 64, 3), "float32")
    >>> targets = {"boxes": np.array([[[8.0, 8, 40, 40]]] * 2), "classes": np.array([[0], [1]])}
    >>> history = model.fit(images, targets, verbose=0)
    >>> model.predict(images, verbose=0)["boxes"].shape
    (2, 100, 4)
    """

    def __init__(
        self,
        input_shape: Any = (416, 416, 3),
        classes: int = 80,
        size: Any = "nano",
        bounding_box_format: str = "xyxy",
        score_threshold: float = 0.05,
        iou_threshold: float = 0.65,
        max_detections: int = 100,
        name: str = "yolox",
    ):
        only_channels_last("YOLOX")
        shape = tuple(integer(n, "YOLOX", "input_shape", least=1) for n in input_shape)
        if len(shape) != 3 or shape[0] % 32 or shape[1] % 32:
            raise ValueError(
                "YOLOX: input_shape: expected height and width, multiples of 32, and channels, received "
                f"{input_shape!r}"
            )
        integer(classes, "YOLOX", "classes", least=1)
        if not isinstance(bounding_box_format, str) or bounding_box_format.lower() not in FORMATS:
            raise ValueError(
                f"YOLOX: bounding_box_format: expected one of {', '.join(FORMATS)}, received "
                f"{bounding_box_format!r}"
            )
        inner = network(shape, classes, _scale(size))
        super().__init__(inner.inputs[0], inner.outputs[0], name=name)
        self.classes, self.size, self._shape = classes, size, shape
        self.bounding_box_format = bounding_box_format.lower()
        self.score_threshold = number(score_threshold, "YOLOX", "score_threshold", least=0, most=1)
        self.iou_threshold = number(iou_threshold, "YOLOX", "iou_threshold", least=0, most=1)
        self.max_detections = integer(max_detections, "YOLOX", "max_detections", least=1)
        corners, strides = [], []
        for stride in STRIDES:
            rows, columns = shape[0] // stride, shape[1] // stride
            y, x = np.meshgrid(np.arange(rows), np.arange(columns), indexing="ij")
            corners.append(np.stack([x, y], -1).reshape(-1, 2) * stride)
            strides.append(np.full(rows * columns, stride))
        self._corners = np.concatenate(corners).astype("float32")
        self._strides = np.concatenate(strides).astype("float32")

    def decode(self, raw: Any) -> tuple[Any, Any, Any]:
        """Boxes and logits of raw predictions.

        Args:
            raw: What the model gives for images, of shape (batch, places, 5 + classes).

        Returns:
            Boxes ("xyxy" in pixels) of shape (batch, places, 4), logits of objects (batch, places), and
            logits of classes (batch, places, classes).
        """
        strides = self._strides[:, None]
        center = raw[..., :2] * strides + self._corners
        # A box of more than e^10 strides is none.
        half = ops.exp(ops.minimum(raw[..., 2:4], 10.0)) * (0.5 * strides)
        return ops.concatenate([center - half, center + half], axis=-1), raw[..., 4], raw[..., 5:]

    def _check_compile(self, config: dict[str, Any]) -> None:
        for argument in ("loss", "loss_weights", "metrics", "weighted_metrics"):
            if config[argument] is not None and config[argument] != []:
                instead = "; mean_average_precision measures it" if "metrics" in argument else ""
                raise ValueError(
                    f"{self.name}: compile: {argument}: expected None, for a detector has a loss of its own"
                    f"{instead}, received {config[argument]!r}"
                )

    def _check_samples(self, samples: Any) -> None:
        y = samples[1]
        if not isinstance(y, dict) or not {"boxes", "classes"} <= y.keys():
            return
        boxes, labels = np.asarray(y["boxes"]), np.asarray(y["classes"])
        if boxes.ndim != 3 or boxes.shape[-1] != 4 or labels.shape != boxes.shape[:2]:
            return
        # NaN is no class, too.
        wrong = ~((labels >= -1) & (labels < self.classes) & (labels == np.floor(labels)))
        if wrong.any():
            raise ValueError(
                f"{self.name}: y: classes: expected integers from 0 to {self.classes - 1}, or -1 where there "
                f"is no box, received {labels[wrong][0]} for image {np.argwhere(wrong)[0][0]}"
            )
        size = boxes[..., 2:]
        if self.bounding_box_format.removeprefix("rel_") in ("xyxy", "yxyx"):
            size = size - boxes[..., :2]
        wrong = (labels >= 0) & ~(np.isfinite(boxes).all(-1) & (size >= 0).all(-1))
        if wrong.any():
            raise ValueError(
                f"{self.name}: y: boxes: expected finite numbers in the format {self.bounding_box_format!r}, "
                f"of no extent below 0, received {boxes[wrong][0].tolist()} for image "
                f"{np.argwhere(wrong)[0][0]}"
            )

    def _targets(self, y: Any) -> tuple[Any, Any]:
        if not isinstance(y, dict) or not {"boxes", "classes"} <= y.keys():
            got = list(y) if isinstance(y, dict) else type(y).__name__
            raise ValueError(
                f"{self.name}: y: expected a dict with boxes of shape (images, n, 4) and classes of shape "
                f"(images, n), -1 where there is no box, received {got}"
            )
        boxes, labels = y["boxes"], y["classes"]
        if len(boxes.shape) != 3 or boxes.shape[-1] != 4 or tuple(labels.shape) != tuple(boxes.shape[:2]):
            raise ValueError(
                f"{self.name}: y: expected boxes of shape (images, n, 4) and classes of shape (images, n), "
                f"received {tuple(boxes.shape)} and {tuple(labels.shape)}"
            )
        if not boxes.shape[1]:
            # No image has an object: one that is not there stands for them.
            boxes = ops.zeros((boxes.shape[0], 1, 4), "float32")
            labels = ops.full((boxes.shape[0], 1), -1, "int32")
        # Where there is no box may be anything, which 0 times it would not make 0.
        boxes = ops.where((ops.cast(labels, "int32") >= 0)[..., None], boxes, 0.0)
        return convert_format(boxes, self.bounding_box_format, "xyxy", *self._shape[:2]), labels

    def compute_loss(
        self,
        x: Any = None,
        y: Any = None,
        y_pred: Any = None,
        sample_weight: Any = None,
        training: bool = True,
    ) -> Any:
        """The loss of a batch, by the number of places that answer for an object.

        Args:
            x: Images; needed where there are no predictions.
            y: Dict of "boxes" and "classes".
            y_pred: Raw predictions.
            sample_weight: None: images count alike.
            training: How images are taken, where there are no predictions.

        Raises:
            ValueError: Targets do not fit, or there are weights.
        """
        if sample_weight is not None:
            raise ValueError(f"{self.name}: sample_weight: expected None, received {type(sample_weight)}")
        raw = self(x, training=training) if y_pred is None else y_pred
        true, labels = self._targets(y)
        boxes, is_object, of_class = self.decode(raw)
        centers = self._corners + 0.5 * self._strides[:, None]
        found = sim_ota(boxes, of_class, is_object, centers, self._strides, true, labels)
        own = ops.take_along_axis(true, found.object[..., None], axis=1)
        own_labels = ops.take_along_axis(ops.maximum(ops.cast(labels, "int32"), 0), found.object, axis=1)
        targets = ops.one_hot(own_labels, self.classes) * found.overlap[..., None]
        box_loss = losses.iou_loss(own, boxes, mode="quadratic")
        class_loss = ops.sum(_cross_entropy(targets, of_class), axis=-1)
        positive = found.is_positive
        total = ops.sum(positive * (5.0 * box_loss + class_loss))
        total = total + ops.sum(_cross_entropy(positive, is_object))
        total = total / ops.maximum(ops.sum(positive), 1.0)
        for loss in self.losses:
            total = total + ops.sum(ops.cast(loss, "float32"))
        return total

    def detect(self, raw: Any) -> dict[str, Any]:
        """What raw predictions find: the best boxes that no better one of their class overlaps.

        Args:
            raw: What the model gives for images.

        Returns:
            Dict of "boxes" (batch, max_detections, 4), "scores", "classes" and "count".
        """
        boxes, is_object, of_class = self.decode(raw)
        points = ops.sigmoid(of_class) * ops.sigmoid(is_object)[..., None]
        labels = ops.cast(ops.argmax(of_class, axis=-1), "int32")
        chosen = ops.non_max_suppression(
            boxes,
            ops.max(points, axis=-1),
            self.max_detections,
            self.iou_threshold,
            self.score_threshold,
            classes=labels,
        )
        is_there = ops.arange(self.max_detections) < chosen.count[:, None]
        best = ops.take_along_axis(boxes, chosen.indices[..., None], axis=1)
        best = convert_format(best, "xyxy", self.bounding_box_format, *self._shape[:2])
        own = ops.take_along_axis(labels, chosen.indices, axis=1)
        return {
            "boxes": ops.where(is_there[..., None], best, 0.0),
            "scores": chosen.scores,
            "classes": ops.where(is_there, own, -1),
            "count": chosen.count,
        }

    def predict_step(self, data: Any) -> Any:
        """What a batch of images shows."""
        return self.detect(super().predict_step(data))

    def mean_average_precision(
        self, x: Any, y: Any, batch_size: int = 32, **options: Any
    ) -> dict[str, float]:
        """COCO's figures on images: `metrics.MeanAveragePrecision.summary`.

        Args:
            x: Images.
            y: Dict of "boxes" and "classes", and what else the metric takes.
            batch_size: Images of a batch.
            **options: Arguments of the metric.
        """
        format_ = self.bounding_box_format
        metric = metrics.MeanAveragePrecision(bounding_box_format=format_, **options)
        metric.update_state(y, self.predict(x, batch_size=batch_size, verbose=0))
        return metric.summary()

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "input_shape": list(self._shape),
            "classes": self.classes,
            "size": self.size if isinstance(self.size, str) else list(self.size),
            "bounding_box_format": self.bounding_box_format,
            "score_threshold": self.score_threshold,
            "iou_threshold": self.iou_threshold,
            "max_detections": self.max_detections,
            "name": self.name,
        }


def _cross_entropy(targets: Any, logits: Any) -> Any:
    """Binary cross-entropy, element by element."""
    return ops.softplus(logits) - targets * logits
