"""PyTorch on CUDA. Variants: float32 (TF32 off), tf32, float16, amp (and channels_last), graph (CUDA graph).

With `--tiny` it runs on the processor where there is no CUDA, which shows that it runs.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any

import gpu_rows
import torch
from gpu_task import arguments, each, measured
from nets import lenet5_torch, resnet18_torch, resnet50_torch
from torch.nn.functional import conv2d, cross_entropy

COPIED_BYTES = 1 << 30
# Independent chains of multiply-adds in each thread, their length, and the threads that run them.
FMA_CHAINS, FMA_LENGTH, FMA_THREADS = 8, 8192, 1 << 20
FMA_CODE = f"""
template <typename T> T multiply_add(T x) {{
  T sums[{FMA_CHAINS}];
  #pragma unroll
  for (int i = 0; i < {FMA_CHAINS}; i++) sums[i] = x + T(i);
  for (int k = 0; k < {FMA_LENGTH}; k++) {{
    #pragma unroll
    for (int i = 0; i < {FMA_CHAINS}; i++) sums[i] = sums[i] * x + T(0.5);
  }}
  T sum = 0;
  #pragma unroll
  for (int i = 0; i < {FMA_CHAINS}; i++) sum += sums[i];
  return sum;
}}
"""


def wait(result: Any) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def set_variant(variant: str) -> None:
    """Whether kernels may round operands to TF32. cuDNN chooses by timing, as users ask it to."""
    torch.backends.cuda.matmul.allow_tf32 = variant == "tf32"
    torch.backends.cudnn.allow_tf32 = variant == "tf32"
    torch.backends.cudnn.benchmark = True


def graph_of(run: Callable[[], Any]) -> Callable[[], Any]:
    """`run` as a CUDA graph that is replayed."""
    if device != "cuda":
        raise RuntimeError("CUDA graphs: expected a CUDA device, received none")
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            run()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return graph.replay


def kernels_of(run: Callable[[], Any]) -> list[str]:
    """Names of the CUDA kernels of a run: they tell, for example, whether cuDNN uses Winograd."""
    if device != "cuda":
        return []
    from torch.profiler import ProfilerActivity, profile

    run()
    wait(None)
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        run()
        wait(None)
    names = [event.key for event in profiler.key_averages()]
    # Calls of the runtime are no kernels.
    return [name[:120] for name in names if not re.match(r"cuda?[A-Z]|Activity", name)]


def peaks(case: str, variant: str) -> Iterator[dict]:
    if case == "copy":
        count = (1 << 16 if options.tiny else COPIED_BYTES) // 4
        source = torch.randn(count, device=device)
        target = torch.empty_like(source)
        yield {**measured(lambda: target.copy_(source), wait, options.seconds), "bytes": 8 * count}
        return
    if device != "cuda":
        raise RuntimeError("multiply-add: expected a CUDA device, received none")
    run = torch.cuda.jiterator._create_jit_fn(FMA_CODE)
    x = torch.full((FMA_THREADS,), 0.25, device=device)
    flops = 2 * FMA_CHAINS * FMA_LENGTH * FMA_THREADS
    yield {**measured(lambda: run(x), wait, options.seconds), "flops": flops}


def gemm(case: str, variant: str) -> Iterator[dict]:
    set_variant(variant)
    n = int(case)
    kind = torch.float16 if variant == "float16" else torch.float32
    a, b = torch.randn(n, n, device=device, dtype=kind), torch.randn(n, n, device=device, dtype=kind)

    def run() -> Any:
        return torch.matmul(a, b)

    yield {**measured(run, wait, options.seconds), "flops": 2 * n**3, "kernels": kernels_of(run)}


def chain(case: str, variant: str) -> Iterator[dict]:
    set_variant(variant)
    a = 0.1 * torch.randn(gpu_rows.CHAIN_SIZE, gpu_rows.CHAIN_SIZE, device=device)

    def products() -> Any:
        x = a
        for _ in range(gpu_rows.CHAIN_LENGTH):
            x = torch.matmul(x, a)
        return x

    run = graph_of(products) if variant == "graph" else products
    yield {**measured(run, wait, options.seconds), "dispatches": gpu_rows.CHAIN_LENGTH}


def conv(case: str, variant: str) -> Iterator[dict]:
    set_variant(variant)
    shape, which = gpu_rows.conv_of(case, options.row, options.tiny)
    batch = gpu_rows.net(options.row.net, options.tiny).batch
    kind = torch.float16 if variant == "float16" else torch.float32
    layouts = [torch.channels_last] + ([torch.contiguous_format] if variant == "float32" else [])
    timed = []
    for layout in layouts:
        run = convolution(shape, batch, which, layout, kind)
        timed.append((measured(run, wait, options.seconds / 5), layout, run))
    # cnnrs is compared with the faster layout.
    times, layout, run = min(timed, key=lambda one: one[0]["ms"])
    more = {"kernels": kernels_of(run)} if variant == "float32" else {}
    yield {**times, "layout": str(layout), "flops": shape.flops(batch), "count": shape.count, **more}


def convolution(shape: gpu_rows.Conv, batch: int, which: str, layout: Any, kind: Any) -> Callable[[], Any]:
    """One pass of a convolution in NCHW or NHWC, of operands of a type."""

    def random(*sizes: int) -> Any:
        return torch.randn(*sizes, device=device, dtype=kind).to(memory_format=layout)

    x = random(batch, shape.channels, shape.size, shape.size)
    w = random(shape.filters, shape.channels, shape.kernel, shape.kernel)
    padding = (shape.kernel - 1) // 2
    if which == "forward":
        return lambda: conv2d(x, w, None, shape.stride, padding)
    g = random(batch, shape.filters, shape.out_size, shape.out_size)
    mask = [which == "input gradient", which == "filter gradient", False]
    strides, paddings = [shape.stride] * 2, [padding] * 2
    return lambda: torch.ops.aten.convolution_backward(
        g, x, w, None, strides, paddings, [1, 1], False, [0, 0], 1, mask
    )


def network(name: str, net: gpu_rows.Net, variant: str) -> tuple[Any, Any]:
    """The network and a batch of images."""
    if name == "lenet":
        model = lenet5_torch()
    else:
        model = resnet18_torch(net.size, net.classes) if name == "resnet18" else resnet50_torch()
    layout = torch.channels_last if variant == "amp" else torch.contiguous_format
    images = torch.randn(net.batch, net.channels, net.size, net.size, device=device)
    return model.to(device).to(memory_format=layout), images.to(memory_format=layout)


def autocast(variant: str) -> Any:
    return torch.autocast(device, torch.float16) if variant == "amp" else contextlib.nullcontext()


def train(case: str, variant: str) -> Iterator[dict]:
    set_variant(variant)
    name, net = options.row.net, gpu_rows.net(options.row.net, options.tiny)
    model, x = network(name, net, variant)
    y = torch.randint(0, net.classes, (net.batch,), device=device)
    captured = variant == "graph"
    optimizer: Any = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    if name == "lenet":
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-3, capturable=captured)
    scaler = torch.amp.GradScaler(device, enabled=variant == "amp")

    def step() -> Any:
        optimizer.zero_grad(set_to_none=True)
        with autocast(variant):
            loss = cross_entropy(model(x), y)
        scaler.scale(loss).backward()
        if captured:
            optimizer.step()
        else:
            scaler.step(optimizer)
            scaler.update()
        return loss

    run = graph_of(step) if captured else step
    yield {**measured(run, wait, options.seconds), "images": net.batch}


def infer(case: str, variant: str) -> Iterator[dict]:
    set_variant(variant)
    net = gpu_rows.net(options.row.net, options.tiny)
    model, x = network(options.row.net, net, variant)
    model.eval()

    def predict() -> Any:
        with torch.inference_mode(), autocast(variant):
            return model(x)

    run = graph_of(predict) if variant == "graph" else predict
    yield {**measured(run, wait, options.seconds), "images": net.batch}


if __name__ == "__main__":
    options = arguments()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not options.tiny:
        raise SystemExit(f"PyTorch {torch.__version__} sees no CUDA device")
    torch.manual_seed(0)
    tasks = {"peaks": peaks, "gemm": gemm, "chain": chain, "conv": conv, "train": train, "infer": infer}
    cases = gpu_rows.cases(options.row, options.tiny)
    wanted = [(case, variant) for case in cases for variant in options.variants]
    each(gpu_rows.TORCH, torch.__version__, options.row.key, wanted, tasks[options.row.task])
