"""PyTorch. Variants: "" (eager, NCHW), "channels_last" (eager), "compile" (channels_last, inference only)."""

from task import arguments, mnist_images, random_images, report, timed

options = arguments()

import torch  # noqa: E402 (threads are limited first)
from nets import inference_torch, lenet5_torch, resnet18_torch  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

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


def inference() -> None:
    x = nchw(random_images(options.batch, 224, 1000)[0])
    model = inference_torch(options.task).to(memory_format=layout).eval()
    if options.variant == "compile":
        from torch._inductor import config

        config.freezing = True
        model = torch.compile(model)
    with torch.inference_mode():
        report(torch.__version__, timed(lambda: model(x), 3, options.repeats), options.batch)


globals().get(options.task, inference)()
