"""The tables of what `gpu.py` measured: times, ratios, percent of the device's peak, idle time."""

from __future__ import annotations

import re

import gpu_rows

# Makers' figures: f32 multiply-adds counted as 2 (TFLOP/s, no tensor cores) and memory (GB/s).
ON_PAPER = {
    "H200": (67.0, 4800.0),
    "H100": (67.0, 3350.0),
    "A100": (19.5, 2039.0),
    "L40S": (91.6, 864.0),
    "L4": (30.3, 300.0),
    "T4": (8.1, 320.0),
    "RTX 4090": (82.6, 1008.0),
    "RTX 3090": (35.6, 936.0),
}
# Which of PyTorch's variants cnnrs's is compared with; the others stand beside it.
AGAINST = {"float32": ("float32", "graph", "tf32", "amp"), "mixed_float16": ("amp",), "float16": ("float16",)}
SLOWEST_STEPS = 8


def slug(text: str) -> str:
    """`text` as a file's name."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def progress(line: dict) -> str:
    """A result as one line."""
    what = f"{line['engine']:8}{line['row']:16}{line.get('case', ''):42}{line.get('variant', ''):14}"
    if "error" in line:
        return f"{what} ERROR {line['error'].splitlines()[-1]}"
    if "steps" in line:
        return f"{what}{line['steps_ms']:11.3f} ms in {line['dispatches']} dispatches, one by one"
    if "ms" not in line:
        return f"{what}{line.get('fit_ms', line.get('predict_ms')):11.3f} ms with the host's arrays"
    rate = f"{line['flops'] / line['ms'] * 1e-9:9.2f} TFLOP/s" if line.get("flops") else ""
    images = f"{line['images'] / line['ms'] * 1e3:11.0f} images/s" if line.get("images") else ""
    return f"{what}{line['ms']:11.3f} ms{rate}{images}"


def measured(results: list[dict]) -> list[dict]:
    """Results with a time, one for each thing measured: what came later about it is added."""
    found: dict[tuple, dict] = {}
    for line in results:
        if "case" in line and "error" not in line:
            key = (line["engine"], line["row"], line["case"], line["variant"])
            found[key] = {**found.get(key, {}), **line}
    return [line for line in found.values() if "ms" in line]


def peaks(results: list[dict], machine: dict) -> tuple[float, float, str]:
    """TFLOP/s and GB/s that count as 100%, and where they come from: measured, else on paper, else 0."""
    rows = [line for line in measured(results) if line["row"] == "peaks"]
    flops = max((line["flops"] / line["ms"] * 1e-9 for line in rows if "flops" in line), default=0.0)
    copied = max((line["bytes"] / line["ms"] * 1e-6 for line in rows if "bytes" in line), default=0.0)
    names = f"{machine.get('adapter', '')} {machine.get('torch_device', '')} {machine.get('nvidia_smi', '')}"
    paper = next((value for name, value in ON_PAPER.items() if re.search(rf"\b{name}\b", names)), (0.0, 0.0))
    said = "as the maker says" if any(paper) else "not known"
    sources = [f"multiply-adds {'measured' if flops else said}", f"copy {'measured' if copied else said}"]
    return flops or paper[0], copied or paper[1], ", ".join(sources)


def percent(part: float, whole: float) -> str:
    return f"{100 * part / whole:.0f}%" if whole else "?"


def ms_text(ms: float) -> str:
    return f"{ms:.3f}" if ms < 10 else f"{ms:.1f}"


def table(row: gpu_rows.Row, results: list[dict], peak: float) -> list[str]:
    """A line for each case and variant of cnnrs: its time and rate, and PyTorch's times with the ratios."""
    mine = [line for line in results if line["row"] == row.key and line["engine"] == gpu_rows.CNNRS]
    # Rows of one title, such as those of mixed precision, are compared with the same peers.
    keys = {other.key for other in gpu_rows.ROWS if (other.task, other.net) == (row.task, row.net)}
    peers = [line for line in results if line["row"] in keys and line["engine"] == gpu_rows.TORCH]
    out = []
    for line in mine:
        flops = line.get("flops", 0) / line["ms"] * 1e-9
        rate = f"{flops:.2f} | {percent(flops, peak)}" if flops else " | "
        images = f"{line['images'] / line['ms'] * 1e3:.0f}" if line.get("images") else ""
        wanted = AGAINST[line["variant"].partition(" ")[0]]
        cells = []
        for peer in (peer for peer in peers if peer["case"] == line["case"] and peer["variant"] in wanted):
            cells.append(f"{peer['variant']} {ms_text(peer['ms'])} (**{peer['ms'] / line['ms']:.2f}**)")
        told = f"{row.title}, {line['case']}, {line['variant']}"
        if row.task == "chain":
            told += f" ({line['ms'] / line['dispatches'] * 1e3:.1f} µs each)"
        out.append(f"| {told} | {ms_text(line['ms'])} | {images} | {rate} | {'; '.join(cells)} |")
    alone = [peer for peer in peers if peer["row"] == row.key and not mine]
    out += [
        f"| {row.title}, {peer['case']} |  |  |  |  | {peer['variant']} {ms_text(peer['ms'])} |"
        for peer in alone
    ]
    return out


def convolutions(row: gpu_rows.Row, results: list[dict]) -> list[str]:
    """All convolutions of a network together, each as often as it occurs there."""
    out = []
    for which in gpu_rows.PASSES:
        sums: dict[tuple[str, str], dict[str, float]] = {}
        for line in results:
            if line["row"] == row.key and line["case"].endswith(f", {which}"):
                times = sums.setdefault((line["engine"], line["variant"]), {})
                times[line["case"]] = line["ms"] * line["count"]
        if len({frozenset(times) for times in sums.values()}) > 1:
            out.append(f"{row.title}, {which}: not all shapes were measured by all, no sums")
            continue
        total = {key: sum(times.values()) for key, times in sums.items()}
        own = total.get((gpu_rows.CNNRS, row.variants[gpu_rows.CNNRS][0]))
        for (engine, variant), ms in total.items():
            ratio = f", {ms / own:.2f} times cnnrs's time" if own and engine != gpu_rows.CNNRS else ""
            out.append(f"{row.title}, {which}, all layers: {engine} {variant} {ms_text(ms)} ms{ratio}")
    return out


def idle(results: list[dict]) -> list[str]:
    """How long the device computes nothing during a step, and which steps take longest."""
    out = []
    for line in (line for line in results if "steps" in line):
        title = f"{gpu_rows.row(line['row']).title}, {line['variant']}"
        from_host = line.get("fit_ms", line.get("predict_ms"))
        host = f" and {ms_text(from_host)} ms with the host's arrays" if from_host else ""
        out += [
            "",
            f"{title}: {line['dispatches']} dispatches, {ms_text(line['ms'])} ms{host}. "
            f"Idle {100 * line['idle_least']:.0f} to {100 * line['idle_most']:.0f}%.",
            "",
            "| ms | GFLOP/s | GB/s | kernel | workgroups | |",
            "|---|---|---|---|---|---|",
        ]
        for step in line["steps"][:SLOWEST_STEPS]:
            groups = "+".join(map(str, step["groups"]))
            rates = f"{step['gflops']:.0f} | {step['gbytes']:.0f}"
            out.append(f"| {step['ms']:.3f} | {rates} | {step['kernel']} | {groups} | {step['text']} |")
    return out


def winograd(results: list[dict]) -> list[str]:
    """Which of PyTorch's f32 convolutions run as Winograd, told by their kernels' names."""
    lines = [
        line for line in results if line["engine"] == gpu_rows.TORCH and "kernels" in line and "count" in line
    ]
    named = [line for line in lines if line["kernels"]]
    if not named:
        return []
    found = [line["case"] for line in named if any("winograd" in name.lower() for name in line["kernels"])]
    return ["", f"cuDNN, TF32 off: {len(found)} of {len(named)} convolutions by Winograd. {'; '.join(found)}"]


def lines(results: list[dict]) -> list[str]:
    """The report as Markdown."""
    first = next((line for line in results if "machine" in line), {"machine": {}, "date": "?"})
    machine = first["machine"]
    done = measured(results)
    peak, copied, sources = peaks(results, machine)
    device = machine.get("adapter") or machine.get("torch_device") or "no device"
    out = [f"# {device}, {first['date']}", ""]
    if first.get("tiny"):
        out += ["Tiny shapes: these figures show that everything runs, and nothing else.", ""]
    out.append(f"100% is {peak:.1f} TFLOP/s and {copied:.0f} GB/s ({sources}).")
    for line in (line for line in done if line["row"] == "peaks" and "bytes" in line):
        out.append(f"{line['engine']} copies {line['bytes'] / line['ms'] * 1e-6:.0f} GB/s.")
    out += ["", "Bold: PyTorch's time over cnnrs's; above 1, cnnrs is faster. Medians.", ""]
    out += ["| | cnnrs, ms | images/s | TFLOP/s | of the peak | PyTorch, ms |", "|---|---|---|---|---|---|"]
    for row in gpu_rows.ROWS:
        if row.task != "peaks":
            out += table(row, done, peak)
    for row in (row for row in gpu_rows.ROWS if row.task == "conv"):
        out += ["", *convolutions(row, done)]
    out += winograd(done) + idle(done)
    errors = [progress(line) for line in results if "error" in line]
    skipped = [line["skipped"] for line in results if "skipped" in line]
    if errors or skipped:
        out += ["", "Not measured:", "", *(f"- {text}" for text in [*errors, *skipped])]
    return out
