"""Finding objects in images: a detector that trains with `fit` and gives boxes with `predict`.

What its parts are made of stands beside the rest: overlaps and the choice of boxes in `cnnrs.ops`
(`box_iou`, `non_max_suppression`), losses of boxes in `cnnrs.losses`, mean average precision in
`cnnrs.metrics`, formats in `cnnrs.utils.bounding_boxes`.
"""

from cnnrs.base import suggest
from cnnrs.detection.assignment import Assignment, sim_ota
from cnnrs.detection.detector import YOLOX
from cnnrs.detection.drawing import draw_boxes, to_svg

__all__ = ["YOLOX", "Assignment", "draw_boxes", "sim_ota", "to_svg"]

__getattr__ = suggest.without("cnnrs.detection", {}, __all__)
