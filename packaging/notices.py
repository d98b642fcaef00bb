"""Writes THIRD_PARTY_NOTICES: the licences of the crates that are linked into the wheel, each text once.

`python packaging/notices.py` writes the file anew after a change of Cargo.lock; `--check` says whether it is
the one that Cargo.lock asks for, and exits with 1 if not. Both read the sources that cargo has fetched.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NOTICES = ROOT / "THIRD_PARTY_NOTICES"
# Files with the terms under which a crate is given away.
TERMS = re.compile(r"(licen[cs]e|copying|copyright|notice|unlicense)", re.IGNORECASE)

# No package of Cargo.lock, but linked: what the toolchain brings.
STANDARD_LIBRARY = """\
cnnrs is linked with the Rust standard library and the crates inside of it (addr2line, gimli, hashbrown,
miniz_oxide, rustc-demangle and others): copyright of the Rust Project contributors, under MIT OR Apache-2.0.
COPYRIGHT-library.html of the Rust distribution names all parts and terms. Both licences stand below."""


def cargo(*arguments: str) -> str:
    return subprocess.run(["cargo", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout


def linked() -> list[dict[str, str]]:
    """The crates whose code is in the extension module on some system, not those that only build it.

    Raises:
        LookupError: Cargo's metadata lacks one of them.
    """
    # Both commands leave out what only features bring that are not asked for.
    extension = ("--locked", "--features", "python")
    tree = cargo(
        "tree", *extension, "--edges", "normal,no-proc-macro", "--target", "all", "--prefix", "none",
        "--format", "{p}",
    )  # fmt: skip
    lines = [line.split() for line in tree.splitlines() if line and not line.startswith("cnnrs ")]
    names = {(line[0], line[1].removeprefix("v")) for line in lines}
    packages = json.loads(cargo("metadata", *extension, "--format-version", "1"))["packages"]
    found = {(p["name"], p["version"]): p for p in packages}
    if missing := sorted(names - found.keys()):
        crates = ", ".join(" ".join(crate) for crate in missing)
        raise LookupError(f"cargo metadata lacks crates that cargo tree has: {crates}")
    return [found[crate] for crate in sorted(names)]


def notices() -> str:
    texts: dict[str, list[str]] = {}
    lines = [STANDARD_LIBRARY, "", "cnnrs contains the following crates. Their licences follow.", ""]
    for crate in linked():
        label = f"{crate['name']} {crate['version']}"
        lines.append(f"{label}: {crate['license']}")
        folder = Path(crate["manifest_path"]).parent
        files = [f for f in sorted(folder.iterdir()) if f.is_file() and TERMS.search(f.name)]
        for file in files:
            text = "\n".join(
                line.rstrip() for line in file.read_text("utf-8", "replace").strip().splitlines()
            )
            texts.setdefault(text, []).append(label)
        if not files:
            authors = ", ".join(crate["authors"]) or "its authors"
            texts.setdefault(f"Copyright of {authors}, under {crate['license']}.", []).append(label)
    for text, labels in texts.items():
        lines += ["", "-" * 80, ", ".join(labels), "-" * 80, "", text]
    return "\n".join(lines) + "\n"


def main() -> int:
    text = notices()
    if "--check" in sys.argv:
        if not NOTICES.exists() or NOTICES.read_text("utf-8") != text:
            print(f"{NOTICES.name} is not that of Cargo.lock: run python packaging/notices.py")
            return 1
        return 0
    NOTICES.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
