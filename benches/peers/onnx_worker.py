"""onnxruntime and OpenVINO on the ONNX export of PyTorch's network. Variants: "ort", "openvino"."""

import tempfile
from pathlib import Path

from task import INFERENCE, arguments, random_images, report, timed

options = arguments()

import numpy as np  # noqa: E402 (threads are limited first)
import torch  # noqa: E402
import zoo_torch  # noqa: E402
from nets import inference_torch  # noqa: E402
from zoo import NETS, samples  # noqa: E402

torch.set_num_threads(options.threads)


def export(path: Path) -> np.ndarray:
    """Writes the task's network for the batch as an ONNX file; returns the input, NCHW."""
    kind, _, name = options.task.partition(":")
    if kind == "infer":
        x, model = samples(NETS[name], options.batch)[0], zoo_torch.network(name).eval()
    else:
        x, model = random_images(options.batch, 224, 1000)[0], inference_torch(options.task).eval()
    x = np.ascontiguousarray(x.transpose(0, 3, 1, 2) if x.ndim == 4 else x)
    torch.onnx.export(model, (torch.from_numpy(x),), path, input_names=["x"], verbose=False)
    return x


def run_ort(path: Path, x: np.ndarray) -> None:
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    seconds = timed(lambda: session.run(None, {"x": x}), 3, options.repeats)
    report(onnxruntime.__version__, seconds, options.batch)


def run_openvino(path: Path, x: np.ndarray) -> None:
    import openvino

    # f32, for that is what the others compute.
    settings = {
        "INFERENCE_NUM_THREADS": options.threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = openvino.Core().compile_model(path, "CPU", settings)
    request = compiled.create_infer_request()
    seconds = timed(lambda: request.infer([x]), 3, options.repeats)
    report(openvino.__version__.split("-")[0], seconds, options.batch)


if options.task not in INFERENCE and not options.task.startswith("infer:"):
    raise SystemExit(f"this worker infers only, it has no task {options.task}")
with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "network.onnx"
    {"ort": run_ort, "openvino": run_openvino}[options.variant](file, export(file))
