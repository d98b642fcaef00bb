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


def inference_keras(k: Any, task: str) -> Any:
    """The network of an inference task, 224 × 224 × 3 to 1000 logits; `k` is `keras` or `cnnrs`."""
    if task == "resnet18_infer":
        return resnet18_keras(k, 224, 1000)
    make = {"resnet50_infer": k.applications.ResNet50, "mobilenetv2_infer": k.applications.MobileNetV2}[task]
    return make(weights=None, classifier_activation=None)


def inference_torch(task: str) -> Any:
    """The same network as a `torch.nn.Module`, NCHW."""
    if task == "resnet18_infer":
        return resnet18_torch(224, 1000)
    return {"resnet50_infer": resnet50_torch, "mobilenetv2_infer": mobilenetv2_torch}[task]()


def resnet50_torch() -> Any:
    """Keras's ResNet-50: strides in the first convolution of a block, biases before normalisation."""
    from torch import nn

    def norm(channels: int) -> Any:
        return nn.BatchNorm2d(channels, eps=1.001e-5)

    class Block(nn.Module):
        def __init__(self, channels: int, filters: int, stride: int) -> None:
            super().__init__()
            self.body = nn.Sequential(
                nn.Conv2d(channels, filters, 1, stride),
                norm(filters),
                nn.ReLU(inplace=True),
                nn.Conv2d(filters, filters, 3, 1, 1),
                norm(filters),
                nn.ReLU(inplace=True),
                nn.Conv2d(filters, 4 * filters, 1),
                norm(4 * filters),
            )
            self.skip = (
                nn.Sequential(nn.Conv2d(channels, 4 * filters, 1, stride), norm(4 * filters))
                if channels != 4 * filters
                else nn.Identity()
            )
            self.relu = nn.ReLU(inplace=True)

        def forward(self, x: Any) -> Any:
            return self.relu(self.body(x) + self.skip(x))

    parts: list[Any] = [nn.Conv2d(3, 64, 7, 2, 3), norm(64), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for (filters, stride), depth in zip(STAGES, (3, 4, 6, 3), strict=True):
        for block in range(depth):
            parts.append(Block(channels, filters, stride if block == 0 else 1))
            channels = 4 * filters
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 1000)]
    return nn.Sequential(*parts)


def mobilenetv2_torch() -> Any:
    """MobileNetV2. Strided convolutions pad by one on each side, where Keras's pad after the image only: the
    same sizes and work, and no padding of its own for the engines to fuse."""
    from torch import nn

    def conv(channels: int, filters: int, kernel: int, stride: int, groups: int) -> list[Any]:
        return [
            nn.Conv2d(channels, filters, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(filters, eps=1e-3),
        ]

    class Block(nn.Module):
        def __init__(self, channels: int, filters: int, expansion: int, stride: int) -> None:
            super().__init__()
            inner = channels * expansion
            parts = [*conv(channels, inner, 1, 1, 1), nn.ReLU6(inplace=True)] if expansion > 1 else []
            parts += [*conv(inner, inner, 3, stride, inner), nn.ReLU6(inplace=True)]
            self.body = nn.Sequential(*parts, *conv(inner, filters, 1, 1, 1))
            self.adds = stride == 1 and channels == filters

        def forward(self, x: Any) -> Any:
            return x + self.body(x) if self.adds else self.body(x)

    parts: list[Any] = [*conv(3, 32, 3, 2, 1), nn.ReLU6(inplace=True)]
    channels = 32
    stages = ((16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1))
    for filters, depth, stride in stages:
        for block in range(depth):
            parts.append(Block(channels, filters, 1 if filters == 16 else 6, stride if block == 0 else 1))
            channels = filters
    parts += [*conv(channels, 1280, 1, 1, 1), nn.ReLU6(inplace=True)]
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1280, 1000)]
    return nn.Sequential(*parts)
