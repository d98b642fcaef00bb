"""ResNet-50 by itself: `cnnrs.applications.resnet` has it, and its deeper relatives."""

from cnnrs.applications.resnet import ResNet50, decode_predictions, preprocess_input

__all__ = ["ResNet50", "decode_predictions", "preprocess_input"]
