"""The networks of `zoo` as `torch.nn.Module`s, NCHW."""

from __future__ import annotations

from typing import Any

import torch
from nets import mobilenetv2_torch, resnet50_torch
from torch import nn
from torch.nn import functional
from zoo import NETS, Net


def network(name: str) -> nn.Module:
    """The network of a row."""
    return globals()[f"_{name}"](NETS[name])


def loss(net: Net, outputs: Any, targets: torch.Tensor) -> torch.Tensor:
    """The row's loss of a batch."""
    if net.target == "real":
        return functional.binary_cross_entropy_with_logits(outputs, targets)
    if net.target == "images":
        return functional.mse_loss(outputs, targets)
    if net.target == "vae":
        images, mean, log_variance = outputs
        divergence = 1 + log_variance - mean.square() - log_variance.exp()
        return functional.binary_cross_entropy(images, targets) - 0.5 * divergence.sum(1).mean()
    return functional.cross_entropy(outputs, targets)


def trainable(model: nn.Module) -> int:
    """Numbers that training changes."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def _cifar_cnn(net: Net) -> nn.Module:
    parts: list[nn.Module] = []
    channels = net.shape[-1]
    for filters in (32, 64):
        for _ in range(2):
            parts += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU()]
            channels = filters
        parts += [nn.MaxPool2d(2), nn.Dropout(0.25)]
    parts += [nn.Flatten(), nn.Linear(64 * 64, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, net.classes)]
    return nn.Sequential(*parts)


def _mlp(net: Net) -> nn.Module:
    return nn.Sequential(
        nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, net.classes)
    )


def _mobilenetv2_96(net: Net) -> nn.Module:
    return mobilenetv2_torch()


def _resnet50_160(net: Net) -> nn.Module:
    return resnet50_torch()


def _vgg16_32(net: Net) -> nn.Module:
    parts: list[nn.Module] = []
    channels = net.shape[-1]
    for filters, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            parts += [nn.Conv2d(channels, filters, 3, padding=1), nn.ReLU(inplace=True)]
            channels = filters
        parts.append(nn.MaxPool2d(2))
    parts += [nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Dropout(0.5), nn.Linear(512, net.classes)]
    return nn.Sequential(*parts)


class _UNet(nn.Module):
    def __init__(self, net: Net) -> None:
        super().__init__()

        def twice(channels: int, filters: int) -> nn.Module:
            parts: list[nn.Module] = []
            for inner in (channels, filters):
                parts.append(nn.Conv2d(inner, filters, 3, padding=1, bias=False))
                parts += [nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
            return nn.Sequential(*parts)

        widths = (net.shape[-1], 32, 64, 128, 256)
        self.down = nn.ModuleList(twice(a, b) for a, b in zip(widths, widths[1:], strict=False))
        self.up = nn.ModuleList(nn.ConvTranspose2d(2 * c, c, 2, 2) for c in (128, 64, 32))
        self.merge = nn.ModuleList(twice(2 * c, c) for c in (128, 64, 32))
        self.last = nn.Conv2d(32, net.classes, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skips = []
        for block in self.down:
            if skips:
                x = functional.max_pool2d(x, 2)
            x = block(x)
            skips.append(x)
        for up, merge, skip in zip(self.up, self.merge, reversed(skips[:-1]), strict=True):
            x = merge(torch.cat([up(x), skip], 1))
        return self.last(x)


def _unet_128(net: Net) -> nn.Module:
    return _UNet(net)


class _Growth(nn.Module):
    def __init__(self, channels: int, growth: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels)
        self.conv = nn.Conv2d(channels, growth, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.cat([x, self.conv(functional.relu(self.norm(x)))], 1)


def _densenet_32(net: Net) -> nn.Module:
    parts: list[nn.Module] = [nn.Conv2d(3, 24, 3, padding=1, bias=False)]
    channels = 24
    for stage in range(3):
        for _ in range(8):
            parts.append(_Growth(channels, 12))
            channels += 12
        parts += [nn.BatchNorm2d(channels), nn.ReLU()]
        if stage < 2:
            parts += [nn.Conv2d(channels, channels, 1, bias=False), nn.AvgPool2d(2)]
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, net.classes)]
    return nn.Sequential(*parts)


class _ChannelNorm(nn.Module):
    """Layer normalisation over the channels of NCHW images, which channels_last makes a view."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(channels, eps=1e-6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class _ConvNextBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=1e-6)
        self.widen, self.narrow = nn.Linear(channels, 4 * channels), nn.Linear(4 * channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.narrow(functional.gelu(self.widen(y))).permute(0, 3, 1, 2)


def _convnext_64(net: Net) -> nn.Module:
    parts: list[nn.Module] = [nn.Conv2d(3, 48, 2, 2), _ChannelNorm(48)]
    channels = 48
    for width in (48, 96, 192):
        if width != channels:
            parts += [_ChannelNorm(channels), nn.Conv2d(channels, width, 2, 2)]
            channels = width
        parts += [_ConvNextBlock(channels) for _ in range(3)]
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(channels, eps=1e-6)]
    return nn.Sequential(*parts, nn.Linear(channels, net.classes))


def _autoencoder(net: Net) -> nn.Module:
    parts: list[nn.Module] = []
    channels = net.shape[-1]
    for filters in (32, 64, 128):
        parts += [nn.Conv2d(channels, filters, 3, 2, 1), nn.ReLU()]
        channels = filters
    for filters in (128, 64, 32):
        parts += [nn.ConvTranspose2d(channels, filters, 3, 2, 1, 1), nn.ReLU()]
        channels = filters
    return nn.Sequential(*parts, nn.Conv2d(channels, net.shape[-1], 3, padding=1), nn.Sigmoid())


def _odd_channels(net: Net) -> nn.Module:
    parts: list[nn.Module] = []
    channels = net.shape[-1]
    for filters, size, stride in ((17, 5, 1), (37, 3, 2), (53, 5, 1), (71, 3, 2), (97, 3, 1)):
        parts += [nn.Conv2d(channels, filters, size, stride, size // 2, bias=False)]
        parts += [nn.BatchNorm2d(filters), nn.ReLU(inplace=True)]
        channels = filters
    parts += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, net.classes)]
    return nn.Sequential(*parts)


def _dcgan(net: Net) -> nn.Module:
    parts: list[nn.Module] = []
    channels = net.shape[-1]
    for filters in (64, 128, 256, 512):
        parts.append(nn.Conv2d(channels, filters, 4, 2, 1, bias=False))
        if filters > 64:
            parts.append(nn.BatchNorm2d(filters))
        parts.append(nn.LeakyReLU(0.2, inplace=True))
        channels = filters
    return nn.Sequential(*parts, nn.Conv2d(channels, 1, 4, bias=False), nn.Flatten())


class _Vae(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 32, 3, 2, 1),
            nn.ReLU(),
            nn.Conv2d(32, 64, 3, 2, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(7 * 7 * 64, 16),
            nn.ReLU(),
        )
        self.mean, self.log_variance = nn.Linear(16, 2), nn.Linear(16, 2)
        self.decoder = nn.Sequential(
            nn.Linear(2, 7 * 7 * 64),
            nn.ReLU(),
            nn.Unflatten(1, (64, 7, 7)),
            nn.ConvTranspose2d(64, 64, 3, 2, 1, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(64, 32, 3, 2, 1, 1),
            nn.ReLU(),
            nn.ConvTranspose2d(32, 1, 3, 1, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        x = self.encoder(x)
        mean, log_variance = self.mean(x), self.log_variance(x)
        z = mean + (0.5 * log_variance).exp() * torch.randn_like(mean)
        return self.decoder(z), mean, log_variance


def _vae(net: Net) -> nn.Module:
    return _Vae()


def _efficientnetb0_96(net: Net) -> nn.Module:
    from torchvision.models import efficientnet_b0

    return efficientnet_b0(num_classes=net.classes)


def _vit_ti_224(net: Net) -> nn.Module:
    return vit_ti(net.shape[0], net.classes)


def vit_ti(size: int, classes: int) -> nn.Module:
    """ViT-Ti with patches of 16 × 16: 12 layers of 192 channels and 3 heads."""
    from torchvision.models import VisionTransformer

    return VisionTransformer(size, 16, 12, 3, 192, 768, num_classes=classes)
