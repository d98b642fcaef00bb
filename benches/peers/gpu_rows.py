"""What `gpu.py` measures: rows in the order of their importance, and the networks' convolutions."""

from __future__ import annotations

from dataclasses import dataclass, replace

CNNRS = "cnnrs"
TORCH = "PyTorch"
GEMM_SIZES = (4096, 2048, 1024)
# Dependent dispatches of one run, each a product of matrices so small that it hides nothing.
CHAIN_LENGTH = 200
CHAIN_SIZE = 64


@dataclass(frozen=True)
class Conv:
    """A convolution of a network: square images, padding "same", channels last.

    Attributes:
        size: Rows and columns of the input.
        channels: Channels of the input.
        filters: Channels of the output.
        kernel: Rows and columns of a filter.
        stride: Pixels between two windows.
        count: How many of the network's layers have this shape.
    """

    size: int
    channels: int
    filters: int
    kernel: int
    stride: int
    count: int

    @property
    def out_size(self) -> int:
        return -(-self.size // self.stride)

    @property
    def name(self) -> str:
        return f"{self.size}² {self.channels}→{self.filters} {self.kernel}×{self.kernel}/{self.stride}"

    def flops(self, batch: int) -> int:
        """Floating-point operations of each of the three passes; a multiply-add counts 2."""
        window = self.kernel * self.kernel * self.channels
        return 2 * batch * self.out_size**2 * self.filters * window


RESNET18_CONVS = (
    Conv(32, 64, 64, 3, 1, 4),
    Conv(16, 128, 128, 3, 1, 3),
    Conv(8, 256, 256, 3, 1, 3),
    Conv(4, 512, 512, 3, 1, 3),
    Conv(32, 64, 128, 3, 2, 1),
    Conv(16, 128, 256, 3, 2, 1),
    Conv(8, 256, 512, 3, 2, 1),
    Conv(32, 3, 64, 3, 1, 1),
    Conv(32, 64, 128, 1, 2, 1),
    Conv(16, 128, 256, 1, 2, 1),
    Conv(8, 256, 512, 1, 2, 1),
)
RESNET50_CONVS = (
    Conv(14, 256, 256, 3, 1, 6),
    Conv(14, 256, 1024, 1, 1, 6),
    Conv(14, 1024, 256, 1, 1, 5),
    Conv(28, 128, 128, 3, 1, 4),
    Conv(28, 128, 512, 1, 1, 4),
    Conv(56, 64, 256, 1, 1, 4),
    Conv(56, 64, 64, 3, 1, 3),
    Conv(28, 512, 128, 1, 1, 3),
    Conv(7, 512, 512, 3, 1, 3),
    Conv(7, 512, 2048, 1, 1, 3),
    Conv(56, 256, 64, 1, 1, 2),
    Conv(7, 2048, 512, 1, 1, 2),
    Conv(224, 3, 64, 7, 2, 1),
    Conv(56, 64, 64, 1, 1, 1),
    Conv(56, 256, 128, 1, 2, 1),
    Conv(56, 256, 512, 1, 2, 1),
    Conv(28, 512, 256, 1, 2, 1),
    Conv(28, 512, 1024, 1, 2, 1),
    Conv(14, 1024, 512, 1, 2, 1),
    Conv(14, 1024, 2048, 1, 2, 1),
)
CONVS = {"resnet18": RESNET18_CONVS, "resnet50": RESNET50_CONVS}
PASSES = ("forward", "input gradient", "filter gradient")


@dataclass(frozen=True)
class Net:
    """A network as the rows use it.

    Attributes:
        size: Rows and columns of an image.
        channels: Channels of an image.
        classes: Logits.
        batch: Images of a batch.
    """

    size: int
    channels: int
    classes: int
    batch: int


NETS = {"lenet": Net(28, 1, 10, 512), "resnet18": Net(32, 3, 10, 512), "resnet50": Net(224, 3, 1000, 64)}
# Sizes at which a driver that computes on the processor needs seconds; ResNet-18 then has its other stem.
TINY_SIZES = {"lenet": 28, "resnet18": 8, "resnet50": 32}


@dataclass(frozen=True)
class Row:
    """Something that one process measures for each engine.

    Attributes:
        key: What `--only` takes.
        task: "peaks", "gemm", "chain", "conv", "train" or "infer".
        title: What the report calls it.
        net: The network of a task that has one.
        variants: What each engine measures, in this order.
        seconds: How long one process may take.
    """

    key: str
    task: str
    title: str
    variants: dict[str, tuple[str, ...]]
    seconds: int
    net: str = ""


_PLAIN = {CNNRS: ("float32",), TORCH: ("float32", "tf32")}
_TRAINING = {CNNRS: ("float32",), TORCH: ("float32", "tf32", "amp")}
_SMALL = {CNNRS: ("float32",), TORCH: ("float32", "graph", "amp")}
_MIXED = {CNNRS: ("mixed_float16",)}
# What cnnrs does with products of halves, behind the variant's name: as `CNNRS_GPU_HALF` says it.
_HALVES = {CNNRS: ("float16", "float16 matrices", "float16 tiles", "float16 never")}
_HALF_CONVS = {CNNRS: ("float16", "float16 tiles"), TORCH: ("float16",)}

ROWS = (
    Row("peaks", "peaks", "Multiply-adds and copies", {CNNRS: ("float32",), TORCH: ("float32",)}, 40),
    Row("gemm", "gemm", "GEMM n×n×n", {CNNRS: ("float32",), TORCH: ("float32", "tf32", "float16")}, 60),
    Row("lenet-train", "train", "LeNet-5 training", _SMALL, 60, "lenet"),
    Row("resnet18-train", "train", "ResNet-18 32×32 training", _TRAINING, 70, "resnet18"),
    Row("resnet18-conv", "conv", "ResNet-18's convolutions", _PLAIN, 100, "resnet18"),
    Row("chain", "chain", "Dependent dispatches", {CNNRS: ("float32",), TORCH: ("float32", "graph")}, 40),
    Row("resnet18-infer", "infer", "ResNet-18 32×32 inference", _TRAINING, 50, "resnet18"),
    Row("lenet-infer", "infer", "LeNet-5 inference", _SMALL, 40, "lenet"),
    Row("resnet18-mixed", "train", "ResNet-18 32×32 training", _MIXED, 60, "resnet18"),
    Row("resnet50-train", "train", "ResNet-50 224×224 training", _TRAINING, 80, "resnet50"),
    Row("resnet50-infer", "infer", "ResNet-50 224×224 inference", _TRAINING, 60, "resnet50"),
    Row("resnet50-conv", "conv", "ResNet-50's convolutions", _PLAIN, 120, "resnet50"),
    Row("lenet-mixed", "train", "LeNet-5 training", _MIXED, 40, "lenet"),
    Row("resnet50-mixed", "train", "ResNet-50 224×224 training", _MIXED, 80, "resnet50"),
    Row("gemm-half", "gemm", "GEMM n×n×n", _HALVES, 60),
    Row("resnet18-conv-half", "conv", "ResNet-18's convolutions", _HALF_CONVS, 100, "resnet18"),
    Row("resnet18-infer-mixed", "infer", "ResNet-18 32×32 inference", _MIXED, 50, "resnet18"),
    Row("resnet50-infer-mixed", "infer", "ResNet-50 224×224 inference", _MIXED, 60, "resnet50"),
    Row("resnet50-conv-half", "conv", "ResNet-50's convolutions", _HALF_CONVS, 120, "resnet50"),
)


def row(key: str) -> Row:
    """The row of this key."""
    for candidate in ROWS:
        if candidate.key == key:
            return candidate
    raise ValueError(f"expected one of {', '.join(r.key for r in ROWS)}, received {key!r}")


def net(name: str, tiny: bool) -> Net:
    """The network's sizes; `tiny` ones show that a row runs, and say nothing of speed."""
    whole = NETS[name]
    return replace(whole, batch=2, size=TINY_SIZES[name]) if tiny else whole


def convs(name: str, tiny: bool) -> tuple[Conv, ...]:
    """The convolutions of a network; `tiny` ones are one of each kernel and stride, with few channels."""
    if not tiny:
        return CONVS[name]
    kinds = {(conv.kernel, conv.stride): conv for conv in CONVS[name]}
    return tuple(replace(c, size=8, channels=min(c.channels, 8), filters=8) for c in kinds.values())


def gemm_sizes(tiny: bool) -> tuple[int, ...]:
    """Rows and columns of the matrices."""
    return (64, 32) if tiny else GEMM_SIZES


def cases(row: Row, tiny: bool) -> list[str]:
    """What is measured in a row, by each engine under the same name."""
    if row.task == "peaks":
        return ["copy", "multiply-add"]
    if row.task == "gemm":
        return [str(n) for n in gemm_sizes(tiny)]
    if row.task == "chain":
        return [f"{CHAIN_LENGTH} products of {CHAIN_SIZE}×{CHAIN_SIZE}"]
    if row.task == "conv":
        return [f"{shape.name}, {which}" for shape in convs(row.net, tiny) for which in PASSES]
    return [f"batch {net(row.net, tiny).batch}"]


def conv_of(case: str, row: Row, tiny: bool) -> tuple[Conv, str]:
    """The convolution and the pass of a case of a row of convolutions."""
    name, _, which = case.rpartition(", ")
    return next(conv for conv in convs(row.net, tiny) if conv.name == name), which
