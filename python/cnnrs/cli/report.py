"""`cnnrs report`: a run as one page."""

from __future__ import annotations

import argparse
import json
from typing import Any

from cnnrs.cli.options import add_command, add_json

__all__ = ["add"]


def add(commands: Any) -> None:
    """Describes the command."""
    report = add_command(
        commands, "report", _report, "write a run as one page",
        "Write the report of a run: one HTML file that opens without network, with curves, classes, the\n"
        "worst mistakes and their pictures, what the network looks at, and where the run comes from.\n"
        "`cnnrs train` writes it at the end, and serves it while it trains with --live.",
        "cnnrs report run/\ncnnrs report run/ --output pets.html --title Pets\n"
        "cnnrs train photos/ --out run/ --live",
    )  # fmt: skip
    report.add_argument("folder", metavar="RUN", help="the folder of a run, also of one that goes on")
    report.add_argument("--output", metavar="FILE", help="the file (report.html in the folder)")
    report.add_argument("--title", help="of the page (the folder's name)")
    report.add_argument("--no-explain", action="store_true", help="do not run the model: faster")
    add_json(report, "the path of the file and its size")


def _report(options: argparse.Namespace) -> int:
    from cnnrs import reporting
    from cnnrs.runs import RunFolder

    folder = RunFolder(options.folder).require_results()
    path = reporting.write(folder.path, options.output, title=options.title, explain=not options.no_explain)
    size = path.stat().st_size
    print(
        json.dumps({"path": str(path), "bytes": size}) if options.json else f"saved {path} ({size:,} bytes)"
    )
    return 0
