"""What commands say about a run."""

from __future__ import annotations

import json
import shlex
import sys
from typing import Any

__all__ = ["as_json", "stopped", "told"]


def told(result: Any) -> str:
    """A run's result in words."""
    metrics, report = result.metrics, result.folder / "report.html"
    best = f" (epoch {result.best_epoch})" if result.best_epoch else ""
    lines = [
        f"{result.epochs} epochs in {result.seconds:.1f} s, {result.parameters:,} parameters, "
        f"seed {result.seed}",
        f"{metrics['of']} accuracy {metrics['accuracy']:.4f}, loss {metrics['loss']:.4f} "
        f"({metrics['images']:,} images){best}",
        f"saved {result.folder}" + (f", report {report}" if report.exists() else ""),
        f"next: cnnrs predict {shlex.quote(str(result.folder))} PICTURE",
    ]
    return "\n".join(lines)


def as_json(result: Any) -> str:
    """A run's result as JSON."""
    return json.dumps(
        {
            "out": str(result.folder),
            "metrics": result.metrics,
            "epochs": result.epochs,
            "best_epoch": result.best_epoch,
            "seconds": round(result.seconds, 3),
            "parameters": result.parameters,
            "seed": result.seed,
        },
        ensure_ascii=False,
    )


def stopped(out: Any, error: BaseException) -> None:
    """Says what is saved of a run that was interrupted, or that failed, and how it goes on.

    Args:
        out: The folder of the run.
        error: What ended it.
    """
    from cnnrs.runs import RunFolder

    folder = RunFolder(out)
    ended = folder.is_complete and not folder.is_resumable
    if not isinstance(error, KeyboardInterrupt) and (
        isinstance(error, FileExistsError) or not (folder.is_resumable or ended)
    ):
        return
    if ended:
        if folder.report.is_file():
            return
        text = f"saved, but for the report; write it with:\n  cnnrs report {shlex.quote(str(folder.path))}"
    elif not folder.is_run:
        text = "stopped before training began; nothing is saved"
    else:
        what = "saved" if folder.is_resumable else "stopped in the first epoch"
        text = f"{what}; resume with:\n  cnnrs resume {shlex.quote(str(folder.path))}"
    print(text, file=sys.stderr, flush=True)
