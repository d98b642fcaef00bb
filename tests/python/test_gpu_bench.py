"""`benches/peers/gpu.py`: its shapes are the networks', its tables say what was measured, nothing is lost."""

from __future__ import annotations

import collections
import glob
import json
import os
import subprocess
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import applications, layers
from cnnrs.base import context

PEERS = Path(__file__).parents[2] / "benches" / "peers"
SOFTWARE = {"CNNRS_ADAPTER": "software", "NODEVICE_SELECT": "1"}
needs_software = pytest.mark.skipif(
    not glob.glob("/usr/share/vulkan/icd.d/lvp_icd*"), reason="lavapipe is not installed: the GPU did not run"
)


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    """The scripts import each other from their folder."""
    monkeypatch.syspath_prepend(str(PEERS))
    yield
    for name in [name for name in sys.modules if name == "nets" or name.split("_")[0] == "gpu"]:
        del sys.modules[name]


def run(*arguments: str, **environment: str) -> str:
    command = [sys.executable, str(PEERS / "gpu.py"), *arguments]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def result(engine: str, row: str, case: str, variant: str, **values: object) -> dict:
    return {"engine": engine, "version": "1", "row": row, "case": case, "variant": variant, **values}


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_convolutions_are_those_of_the_network(name):
    import gpu_rows
    from nets import resnet18_keras

    net = gpu_rows.net(name, tiny=False)
    if name == "resnet18":
        model = resnet18_keras(cnnrs, net.size, net.classes)
    else:
        model = applications.ResNet50(weights=None, classes=net.classes)
    found = collections.Counter(
        (c.output.shape[1], c.input.shape[3], c.filters, *c.kernel_size, *c.strides)
        for c in model.layers
        if isinstance(c, layers.Conv2D)
    )
    listed = {
        (c.out_size, c.channels, c.filters, c.kernel, c.kernel, c.stride, c.stride): c.count
        for c in gpu_rows.convs(name, tiny=False)
    }
    assert listed == found
    # All of a step of training but the last product and what runs element by element. Nobody asks for the
    # gradient of the images.
    flops = sum(c.flops(1) * c.count * (2 if c.channels == 3 else 3) for c in gpu_rows.CONVS[name])
    assert 0.95 < flops / cnnrs.utils.explain(model, training=True).flops < 1


@pytest.mark.parametrize("conv", [(8, 6, 5, 3, 1), (8, 6, 5, 3, 2), (9, 4, 8, 1, 2)], ids=str)
def test_a_pass_of_a_convolution_computes_nothing_else(conv):
    import gpu_cnnrs_worker
    import gpu_rows

    shape = gpu_rows.Conv(*conv, count=1)
    x = gpu_cnnrs_worker.random(2, shape.size, shape.size, shape.channels)
    w = gpu_cnnrs_worker.random(shape.kernel, shape.kernel, shape.channels, shape.filters)
    with cnnrs.GradientTape() as tape:
        tape.watch([x, w])
        y = cnnrs.ops.conv(x, w, shape.stride, "same")
    assert y.shape[1] == shape.out_size
    g = gpu_cnnrs_worker.random(*y.shape)
    wanted = dict(zip(gpu_rows.PASSES, (y, *tape.gradient(y, [x, w], output_gradients=g)), strict=True))
    for which, operands in zip(gpu_rows.PASSES, ([x, w], [w, g], [x, g]), strict=True):
        function, made = gpu_cnnrs_worker.convolution(shape, 2, which, "float32")
        assert [m.shape for m in made] == [o.shape for o in operands]
        with context.trace() as recorder:
            places = [recorder.placeholder(list(o.shape), "float32", "x") for o in operands]
            compiled = recorder.compile([function(*places)])
        assert compiled.flops == shape.flops(2), which
        (found,) = compiled(*operands)
        np.testing.assert_allclose(found, wanted[which], rtol=1e-4, atol=1e-4)


def test_every_case_names_its_convolution():
    import gpu_rows

    for row in gpu_rows.ROWS:
        for tiny in (False, True):
            cases = gpu_rows.cases(row, tiny)
            assert len(set(cases)) == len(cases)
            if row.task == "conv":
                parsed = [gpu_rows.conv_of(case, row, tiny) for case in cases]
                assert [f"{conv.name}, {which}" for conv, which in parsed] == cases


def test_a_profile_is_read_whole():
    import gpu_cnnrs_worker

    model = applications.LeNet5()
    x = np.zeros((4, *model.input_shape[1:]), np.float32)
    table = cnnrs.utils.profile(model, x, repeats=1)
    steps = gpu_cnnrs_worker.steps_of(table)
    assert len(steps) == len(table.splitlines()) - 2
    assert {step["kernel"] for step in steps} == {line.split()[5] for line in table.splitlines()[1:-1]}
    with pytest.raises(ValueError, match="a profile without steps"):
        gpu_cnnrs_worker.times_of_steps("nothing", 1.0)


def test_idle_time_lies_between_two_bounds():
    import gpu_cnnrs_worker

    table = (
        "  ms  share  GFLOP/s  GB/s  idle  kernel\n"
        "   6.000  60.0%  10.0  2.0   0%  conv2d   [12] conv2d → float32(2,)  # a\n"
        "   1.000  10.0%   1.0  2.0   0%  region   [3, 1] add → float32(2,)\n"
    )
    times = gpu_cnnrs_worker.times_of_steps(table, 10.0)
    assert (times["steps_ms"], times["dispatches"]) == (7.0, 3)
    assert times["idle_least"] == pytest.approx(0.3) and times["idle_most"] == pytest.approx(0.5)
    assert gpu_cnnrs_worker.times_of_steps(table, 4.0)["idle_least"] == 0


def test_the_report_has_ratios_and_percent_of_the_peak():
    import gpu_report

    conv = "32² 64→64 3×3/1, forward"
    results = [
        {"machine": {"adapter": "card"}, "date": "today", "tiny": False},
        result("PyTorch", "peaks", "multiply-add", "float32", ms=1.0, flops=50e9),
        result("cnnrs", "peaks", "copy", "float32", ms=1.0, bytes=4e9),
        result("cnnrs", "gemm", "4096", "float32", ms=4.0, flops=100e9),
        result("PyTorch", "gemm", "4096", "float32", ms=2.0, flops=100e9),
        result("PyTorch", "gemm", "2048", "float32", ms=1.0, flops=10e9),
        result("cnnrs", "resnet18-conv", conv, "float32", ms=3.0, flops=1e9, count=4),
        result("PyTorch", "resnet18-conv", conv, "float32", ms=6.0, count=4, kernels=["a winograd kernel"]),
        result("cnnrs", "lenet-mixed", "batch 512", "mixed_float16", ms=2.0, images=512),
        result("PyTorch", "lenet-train", "batch 512", "amp", ms=3.0, images=512),
        result("cnnrs", "lenet-train", "batch 512", "float32", error="RuntimeError: no room"),
        {"skipped": "chain of cnnrs: no time left"},
    ]
    text = "\n".join(gpu_report.lines(results))
    assert "100% is 50.0 TFLOP/s and 4000 GB/s (multiply-adds measured, copy measured)" in text
    assert "| GEMM n×n×n, 4096, float32 | 4.000 |  | 25.00 | 50% | float32 2.000 (**0.50**) |" in text
    assert (
        "| LeNet-5 training, batch 512, mixed_float16 | 2.000 | 256000 |  |  | amp 3.000 (**1.50**) |" in text
    )
    assert "forward, all layers: PyTorch float32 24.0 ms, 2.00 times cnnrs's time" in text
    assert "1 of 1 convolutions by Winograd. " + conv in text
    assert "RuntimeError: no room" in text and "- chain of cnnrs: no time left" in text
    # A peer that measured other shapes is not compared by sums.
    results.append(result("cnnrs", "resnet18-conv", "x, forward", "float32", ms=1.0, flops=1, count=1))
    assert "forward: not all shapes were measured by all, no sums" in "\n".join(gpu_report.lines(results))


def test_peaks_are_the_makers_where_nothing_was_measured():
    import gpu_report

    assert gpu_report.peaks([], {"adapter": "NVIDIA L40S"})[:2] == (91.6, 864.0)
    assert gpu_report.peaks([], {"adapter": "another"})[:2] == (0.0, 0.0)


def test_what_a_worker_said_stays_when_it_is_ended(tmp_path, monkeypatch):
    import gpu
    import gpu_rows

    worker = tmp_path / "worker.py"
    said = json.dumps(result("cnnrs", "gemm", "1", "float32", ms=1))
    # A process of the worker's own that holds its output goes too.
    worker.write_text(
        f"import subprocess, sys\nprint({said!r})\nprint({said[:20]!r}, end='', flush=True)\n"
        "subprocess.run([sys.executable, '-c', 'import time; time.sleep(100)'])\n"
    )
    monkeypatch.setitem(gpu.WORKERS, "cnnrs", str(worker))
    results = gpu.Results(tmp_path / "out" / "results.jsonl")
    options = Namespace(python=sys.executable, seconds=0.1, tiny=True)
    for line in gpu.measure(gpu_rows.row("gemm"), "cnnrs", options, dict(os.environ), 6):
        results.add(line)
    kept = [json.loads(text) for text in results.path.read_text().splitlines()]
    assert kept[0]["ms"] == 1 and kept[1]["error"] == "ended after 6 s" and len(kept) == 2


@needs_software
def test_a_run_that_is_stopped_reports_what_it_measured(tmp_path):
    command = [sys.executable, str(PEERS / "gpu.py"), "--tiny", "--engines", "cnnrs", "--out", str(tmp_path)]
    # Ten seconds of samples for each of two sizes: the run is stopped among those of the second.
    command += ["--only", "gemm,lenet-infer", "--seconds", "10"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **SOFTWARE}
    )
    first = next((line for line in process.stdout if line.startswith("cnnrs ") and " gemm " in line), "")
    process.terminate()
    rest, _ = process.communicate(timeout=60)
    assert " 64 " in first and process.returncode == 130, first + rest
    assert "| GEMM n×n×n, 64, float32 |" in rest and "| GEMM n×n×n, 32" not in rest
    assert (tmp_path / "report.md").read_text().strip() in rest


def test_a_folder_without_a_wheel_is_named(tmp_path):
    import gpu

    with pytest.raises(FileNotFoundError, match=r"expected a folder with cnnrs-\*\.whl, received"):
        gpu.wheel_in(tmp_path)
    for number, name in enumerate(("cnnrs-1.whl", "cnnrs-0.whl")):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (number, number))
    assert gpu.wheel_in(tmp_path).name == "cnnrs-0.whl"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tiny", "--save"], "--save: expected figures of whole shapes"),
        (["--engines", "cnnrs,JAX"], "--engines: expected of cnnrs, PyTorch, received JAX"),
        (["--only", "gem"], "expected one of peaks, gemm, .* received 'gem'"),
    ],
)
def test_arguments_that_make_no_sense_are_named(monkeypatch, tmp_path, arguments, message):
    import gpu

    monkeypatch.setattr(sys, "argv", ["gpu.py", "--out", str(tmp_path), *arguments])
    with pytest.raises(SystemExit, match=message):
        gpu.main()
    assert not list(tmp_path.iterdir())


@needs_software
def test_rows_are_measured_on_a_device(tmp_path):
    only = ["--only", "gemm,lenet-infer", "--engines", "cnnrs", "--seconds", "0.02", "--tiny"]
    said = run(*only, "--out", str(tmp_path), **SOFTWARE)
    lines = [json.loads(text) for text in (tmp_path / "results.jsonl").read_text().splitlines()]
    assert "llvmpipe" in lines[0]["machine"]["adapter"]
    assert [line["case"] for line in lines if line.get("row") == "gemm"] == ["64", "32"]
    assert all(line["ms"] > 0 for line in lines if line.get("row") == "gemm")
    assert {"dispatches", "idle_most", "predict_ms"} <= {key for line in lines[1:] for key in line}
    assert (tmp_path / "report.md").read_text().strip() in said
    assert run("--report", str(tmp_path / "results.jsonl")).strip() in said


@needs_software
def test_counts_are_those_of_what_runs():
    program = """
        import json, sys
        import numpy as np
        import cnnrs, gpu_count, gpu_cnnrs_worker, gpu_rows

        net = gpu_rows.net("lenet", tiny=True)
        x, y = np.zeros((2, 28, 28, 1), np.float32), np.zeros(2, np.int32)
        for kind, targets in (("predict", None), ("train", y)):
            counts = gpu_count.count("lenet", kind, 2, net)
            table = cnnrs.utils.profile(gpu_cnnrs_worker.compiled("lenet", net), x, targets, repeats=1)
            steps = gpu_cnnrs_worker.steps_of(table)
            assert (counts.steps, counts.dispatches) == (len(steps), sum(len(s["groups"]) for s in steps))
            assert counts.dispatches == sum(counts.kernels.values())
            assert counts.workgroups == sum(sum(s["groups"]) for s in steps)
            assert counts.submissions >= 1 and (counts.commit_dispatches > 0) == (kind == "train")
            # Every step reads what it computes of, weights among it.
            assert counts.read_bytes > 4 * 61706
        # Weights, two moments of each, three numbers of the optimizer and what Adam counts by.
        weights = 61706
        assert 12 * weights <= counts.weight_bytes < 12 * weights + 64, counts
        # Each weight is written in a step of training, and each of its moments.
        assert counts.written_bytes > 12 * weights
        """
    environment = {**os.environ, **SOFTWARE, "CNNRS_DEVICE": "gpu", "PYTHONPATH": str(PEERS)}
    dedented = "\n".join(line[8:] for line in program.splitlines())
    done = subprocess.run(
        [sys.executable, "-c", dedented], capture_output=True, text=True, timeout=300, env=environment
    )
    assert done.returncode == 0, done.stderr
