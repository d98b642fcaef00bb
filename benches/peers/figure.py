"""Makes README's tables and chart of `benches/results`.

    make figures                            README.md, docs/peers.md and docs/peers.svg
    python benches/peers/figure.py --check  exit status 1 where the tables of either page are others

A table for each machine, those of the widest vectors first, lies between the two markers in README.md, and
the tables of further networks between those in docs/peers.md. The chart is that of the first machine; it
needs matplotlib, the check nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
BEGIN = "<!-- peers: made by `make figures` -->"
END = "<!-- /peers -->"
OWN = "cnnrs"


def machines(folder: Path) -> list[dict]:
    """The results of all machines, in the order of README."""
    results = [json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))]
    if not results:
        raise FileNotFoundError(f"no results in {folder}: run make peers PEERS_ARGS=--save")
    order = ["AVX-512", "AVX2", "AVX2 of both sides, asked for", "NEON"]
    return sorted(results, key=lambda r: (*order, r["instructions"]).index(r["instructions"]))


def compared(results: dict, group: str = "") -> list[dict]:
    """The rows of a group in which cnnrs and a peer were measured."""
    rows = [row for row in results["rows"] if row.get("group", "") == group]
    return [row for row in rows if OWN in row["engines"] and row["ratio"] is not None]


def groups(results: dict) -> list[str]:
    """The groups of rows that README does not show."""
    return list(dict.fromkeys(row["group"] for row in results["rows"] if row.get("group")))


def machine(results: dict) -> str:
    """Where results come from."""
    return f"{results['cpu']} with {results['instructions']}, {results['threads']} threads"


def fastest_peer(row: dict) -> tuple[str, dict]:
    """The peer that took the least time in a row."""
    peers = [(name, cell) for name, cell in row["engines"].items() if name != OWN]
    return min(peers, key=lambda peer: peer[1]["median_ms"])


def time_text(milliseconds: float) -> str:
    """Three digits are more than a shared machine deserves."""
    if milliseconds < 1:
        return f"{milliseconds * 1e3:.0f} µs"
    digits = 1 if milliseconds < 100 else 0
    return f"{milliseconds:.{digits}f} ms"


def lines(results: dict, rows: list[dict], what: str) -> list[str]:
    """A table: where it was measured, and a line per row."""
    dates = sorted({row["date"] for row in rows})
    # Variants of an engine share its version, and go by its shortest name.
    by_version: dict[str, str] = {}
    for row in rows:
        for name, cell in row["engines"].items():
            if name != OWN:
                by_version[cell["version"]] = min(by_version.get(cell["version"], name), name, key=len)
    versions = sorted(f"{name} {version}" for version, name in by_version.items())
    out = [
        f"{machine(results)}, {' and '.join(dates)}; {what}; medians.",
        "",
        "| | cnnrs | fastest peer | times as fast | peak memory |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        own = row["engines"][OWN]
        name, peer = fastest_peer(row)
        memory = f"{own['peak_mib']:.0f} MiB, peer {peer['peak_mib']:.0f} MiB"
        out.append(
            f"| {row['title']} | {time_text(own['median_ms'])} | {time_text(peer['median_ms'])} ({name}) "
            f"| **{row['ratio']:.2f}** | {memory} |"
        )
    return [*out, "", f"Peers: {', '.join(versions)}."]


def of_readme(results: list[dict]) -> list[str]:
    """The tables of README, a machine each."""
    text: list[str] = []
    for of_one in results:
        rows = compared(of_one)
        if rows:
            text += [*lines(of_one, rows, "LeNet-5: 300 steps, otherwise one step or one batch"), ""]
    return text[:-1]


def of_further_networks(results: list[dict]) -> list[str]:
    """The tables of docs/peers.md, one for each group and machine."""
    text: list[str] = []
    for of_one in results:
        for group in groups(of_one):
            rows = compared(of_one, group)
            ratios = [row["ratio"] for row in rows]
            if not rows:
                continue
            text += [f"### {group}: {of_one['instructions']}", ""]
            text += [*lines(of_one, rows, "steps or batches as the page says"), ""]
            mean = statistics.geometric_mean(ratios)
            text += [f"Geometric mean **{mean:.2f}**, least {min(ratios):.2f}, {len(rows)} rows.", ""]
    return text[:-1] or ["No run on a quiet machine is kept yet."]


def chart(results: dict, path: Path) -> None:
    """A bar per engine and row: its speed against the fastest peer's."""
    import matplotlib

    matplotlib.use("svg")
    # Equal results give an equal file.
    matplotlib.rcParams.update({"svg.hashsalt": OWN, "font.size": 9, "svg.fonttype": "none"})
    from matplotlib import pyplot

    rows = compared(results)
    colours = {OWN: "#c4501b"}
    others = ["#4878a8", "#7fa6c9", "#5a9367", "#8dbb98", "#8a8a8a", "#b5b5b5", "#a58bbd"]
    names = [name for row in rows for name in row["engines"] if name != OWN]
    for name in dict.fromkeys(names):
        colours[name] = others[(len(colours) - 1) % len(others)]
    bars = sum(len(row["engines"]) + 1 for row in rows)
    figure, axes = pyplot.subplots(figsize=(8, 0.19 * bars + 0.8), layout="constrained")
    place, ticks = 0.0, []
    for row in rows:
        best = fastest_peer(row)[1]["median_ms"]
        ticks.append((place + (len(row["engines"]) - 1) / 2, row["title"]))
        for name, cell in sorted(row["engines"].items(), key=lambda item: item[1]["median_ms"]):
            speed = best / cell["median_ms"]
            axes.barh(place, speed, 0.85, color=colours[name])
            axes.text(speed, place, f" {speed:.2f}  {name}", va="center", size=7)
            place += 1
        place += 1
    axes.axvline(1, color="#404040", linewidth=0.8)
    axes.set_yticks([tick for tick, _ in ticks], [title for _, title in ticks])
    axes.set_xlim(0, max(row["ratio"] for row in rows) * 1.12)
    axes.set_ylim(place - 1, -1)
    axes.set_xlabel(f"speed against the fastest peer = 1 ({machine(results)})")
    axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, metadata={"Date": None})


def with_lines(page: str, text: list[str]) -> str:
    """`page` with `text` between the markers."""
    before, found, rest = page.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not found or not closed:
        raise ValueError(f"the page has no section from {BEGIN!r} to {END!r}")
    return "\n".join([before + BEGIN, "", *text, "", END]) + after


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing, compare README")
    options = parser.parse_args()
    results = machines(ROOT / "benches/results")
    pages = {ROOT / "README.md": of_readme(results), ROOT / "docs/peers.md": of_further_networks(results)}
    other = []
    for page, text in pages.items():
        old = page.read_text()
        new = with_lines(old, text)
        if old != new:
            other.append(page.name)
            if not options.check:
                page.write_text(new)
    if options.check:
        if other:
            names = " and ".join(other)
            print(f"figures in {names} are not those of benches/results: run make figures", file=sys.stderr)
        return int(bool(other))
    # A machine may have rows of groups alone.
    chart(next(of_one for of_one in results if compared(of_one)), ROOT / "docs/peers.svg")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
