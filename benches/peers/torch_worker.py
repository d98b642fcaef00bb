"""PyTorch. Variants: "" (eager, NCHW), "channels_last" (eager), "compile" (channels_last, inference only)."""

from task import arguments, mnist_images, random_images, report, timed

options = arguments()

import torch  # noqa: E402 (threads are limited first)
import zoo_torch  # noqa: E402
from nets import inference_torch, lenet5_torch, resnet18_torch  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402
from zoo import NETS, samples  # noqa: E402

torch.set_num_threads(options.threads)
torch.manual_seed(0)
layout = torch.channels_last if options.variant else torch.contiguous_format


def nchw(x):
    return torch.from_numpy(x).permute(0, 3, 1, 2).contiguous(memory_format=layout)


def lenet() -> None:
    images, labels = mnist_images(options.batch, 300)
    x, y = nchw(images), torch.from_numpy(labels).long()
    model = lenet5_torch().to(memory_format=layout)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)

    def epoch() -> None:
        for rows in torch.randperm(len(x)).split(options.batch):
            optimizer.zero_grad(set_to_none=True)
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()

    report(torch.__version__, timed(epoch, 1, options.repeats), len(x))


def resnet18_train() -> None:
    images, labels = random_images(options.batch, 32, 10)
    x, y = nchw(images), torch.from_numpy(labels).long()
    model = resnet18_torch(32, 10).to(memory_format=layout)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        cross_entropy(model(x), y).backward()
        optimizer.step()

    report(torch.__version__, timed(step, 2, options.repeats), options.batch)


def tensors(name: str, n: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs and targets of a network of the zoo, in PyTorch's layouts and dtypes."""
    x, y = (nchw(a) if a.ndim == 4 else torch.from_numpy(a) for a in samples(NETS[name], n))
    return x, y if y.is_floating_point() else y.long()


def train(name: str) -> None:
    net = NETS[name]
    x, y = tensors(name, net.batch * net.steps)
    model = zoo_torch.network(name).to(memory_format=layout)
    weights = model.parameters()
    adam = net.optimizer == "adam"
    optimizer = torch.optim.Adam(weights, 1e-3) if adam else torch.optim.SGD(weights, 0.01, momentum=0.9)

    def steps() -> None:
        # A single step takes the batch as it is; more of them shuffle, as `fit` does.
        batches = [slice(None)] if net.steps == 1 else torch.randperm(len(x)).split(net.batch)
        for rows in batches:
            optimizer.zero_grad(set_to_none=True)
            zoo_torch.loss(net, model(x[rows]), y[rows]).backward()
            optimizer.step()

    report(torch.__version__, timed(steps, 2, options.repeats), len(x))


def infer(name: str) -> None:
    run_inference(zoo_torch.network(name), tensors(name, options.batch)[0])


def inference() -> None:
    run_inference(inference_torch(options.task), nchw(random_images(options.batch, 224, 1000)[0]))


def run_inference(model: torch.nn.Module, x: torch.Tensor) -> None:
    model = model.to(memory_format=layout).eval()
    if options.variant == "compile":
        from torch._inductor import config

        config.freezing = True
        model = torch.compile(model)
    with torch.inference_mode():
        report(torch.__version__, timed(lambda: model(x), 3, options.repeats), options.batch)


kind, _, name = options.task.partition(":")
if name:
    {"train": train, "infer": infer}[kind](name)
else:
    globals().get(options.task, inference)()
