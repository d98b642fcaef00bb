"""The networks that are compared: once for the Keras API (Keras and cnnrs), once for PyTorch."""

from __future__ import annotations

from typing import Any

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))


def lenet5_keras(k: Any) -> Any:
    """LeNet-5 with ReLU and max pooling, 28 × 28 × 1 to 10 logits; `k` is `keras` or `cnnrs`."""
    layers = k.layers
    return k.Sequential(
        [
            k.Input((28, 28, 1)),
            layers.Conv2D(6, 5, padding="same", activation="relu"),
            layers.MaxPooling2D(),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(),
            layers.Flatten(),
            layers.Dense(120, activation="relu"),
            layers.Dense(84, activation="relu"),
            layers.Dense(10),
        ]
    )


def resnet18_keras(k: Any, size: int, classes: int) -> Any:
    """ResNet-18: a 3 × 3 stem for images of 32 pixels, the 7 × 7 stem with pooling for others."""
    layers = k.layers

    def norm(x: Any) -> Any:
        return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)

    def conv(x: Any, filters: int, kernel: int, strides: int) -> Any:
        if kernel > 1 and strides > 1:
            x = layers.ZeroPadding2D(kernel // 2)(x)
            return layers.Conv2D(filters, kernel, strides, padding="valid", use_bias=False)(x)
        return layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False)(x)

    def block(x: Any, filters: int, strides: int) -> Any:
        skip = x
        y = layers.ReLU()(norm(conv(x, filters, 3, strides)))
        y = norm(conv(y, filters, 3, 1))
        if strides > 1:
            skip = norm(conv(skip, filters, 1, strides))
        return layers.ReLU()(layers.Add()([y, skip]))

    inputs = k.Input((size, size, 3))
    if size == 32:
        x = layers.ReLU()(norm(conv(inputs, 64, 3, 1)))
    else:
        x = layers.ReLU()(norm(conv(inputs, 64, 7, 2)))
        x = layers.MaxPooling2D(3, 2)(layers.ZeroPadding2D(1)(x))
    for filters, strides in STAGES:
        x = block(x, filters, strides)
        x = block(x, filters, 1)
    x = layers.GlobalAveragePooling2D()(x)
    return k.Model(inputs, layers.Dense(classes)(x))


def lenet5_torch() -> Any:
    """The same LeNet-5 as a `torch.nn.Module`, NCHW."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120),
        nn.ReLU(),
        nn.Linear(120, 84),
        nn.ReLU(),
        nn.Linear(84, 10),
    )


def resnet18_torch(size: int, classes: int) -> Any:
    """The same ResNet-18 as a `torch.nn.Module`, NCHW."""
    from torch import nn

    class Block(nn.Module):
        def __init__(self, channels: int, filters: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(channels, filters, 3, stride, 1, bias=False),
                nn.BatchNorm2d(filters),
                nn.ReLU(inplace=True),
                nn.Conv2d(filters, filters, 3, 1, 1, bias=False),
                nn.BatchNorm2d(filters),
            )
            self.skip = (
                nn.Sequential(nn.Conv2d(channels, filters, 1, stride, bias=False), nn.BatchNorm2d(filters))
                if stride > 1
                else nn.Identity()
            )
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Any) -> Any:
            return self.relu(self.body(x) + self.skip(x))

    if size == 32:
        parts: list[Any] = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
    else:
        parts = [nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64), nn.ReLU(inplace=True)]
        parts.append(nn.MaxPool2d(3, 2, 1))
    channels = 64
    for filters, stride in STAGES:
        parts += [Block(channels, filters, stride), Block(filters, filters, 1)]
        channels = filters
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, classes)]
    return nn.Sequential(*parts)
