"""The training rows that nobody tuned for: what each trains on, and where its two definitions are.

`zoo_keras` has each network for the Keras API (Keras and cnnrs), `zoo_torch` for PyTorch, both by the
row's name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Net:
    """A training row. `shape` is that of one sample, channels last."""

    title: str
    shape: tuple[int, ...]
    batch: int
    # "classes": integer labels against logits; "pixels": the same at each pixel; "real": one logit against
    # 0 or 1; "images": the squared distance to the input; "vae": the cross-entropy with the input, and the
    # KL divergence.
    target: str = "classes"
    classes: int = 10
    optimizer: str = "sgd"
    # Steps of one timed run: more than one where a step is short, so that the loop over batches counts.
    steps: int = 1
    repeats: int = 6

    @property
    def infers(self) -> bool:
        """Whether inference is a row as well: a network that samples has no exported form to compare with."""
        return self.target != "vae"


NETS = {
    "cifar_cnn": Net("CIFAR CNN 32-32-64-64", (32, 32, 3), 32, optimizer="adam", steps=20),
    "mlp": Net("MLP 784-512-512-10", (784,), 128, optimizer="adam", steps=50),
    "mobilenetv2_96": Net("MobileNetV2 96x96", (96, 96, 3), 32, classes=1000),
    "resnet50_160": Net("ResNet-50 160x160", (160, 160, 3), 8, classes=1000, repeats=4),
    "vgg16_32": Net("VGG-16 32x32", (32, 32, 3), 64),
    "unet_128": Net(
        "U-Net 128x128", (128, 128, 3), 8, target="pixels", classes=2, optimizer="adam", repeats=4
    ),
    "densenet_32": Net("DenseNet 32x32, 3 x 8 layers", (32, 32, 3), 64),
    "convnext_64": Net("ConvNeXt-like 64x64", (64, 64, 3), 32, optimizer="adam"),
    "autoencoder": Net("autoencoder 32x32", (32, 32, 3), 64, target="images", optimizer="adam"),
    "odd_channels": Net("odd channel counts 64x64", (64, 64, 3), 32),
    "dcgan": Net("DCGAN's discriminator 64x64", (64, 64, 3), 64, target="real", optimizer="adam"),
    "vae": Net("VAE 28x28", (28, 28, 1), 128, target="vae", optimizer="adam", steps=4),
    "efficientnetb0_96": Net("EfficientNet-B0 96x96", (96, 96, 3), 16, classes=1000),
    "vit_ti_224": Net("ViT-Ti 224x224", (224, 224, 3), 8, classes=1000, optimizer="adam", repeats=4),
}


def samples(net: Net, n: int):
    """`n` random inputs and their targets: float32 and int32."""
    import numpy as np

    rng = np.random.default_rng(0)
    if net.target in ("images", "vae"):
        x = rng.random((n, *net.shape), dtype=np.float32)
        return x, x
    x = rng.standard_normal((n, *net.shape), dtype=np.float32)
    if net.target == "pixels":
        return x, rng.integers(0, net.classes, (n, *net.shape[:-1])).astype(np.int32)
    if net.target == "real":
        return x, rng.integers(0, 2, (n, 1)).astype(np.float32)
    return x, rng.integers(0, net.classes, n).astype(np.int32)
