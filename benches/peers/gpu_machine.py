"""What a machine has of what is measured: the GPU, its drivers, the loader of Vulkan, cnnrs, PyTorch."""

from __future__ import annotations

import contextlib
import ctypes.util
import json
import os
import platform
import signal
import subprocess
from pathlib import Path

import gpu_rows

# Where Vulkan's loader looks for drivers.
SEARCHED = ("/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d")
# Where containers mount NVIDIA's driver, and the loader does not look.
MOUNTED = ("/usr/local/nvidia/share/vulkan/icd.d",)
ASKED = """
import json
found = {}
try:
    import cnnrs
    found["cnnrs"] = cnnrs.__version__
    devices = [d for d in cnnrs.devices() if d.name.startswith("gpu")]
    found["adapter"] = devices[0].description if devices else ""
    found["driver"] = devices[0].driver if devices else ""
    found["mixed"] = hasattr(cnnrs, "mixed_precision")
except Exception as error:
    found["cnnrs_error"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""
ASKED_OF_TORCH = """
import json
found = {}
try:
    import torch
    found["torch"] = torch.__version__
    found["torch_cuda"] = torch.cuda.is_available()
    if found["torch_cuda"]:
        found["torch_device"] = torch.cuda.get_device_name()
        found["cudnn"] = torch.backends.cudnn.version()
except Exception as error:
    found["torch_error"] = f"{type(error).__name__}: {error}"
print(json.dumps(found))
"""


def end(process: subprocess.Popen) -> None:
    """Ends a process that leads a session of its own, with all that it started there."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def driver_files(folders: tuple[str, ...]) -> list[str]:
    """Descriptions of Vulkan drivers in some folders."""
    return [str(path) for folder in folders for path in sorted(Path(folder).glob("*.json"))]


def driver_variables() -> dict[str, str]:
    """VK_DRIVER_FILES, where the driver lies in a folder in which the loader does not look."""
    mounted = driver_files(MOUNTED)
    seen = [path for path in driver_files(SEARCHED) if "nvidia" in path]
    if not mounted or seen or "VK_DRIVER_FILES" in os.environ or "VK_ICD_FILENAMES" in os.environ:
        return {}
    return {"VK_DRIVER_FILES": os.pathsep.join(mounted)}


def output(command: list[str], env: dict[str, str]) -> str:
    """What a command prints; why it prints nothing, if it does not run."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=env)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"{type(error).__name__}: {error}"
    return done.stdout.strip() or done.stderr.strip()[-600:]


def asked(python: str, program: str, env: dict[str, str]) -> dict:
    """What a program that prints JSON says."""
    said = output([python, "-c", program], env)
    try:
        return json.loads(said.splitlines()[-1])
    except (ValueError, IndexError):
        return {"error": said}


def look(python: str, env: dict[str, str]) -> dict:
    """What the machine has, for the results' first line."""
    query = "--query-gpu=name,driver_version,memory.total,clocks.max.sm,power.limit"
    found = {
        "system": platform.platform(),
        "cpus": os.cpu_count(),
        "nvidia_smi": output(["nvidia-smi", query, "--format=csv,noheader"], env),
        "vulkan_drivers": driver_files(SEARCHED + MOUNTED),
        "vulkan_variables": driver_variables(),
        "libvulkan": ctypes.util.find_library("vulkan"),
        "doctor": output([python, "-m", "cnnrs", "doctor"], env),
        **asked(python, ASKED, env),
    }
    found |= asked(python, ASKED_OF_TORCH, env)
    return {"adapter": "", "mixed": False, "torch_cuda": False, **found}


def why_not(machine: dict, row: gpu_rows.Row, engine: str, tiny: bool) -> str | None:
    """Why a row can't be measured here for an engine; None if it can."""
    if engine == gpu_rows.TORCH:
        if "torch" not in machine:
            return "PyTorch is not installed"
        return None if machine["torch_cuda"] or tiny else "PyTorch sees no CUDA device"
    if not machine["adapter"]:
        return "cnnrs finds no GPU"
    if "mixed_float16" in row.variants[engine] and not machine["mixed"]:
        return f"cnnrs {machine['cnnrs']} has no mixed_precision"
    return None


def text(machine: dict) -> str:
    """The machine in words, with what is missing and what to do about it."""
    lines = [f"nvidia-smi: {machine['nvidia_smi']}"]
    lines.append(f"Vulkan's loader: {machine['libvulkan'] or 'NONE: carry or install libvulkan1'}")
    lines.append(f"Vulkan's drivers: {', '.join(machine['vulkan_drivers']) or 'NONE'}")
    for name, value in machine["vulkan_variables"].items():
        lines.append(f"set for the workers: {name}={value}")
    lines.append(machine["doctor"])
    if machine["adapter"]:
        lines.append(f"cnnrs {machine['cnnrs']} on {machine['adapter']} ({machine['driver']})")
    else:
        lines.append("cnnrs finds no GPU: its rows are left out")
    if machine["torch_cuda"]:
        lines.append(f"PyTorch {machine['torch']} on {machine['torch_device']}, cuDNN {machine['cudnn']}")
    else:
        found = machine.get("torch") or machine.get("torch_error")
        lines.append(f"PyTorch {found}: no CUDA device, cnnrs is measured alone")
    return "\n".join(lines)
