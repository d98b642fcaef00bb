"""What campaigns share: models whose files tell whether they are whole, children, and the line at the end."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np

import cnnrs
from cnnrs import layers
from cnnrs.models import load_model


def constant_model(units: int) -> cnnrs.Sequential:
    """A compiled model with `units`² + `units` weights, and as many of its optimizer."""
    model = cnnrs.Sequential([cnnrs.Input((units,)), layers.Dense(units)])
    model.compile(cnnrs.optimizers.SGD(0.1, momentum=0.9), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def fill(model: cnnrs.Sequential, value: float) -> None:
    """Sets all weights, and the momentum of each, to one value."""
    for variable in (*model.weights, *model.optimizer.variables[-len(model.weights) :]):
        variable.assign(np.full(variable.shape, value, np.float32))


def whole(path: Path) -> float | None:
    """The value that all weights and momenta of a file have; None if they differ."""
    model = load_model(path)
    parts = (*model.weights, *model.optimizer.variables[-len(model.weights) :])
    values = {float(extreme) for part in parts for extreme in (part.numpy().min(), part.numpy().max())}
    return values.pop() if len(values) == 1 else None


def leftovers(folder: Path) -> list[str]:
    """Names of the temporary files in a folder."""
    return [name for name in os.listdir(folder) if name.startswith(".cnnrs-")]


def child(work: Callable[[], None], patience: int = 0) -> int:
    """Forks; the child ends with 0, with 1 after an exception, by SIGALRM after `patience` seconds."""
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        signal.alarm(patience)
        work()
        status = 0
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
    finally:
        os._exit(status)


def ended(pid: int) -> str | None:
    """How a child ended: None if with 0, else in words."""
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return (
        None if code == 0 else f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    )


def report(name: str, figures: dict[str, object], findings: list[str]) -> int:
    """Prints the findings and a line of figures; the exit status."""
    for finding in findings[:20]:
        print(f"{name}: FINDING: {finding}")
    numbers = ", ".join(f"{value} {key}" for key, value in figures.items())
    print(f"{name}: {numbers}, {len(findings)} findings", flush=True)
    return 1 if findings else 0
