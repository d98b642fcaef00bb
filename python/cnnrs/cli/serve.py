"""`cnnrs serve`: answers over HTTP with the classes of pictures."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from cnnrs.cli.options import add_command, add_device, add_json, on_device, port, positive, rate

__all__ = ["add"]

_DESCRIPTION = """Answer over HTTP with the classes of pictures; those of many requests are computed together.
The server listens on this machine alone unless --host says otherwise; it has no encryption and no password.
SIGTERM and Ctrl-C stop it when it has answered what has come. Needs: pip install "cnnrs[serve]".

  POST /predict      pictures as multipart/form-data, as the body itself, or in JSON
  GET  /docs         what it answers to, with a form to try it; /openapi.json is for programs
  GET  /healthz      whether it is up          GET /metrics   counters for Prometheus
  GET  /model        classes and preparation"""


def add(commands: Any) -> None:
    """Describes the command."""
    serve = add_command(
        commands, "serve", _serve, "answer over HTTP with the classes of pictures", _DESCRIPTION,
        "cnnrs serve run/\ncnnrs serve run/ --port 8080 --max-batch 16 --device gpu\n"
        "curl -F image=@picture.jpg http://127.0.0.1:8000/predict",
    )  # fmt: skip
    serve.add_argument("model", metavar="RUN|MODEL", help="the folder of a run, or the file of a model")
    serve.add_argument("--host", default="127.0.0.1", help="interface to listen on (127.0.0.1)")
    serve.add_argument("--port", type=port, default=8000, help="port to listen on; 0: a free one (8000)")
    serve.add_argument("--top", type=positive, default=5, metavar="N", help="classes of a picture (5)")
    serve.add_argument("--max-batch", type=positive, default=32, metavar="N", help="images at once (32)")
    serve.add_argument(
        "--max-wait", type=_milliseconds, default=2.0, metavar="MS",
        help="milliseconds that a picture waits for others (2)",
    )  # fmt: skip
    serve.add_argument("--queue", type=positive, default=256, metavar="N", help="images that may wait (256)")
    serve.add_argument("--max-mb", type=rate, default=10.0, metavar="MB", help="size of a request (10)")
    serve.add_argument("--max-images", type=positive, default=64, metavar="N", help="of a request (64)")
    serve.add_argument(
        "--read-timeout", type=rate, default=10.0, metavar="S", help="seconds for a request to come (10)"
    )
    serve.add_argument(
        "--timeout",
        type=rate,
        default=30.0,
        metavar="S",
        help="seconds for an answer, and for stopping (30)",
    )
    add_device(serve)
    serve.add_argument("--threads", type=positive, metavar="N", help="threads of the network")
    add_json(serve, "the address")


def _milliseconds(text: str) -> float:
    return 0.0 if text.strip() == "0" else rate(text)


def _serve(options: argparse.Namespace) -> int:
    from cnnrs import config
    from cnnrs.serving import Limits, serve

    if options.threads is not None:
        config.set_num_threads(options.threads)
    limits = Limits(
        max_bytes=max(1, int(options.max_mb * 1024 * 1024)), max_images=options.max_images,
        read_seconds=options.read_timeout, answer_seconds=options.timeout, stop_seconds=options.timeout,
        queue=options.queue, max_batch=options.max_batch, wait_seconds=options.max_wait / 1000,
    )  # fmt: skip

    def ready(address: str) -> None:
        if options.json:
            print(json.dumps({"address": address, "model": options.model}), flush=True)
        line = f"serving {options.model} on {address} ({address}/docs); Ctrl-C stops"
        print(line, file=sys.stderr, flush=True)

    with on_device(options):
        serve(options.model, options.host, options.port, limits, options.top, ready)
    print("stopped", file=sys.stderr)
    return 0
