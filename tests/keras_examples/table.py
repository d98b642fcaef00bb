"""The table of what runs, for docs/keras.md."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["table", "write"]

PAGE = Path(__file__).parents[2] / "docs" / "keras.md"
BEGIN, END = "<!-- keras-examples: begin -->", "<!-- keras-examples: end -->"


def table(records: dict[str, Any]) -> str:
    """The counts, and one row for each script that does not run.

    Names that Keras and TensorFlow have no more are in `gone`, if they were asked.
    """
    checked = [record for record in records.values() if "names" in record]
    fine = [record for record in checked if not record["missing"]]
    lacking = [record for record in checked if set(record["missing"]) - set(record.get("gone", []))]
    runs = [record for record in checked if "cnnrs" in record]
    ran = [record for record in runs if record["cnnrs"]["end"] == "ran"]
    neither = [
        r for r in runs if r["cnnrs"]["end"] != "ran" and r.get("keras", {"end": "ran"})["end"] != "ran"
    ]
    counts = f"Of {len(checked)} scripts {len(fine)} find all their names"
    if any("gone" in record for record in checked):
        counts += f" ({len(checked) - len(lacking)} find all that Keras and TensorFlow have today)"
    counts += f", and {len(ran)} of {len(runs)} run to their end"
    if any("keras" in record for record in runs):
        counts += f"; {len(neither)} of the others do not with Keras 3.15 on TensorFlow either"
    lines = [
        f"{counts}.",
        "",
        "| script | names | missing | first line that fails | with Keras |",
        "|---|---|---|---|---|",
    ]
    for name, record in records.items():
        # Of scripts that were not run there is nothing to say but what they lack.
        if "names" not in record or (
            not record["missing"] and record.get("cnnrs", {"end": "ran"})["end"] == "ran"
        ):
            continue
        gone = set(record.get("gone", []))
        missing = ", ".join(
            f"`{m.removeprefix('tensorflow.')}`{' (Keras has it no more)' if m in gone else ''}"
            for m in record["missing"][:3]
        )
        missing += f" and {len(record['missing']) - 3} more" if len(record["missing"]) > 3 else ""
        row = [name.removeprefix("examples/"), str(record["names"]), missing, _end(record.get("cnnrs"))]
        lines.append("| " + " | ".join([*row, _end(record.get("keras"))]) + " |")
    return "\n".join(lines)


def _end(found: dict[str, Any] | None) -> str:
    if found is None:
        return ""
    if found["end"] == "ran":
        return "runs"
    text = found["text"].replace("|", "\\|").replace("<", "\\<")
    text = text if len(text) <= 120 else f"{text[:117]}..."
    return f"{found['line']}: {text}" if found.get("line") else text


def write(records: dict[str, Any]) -> None:
    """Puts the table between its marks."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n{table(records)}\n{END}{after}")
