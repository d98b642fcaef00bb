"""cnnrs on a GPU against PyTorch on CUDA: one script that fits into ten minutes on a machine lent for them.

    make peers-gpu                                    builds the wheel, then the same
    python benches/peers/gpu.py --wheel dist --minutes 8 --out build/peers-gpu
    python benches/peers/gpu.py --count               where there is no GPU: what each network asks of one
    python benches/peers/gpu.py --report build/peers-gpu/results.jsonl

Nothing is built or downloaded: the wheel is unpacked into a folder that goes again, and runs under the
interpreter that runs this script. So its PyTorch and its numpy are found, also where that interpreter is of a
virtual environment, whose packages an environment made of it would not see. Each row and engine has a process
of its own with a time-out. Each result is a line of `results.jsonl` as soon as it is there, and the most
important rows come first: what ends the script loses nothing.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

import gpu_machine
import gpu_report
import gpu_rows

HERE = Path(__file__).parent
WORKERS = {gpu_rows.CNNRS: "gpu_cnnrs_worker.py", gpu_rows.TORCH: "gpu_torch_worker.py"}
# Seconds in which the report is printed after the last row.
REPORT_SECONDS = 5
# A row that has less time left than this is not begun.
LEAST_SECONDS = 8


class Results:
    """The lines of `results.jsonl`, written as they come."""

    def __init__(self, path: Path):
        self.path = path
        self.lines: list[dict] = []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("", encoding="utf-8")

    def add(self, line: dict) -> None:
        self.lines.append(line)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
            file.flush()
            os.fsync(file.fileno())


def wheel_in(given: Path) -> Path:
    """The wheel that `given` is, or the newest one in the folder that it is."""
    if given.suffix == ".whl" and given.is_file():
        return given
    found = sorted(given.glob("cnnrs-*.whl"), key=lambda path: path.stat().st_mtime)
    if not found:
        raise FileNotFoundError(f"--wheel: expected a folder with cnnrs-*.whl, received {str(given)!r}")
    return found[-1]


def environment(folder: Path | None) -> dict[str, str]:
    """The workers' environment: cnnrs from `folder`, on the GPU."""
    clean = dict(os.environ)
    if folder is not None:
        paths = [str(folder), *filter(None, [clean.get("PYTHONPATH")])]
        clean["PYTHONPATH"] = os.pathsep.join(paths)
    return {**clean, "CNNRS_DEVICE": "gpu", **gpu_machine.driver_variables()}


def lines_of(process: subprocess.Popen, seconds: float) -> Iterator[dict]:
    """What a worker prints, until it ends or `seconds` have passed; then it is ended."""
    # Only this worker is ended, and what it started itself: it leads a session of its own.
    timer = threading.Timer(seconds, gpu_machine.end, [process])
    timer.start()
    assert process.stdout is not None
    try:
        for text in process.stdout:
            # A line without an end is of a worker that was ended while it wrote.
            if text.startswith("{") and text.endswith("\n"):
                yield json.loads(text)
        process.wait()
    finally:
        timer.cancel()
        gpu_machine.end(process)
        process.stdout.close()


def measure(
    row: gpu_rows.Row, engine: str, options: argparse.Namespace, env: dict[str, str], seconds: float
) -> Iterator[dict]:
    """The results of one row and engine, and what went wrong if something did."""
    command = [options.python, str(HERE / WORKERS[engine]), "--row", row.key]
    command += ["--variants", ",".join(row.variants[engine]), "--seconds", str(options.seconds)]
    command += ["--tiny"] if options.tiny else []
    begin = time.perf_counter()
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env, start_new_session=True
        )
        yield from lines_of(process, seconds)
        errors.seek(0)
        said = errors.read().strip()[-800:]
    if process.returncode != 0:
        late = time.perf_counter() - begin >= seconds
        why = f"ended after {seconds:.0f} s" if late else said or f"exit status {process.returncode}"
        yield {"engine": engine, "row": row.key, "error": why}


def chosen(options: argparse.Namespace) -> list[tuple[gpu_rows.Row, str]]:
    """Rows and engines in the order in which they run."""
    wanted = [key for key in options.only.split(",") if key]
    for key in wanted:
        gpu_rows.row(key)
    rows = [row for row in gpu_rows.ROWS if not wanted or row.key in wanted]
    return [(row, engine) for row in rows for engine in row.variants if engine in options.engines]


def measure_all(options: argparse.Namespace, env: dict[str, str], machine: dict, results: Results) -> None:
    """Measures the rows that `options` name, one after the other, as long as there is time."""
    deadline = options.begun + 60 * options.minutes - REPORT_SECONDS
    for row, engine in chosen(options):
        left = deadline - time.monotonic()
        why_not = gpu_machine.why_not(machine, row, engine, options.tiny)
        if why_not is None and left < LEAST_SECONDS:
            why_not = "no time left"
        if why_not is not None:
            results.add({"skipped": f"{row.key} of {engine}: {why_not}"})
            continue
        # Drivers that compute on the processor take long to compile.
        seconds = left if options.tiny else min(row.seconds, left)
        for line in measure(row, engine, options, env, seconds):
            results.add(line)
            print(gpu_report.progress(line), flush=True)


def run_all(options: argparse.Namespace, folder: Path | None) -> int:
    """Measures everything that the time allows, then prints the report, also when it is stopped before."""
    env = environment(folder)
    results = Results(options.out / "results.jsonl")
    machine = gpu_machine.look(options.python, env)
    results.add({"machine": machine, "date": time.strftime("%Y-%m-%d"), "tiny": options.tiny})
    print(gpu_machine.text(machine), flush=True)
    stopped = 0
    try:
        measure_all(options, env, machine, results)
    except KeyboardInterrupt:
        stopped = 130
    report = "\n".join(gpu_report.lines(results.lines)) + "\n"
    (options.out / "report.md").write_text(report, encoding="utf-8")
    print("\n" + report, flush=True)
    if options.save:
        name = gpu_report.slug(machine["adapter"] or "no adapter")
        target = HERE.parent / "results" / "gpu" / f"{name}.jsonl"
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(results.path, target)
        print(f"saved {target}")
    failed = [line for line in results.lines if "error" in line]
    return stopped or int(bool(failed) or not gpu_report.measured(results.lines))


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--wheel", type=Path, help="wheel, or folder with one; by default what is installed")
    parser.add_argument("--python", default=sys.executable, help="interpreter with numpy and perhaps PyTorch")
    parser.add_argument("--minutes", type=float, default=8, help="after which nothing is measured any more")
    parser.add_argument("--out", type=Path, default=Path("build/peers-gpu"), help="folder of the results")
    parser.add_argument("--seconds", type=float, default=0.5, help="of samples for each thing measured")
    parser.add_argument("--only", default="", help="keys of rows, with commas between")
    parser.add_argument("--engines", default="cnnrs,PyTorch", help="with a comma between")
    parser.add_argument("--tiny", action="store_true", help="small shapes: shows that everything runs")
    parser.add_argument("--save", action="store_true", help="keep the results in benches/results/gpu")
    parser.add_argument("--count", action="store_true", help="count dispatches, bytes, FLOPs; nothing runs")
    parser.add_argument("--report", type=Path, help="print the report of this file; nothing runs")
    return parser


def main() -> int:
    options = parser().parse_args()
    options.begun = time.monotonic()
    # Whoever lends the machine ends commands so.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if options.report is not None:
        lines = [json.loads(text) for text in options.report.read_text(encoding="utf-8").splitlines()]
        print("\n".join(gpu_report.lines(lines)))
        return 0
    if options.save and options.tiny:
        raise SystemExit("--save: expected figures of whole shapes, received --tiny")
    options.engines = options.engines.split(",")
    try:
        chosen(options)
    except ValueError as error:
        raise SystemExit(f"--only: {error}") from error
    unknown = set(options.engines) - set(WORKERS)
    if unknown:
        raise SystemExit(
            f"--engines: expected of {', '.join(WORKERS)}, received {', '.join(sorted(unknown))}"
        )
    with tempfile.TemporaryDirectory() as temporary:
        folder = None
        if options.wheel is not None:
            folder = Path(temporary)
            with zipfile.ZipFile(wheel_in(options.wheel)) as wheel:
                wheel.extractall(folder)
        if options.count:
            command = [options.python, str(HERE / "gpu_count.py"), "--out", str(options.out)]
            command += ["--tiny"] if options.tiny else []
            return subprocess.run(command, env=environment(folder)).returncode
        return run_all(options, folder)


if __name__ == "__main__":
    raise SystemExit(main())
