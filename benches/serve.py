"""Load on `cnnrs serve`: images a second and latency, with and without batches, from more and more clients.

    python benches/serve.py [--model resnet18] [--seconds 4] [--clients 1,4,16,32]

The server is a process of its own on this machine; the clients are threads of this one, and share its
processors with it: figures are a lower bound. Each client keeps its connection and asks again at once.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import cnnrs
from cnnrs import applications, layers


def made(name: str, size: int) -> cnnrs.Model:
    """A network for images from 0 to 255."""
    inputs = layers.Input((size, size, 3))
    x = layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    if name == "resnet18":
        stem = "cifar" if size <= 64 else "imagenet"
        return applications.ResNet18(stem, input_tensor=x, classes=10)
    if name == "mobilenet_v2":
        return applications.MobileNetV2(weights=None, input_tensor=x, classes=10)
    for layer in applications.LeNet5((size, size, 3), 10).layers:
        x = layer(x)
    return cnnrs.Model(inputs, x)


def picture(size: int) -> bytes:
    """A JPEG file that is twice as large as what the network takes."""
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (8, 8, 3)).repeat(size // 4, 0).repeat(size // 4, 1)
    file = io.BytesIO()
    cnnrs.utils.save_img(file, pixels, file_format="jpeg", scale=False)
    return file.getvalue()


def load(port: int, body: bytes, clients: int, seconds: float) -> tuple[float, list[float], int]:
    """Images a second, seconds of each answer, and answers that were none."""
    times: list[float] = []
    failed = 0
    lock = threading.Lock()
    end = time.perf_counter() + seconds

    def ask() -> None:
        nonlocal failed
        own, bad = [], 0
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        while time.perf_counter() < end:
            start = time.perf_counter()
            connection.request("POST", "/predict", body, {"Content-Type": "image/jpeg"})
            response = connection.getresponse()
            response.read()
            bad += response.status != 200
            own.append(time.perf_counter() - start)
        connection.close()
        with lock:
            times.extend(own)
            failed += bad

    start = time.perf_counter()
    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(times) / (time.perf_counter() - start), sorted(times), failed


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", choices=["lenet5", "mobilenet_v2", "resnet18"], default="resnet18")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--clients", default="1,4,16,32")
    options = parser.parse_args()
    body = picture(options.size)
    print(f"{options.model}, {options.size}x{options.size}, JPEG files of {len(body):,} bytes")
    print("batches  clients  images/s   p50 ms   p95 ms   p99 ms  failed")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        made(options.model, options.size).save(path)
        for most in (1, 32):
            command = [sys.executable, "-m", "cnnrs", "serve", str(path), "--port", "0", "--json"]
            command += ["--max-batch", str(most), "--queue", "1024"]
            server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
            try:
                port = int(json.loads(server.stdout.readline())["address"].rsplit(":", 1)[1])
                load(port, body, 2, 1.0)
                for clients in map(int, options.clients.split(",")):
                    rate, times, failed = load(port, body, clients, options.seconds)
                    p50, p95, p99 = (1e3 * times[int(part * (len(times) - 1))] for part in (0.5, 0.95, 0.99))
                    kind = "none" if most == 1 else f"to {most}"
                    print(
                        f"{kind:7}  {clients:7}  {rate:8.1f}  {p50:7.1f}  {p95:7.1f}  {p99:7.1f}  {failed:6}",
                        flush=True,
                    )
            finally:
                server.terminate()
                server.wait(60)


if __name__ == "__main__":
    main()
