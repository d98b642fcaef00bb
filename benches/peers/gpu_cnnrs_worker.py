"""cnnrs on the device that CNNRS_DEVICE names. Operands lie on it already, as PyTorch's do."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import gpu_rows
import numpy as np
from gpu_task import arguments, each, measured
from nets import lenet5_keras, resnet18_keras

import cnnrs
from cnnrs import ops

# Bytes of a tensor that is copied: more than any cache holds.
COPIED_BYTES = 1 << 30
# How long the batches of one `fit` take together, roughly.
FIT_SECONDS = 0.5
# Lines of a profile that are kept, the slowest first.
KEPT_STEPS = 60
# One line of the table of `cnnrs.utils.profile`.
STEP = re.compile(r"\s*([\d.]+)\s+[\d.]+%\s+([\d.]+)\s+([\d.]+)\s+\d+%\s+(\S+)\s+\[([\d, ]*)\]\s+(.*)")


def random(*shape: int, dtype: str = "float32") -> Any:
    """Normal numbers, made on the device that computes."""
    return cnnrs.random.normal(shape, seed=0).astype(dtype).realise()


def element_type(variant: str) -> str:
    """The type of a variant's operands; sets what becomes of products of halves, if the variant says so."""
    dtype, _, halves = variant.partition(" ")
    os.environ["CNNRS_GPU_HALF"] = halves or "auto"
    return dtype


def wait(result: Any) -> None:
    """Waits for a tensor by looking at one element: the device computes in the order of the calls."""
    float(result[(0,) * len(result.shape)])


def steps_of(table: str) -> list[dict]:
    """The lines of a profile's table: time, rates, kernel, workgroups of each dispatch, and text."""
    steps = []
    for line in table.splitlines():
        found = STEP.fullmatch(line)
        if found:
            ms, gflops, gigabytes, kernel, groups, text = found.groups()
            counts = [int(n) for n in groups.split(",") if n.strip()]
            steps.append(
                {
                    "ms": float(ms),
                    "gflops": float(gflops),
                    "gbytes": float(gigabytes),
                    "kernel": kernel,
                    "groups": counts,
                    "text": text,
                }
            )
    return steps


def times_of_steps(table: str, ms: float) -> dict:
    """What a profile says of a run that takes `ms` milliseconds otherwise.

    A device that tells timestamps times each step. Elsewhere the host does, from a step's submission to its
    end: the way to the device and back is a part of it, and takes at most as long as the shortest step. The
    part of the run in which the device computes nothing lies between `idle_least` and `idle_most`.
    """
    steps = steps_of(table)
    if not steps:
        raise ValueError(f"a profile without steps: {table[:200]!r}")
    way = min(step["ms"] for step in steps)
    all_ms = sum(step["ms"] for step in steps)
    least = max(0.0, 1 - all_ms / ms)
    most = max(least, 1 - (all_ms - way * len(steps)) / ms)
    return {
        "steps_ms": all_ms,
        "way_ms": way,
        "dispatches": sum(len(step["groups"]) for step in steps),
        "idle_least": least,
        "idle_most": min(most, 1.0),
        "steps": steps[:KEPT_STEPS],
    }


def peaks(case: str, variant: str) -> Iterator[dict]:
    """Copies alone: a fused region is too short for the most multiply-adds that a device can do."""
    count = (1 << 16 if options.tiny else COPIED_BYTES) // 4
    x = random(count // 64, 64)
    copied = cnnrs.function(lambda x: x + 1.0)
    yield {**measured(lambda: copied(x), wait, options.seconds), "bytes": 8 * count}


def gemm(case: str, variant: str) -> Iterator[dict]:
    n = int(case)
    dtype = element_type(variant)
    a, b = random(n, n, dtype=dtype), random(n, n, dtype=dtype)
    product = cnnrs.function(ops.matmul)
    yield {**measured(lambda: product(a, b), wait, options.seconds), "flops": 2 * n**3}


def chain(case: str, variant: str) -> Iterator[dict]:
    a = random(gpu_rows.CHAIN_SIZE, gpu_rows.CHAIN_SIZE) * np.float32(0.1)

    @cnnrs.function
    def products(x: Any, a: Any) -> Any:
        for _ in range(gpu_rows.CHAIN_LENGTH):
            x = ops.matmul(x, a)
        return x

    a = a.realise()
    yield {**measured(lambda: products(a, a), wait, options.seconds), "dispatches": gpu_rows.CHAIN_LENGTH}


def convolution(
    conv: gpu_rows.Conv, batch: int, which: str, dtype: str
) -> tuple[Callable[[Any, Any], Any], list[Any]]:
    """One pass of a convolution, and its operands of a type.

    A gradient depends on one operand of the forward pass alone. The other is a constant here, and the forward
    pass is not computed.
    """
    shape = (batch, conv.size, conv.size, conv.channels)
    filters = (conv.kernel, conv.kernel, conv.channels, conv.filters)
    gradient_shape = (batch, conv.out_size, conv.out_size, conv.filters)

    def forward(x: Any, w: Any) -> Any:
        return ops.conv(x, w, conv.stride, "same")

    def gradient_of(place: int) -> Callable[[Any, Any], Any]:
        def gradient(other: Any, g: Any) -> Any:
            operands = [other, other]
            operands[place] = ops.zeros((shape, filters)[place], dtype)
            with cnnrs.GradientTape() as tape:
                tape.watch(operands[place])
                y = forward(*operands)
            return tape.gradient(y, operands[place], output_gradients=g)

        return gradient

    if which == "forward":
        return forward, [random(*sizes, dtype=dtype) for sizes in (shape, filters)]
    place = gpu_rows.PASSES.index(which) - 1
    operands = ((filters, shape)[place], gradient_shape)
    return gradient_of(place), [random(*sizes, dtype=dtype) for sizes in operands]


def conv(case: str, variant: str) -> Iterator[dict]:
    shape, which = gpu_rows.conv_of(case, options.row, options.tiny)
    batch = gpu_rows.net(options.row.net, options.tiny).batch
    computed, operands = convolution(shape, batch, which, element_type(variant))
    function = cnnrs.function(computed)
    times = measured(lambda: function(*operands), wait, options.seconds / 5)
    yield {**times, "flops": shape.flops(batch), "count": shape.count}


def build(name: str, net: gpu_rows.Net) -> Any:
    """The network, giving logits."""
    if name == "lenet":
        return lenet5_keras(cnnrs)
    if name == "resnet18":
        return resnet18_keras(cnnrs, net.size, net.classes)
    shape = (net.size, net.size, net.channels)
    return cnnrs.applications.ResNet50(
        weights=None, classifier_activation=None, input_shape=shape, classes=net.classes
    )


def compiled(name: str, net: gpu_rows.Net) -> Any:
    """The network with the loss and the optimizer of its row."""
    model = build(name, net)
    optimizer = cnnrs.optimizers.Adam(1e-3) if name == "lenet" else cnnrs.optimizers.SGD(0.01, momentum=0.9)
    loss = cnnrs.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss)
    return model


def training_step(model: Any) -> Any:
    """A recorded step on tensors of the device, as a user writes it."""
    loss_of, optimizer = model.loss, model.optimizer

    @cnnrs.function
    def step(x: Any, y: Any) -> Any:
        with cnnrs.GradientTape() as tape:
            loss = loss_of(y, model(x, training=True))
            scaled = optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    return step


def batch_of(net: gpu_rows.Net, batches: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    shape = (net.batch * batches, net.size, net.size, net.channels)
    labels = rng.integers(0, net.classes, shape[0]).astype(np.int32)
    return rng.standard_normal(shape, dtype=np.float32), labels


def train(case: str, variant: str) -> Iterator[dict]:
    if variant == "mixed_float16":
        cnnrs.mixed_precision.set_global_policy(variant)
    net = gpu_rows.net(options.row.net, options.tiny)
    model = compiled(options.row.net, net)
    x, y = batch_of(net, 1)
    on_device = [ops.convert_to_tensor(a).to(cnnrs.config.get_device()).realise() for a in (x, y)]
    step = training_step(model)
    times = measured(lambda: step(*on_device), float, options.seconds)
    told = cnnrs.utils.explain(model, x, y)
    yield {**times, "images": net.batch, "flops": told.flops, "arena_bytes": told.arena_bytes}
    yield times_of_steps(cnnrs.utils.profile(model, x, y, repeats=3), times["least_ms"])
    batches = min(max(round(FIT_SECONDS * 1e3 / times["ms"]), 2), 20)
    many, labels = batch_of(net, batches)

    def fit() -> Any:
        return model.fit(many, labels, batch_size=net.batch, verbose=0, shuffle=False)

    yield {"fit_ms": measured(fit, lambda history: history, options.seconds)["ms"] / batches}


def infer(case: str, variant: str) -> Iterator[dict]:
    if variant == "mixed_float16":
        cnnrs.mixed_precision.set_global_policy(variant)
    net = gpu_rows.net(options.row.net, options.tiny)
    model = build(options.row.net, net)
    x, _ = batch_of(net, 1)
    on_device = ops.convert_to_tensor(x).to(cnnrs.config.get_device()).realise()
    predict = cnnrs.function(lambda x: model(x, training=False))
    times = measured(lambda: predict(on_device), wait, options.seconds)
    told = cnnrs.utils.explain(model, x)
    yield {**times, "images": net.batch, "flops": told.flops, "arena_bytes": told.arena_bytes}
    yield times_of_steps(cnnrs.utils.profile(model, x, repeats=3), times["least_ms"])
    from_host = measured(lambda: model.predict_on_batch(x), lambda logits: logits, options.seconds)
    yield {"predict_ms": from_host["ms"]}


if __name__ == "__main__":
    options = arguments()
    tasks = {"peaks": peaks, "gemm": gemm, "chain": chain, "conv": conv, "train": train, "infer": infer}
    cases = ["copy"] if options.row.task == "peaks" else gpu_rows.cases(options.row, options.tiny)
    wanted = [(case, variant) for case in cases for variant in options.variants]
    if not cnnrs.config.get_device().startswith("gpu"):
        raise SystemExit(f"expected CNNRS_DEVICE to name a GPU, received {cnnrs.config.get_device()!r}")
    each(gpu_rows.CNNRS, cnnrs.__version__, options.row.key, wanted, tasks[options.row.task])
