"""`cnnrs doctor`: what cnnrs sees of this machine."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from typing import Any

from cnnrs.cli.options import add_command, add_json, version

__all__ = ["add"]

# Libraries that extras bring, by what they serve.
_OPTIONAL = {
    "pillow": "images",
    "matplotlib": "plots",
    "optuna": "cnnrs search",
    "uvicorn": "cnnrs serve",
    "starlette": "cnnrs serve",
}


def add(commands: Any) -> None:
    """Describes the command."""
    doctor = add_command(
        commands, "doctor", _doctor, "show what cnnrs sees of this machine",
        "Show versions, the processor, GPUs, settings, and which optional libraries are there.",
        "cnnrs doctor\ncnnrs doctor --json",
    )  # fmt: skip
    add_json(doctor, "all of it")


def _doctor(options: argparse.Namespace) -> int:
    """Versions, processor features, tier, threads, memory's bound, and where each choice came from."""
    from cnnrs import _core, config
    from cnnrs.base.devices import devices

    memory = config.memory_info()
    rows = {
        "cnnrs": version("cnnrs"),
        "Python": f"{platform.python_version()} ({sys.executable})",
        "numpy": version("numpy"),
        "system": f"{platform.system()} {platform.release()}, {platform.machine()}",
        **{key.replace("_", " "): _text(value) for key, value in _core.cpu_info().items()},
        "packed filters": f"{memory['packed']:,} bytes, at most {memory['packed_limit']:,}: those used last",
    }
    gpus = [device for device in devices() if device.name.startswith("gpu")]
    for device in gpus:
        rows[device.name] = f"{device.description} ({device.kind}; {device.driver})"
        for what, text in _core.device_details(device.name):
            rows[f"{device.name} {what}"] = text
    if not gpus:
        rows["gpu"] = _why_no_gpu()
    rows["device"] = config.get_device()
    for name, value in os.environ.items():
        if name.startswith("CNNRS_"):
            rows[name] = value
    if options.json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return 0
    width = max(map(len, rows))
    for name, value in rows.items():
        print(f"{name:{width}}  {value}")
    return 0


def _why_no_gpu() -> str:
    """What keeps this process from a GPU, and what to install."""
    from cnnrs.base.devices import device

    try:
        with device("gpu"):
            return "none"
    except ValueError as error:
        return str(error)


def _text(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return " ".join(map(str, value)) or "none"
    return str(value)
