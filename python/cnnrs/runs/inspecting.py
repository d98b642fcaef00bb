"""Looks at a run before it trains: `cnnrs.sanity`, and what files of images tell."""

from __future__ import annotations

from typing import Any

import numpy as np

from cnnrs import sanity
from cnnrs.data import image_info
from cnnrs.runs.data import Folder
from cnnrs.runs.preparing import Prepared
from cnnrs.sanity.checking import check_counts, check_duplicates

__all__ = ["inspect"]

# So many samples, and headers of so many files, are looked at.
_SAMPLES, _FILES = 256, 500


def inspect(prepared: Prepared) -> sanity.Findings:
    """Findings about a run that can begin; nothing of it is changed.

    Args:
        prepared: The run.
    """
    training, validation = prepared.training, prepared.validation
    counts = np.bincount(training.labels, minlength=len(training.class_names))
    found = sanity.check(prepared.model, training, samples=_SAMPLES)
    findings = sanity.Findings(facts={
        "samples": len(training.indices),
        "validation": 0 if validation is None else len(validation.indices),
        "classes": {name: int(n) for name, n in zip(training.class_names, counts, strict=True)},
    })  # fmt: skip
    # Of counts and order all is known; a part would say less.
    check_counts(counts, training.class_names, findings)
    for finding in found:
        if finding.code not in ("one-class", "no-samples", "imbalance", "sorted"):
            findings.add(finding.code, finding.message, finding.advice, finding.is_error)
    if validation is not None:
        digests = prepared.digests
        others = digests if validation.images is training.images else validation.images.digests()
        check_duplicates(
            {digests[i] for i in training.indices}, {others[i] for i in validation.indices}, findings
        )
    if isinstance(training.images, Folder):
        _sizes(training.images, findings)
    return findings


def _sizes(images: Folder, findings: Any) -> None:
    """Images that are distorted, or much smaller than what is made of them."""
    assert images.paths is not None and images.preprocessing.image_size is not None
    height, width = images.preprocessing.image_size
    chosen = np.unique(np.linspace(0, len(images) - 1, min(len(images), _FILES)).astype(int))
    sizes = []
    for index in chosen:
        try:
            info = image_info(images.paths[index])
            sizes.append((info.height, info.width))
        except (OSError, ValueError):
            # Whoever reads it says so.
            continue
    if not sizes:
        return
    extents = np.array(sizes, np.float64)
    findings.facts["image_sizes"] = {
        "smallest": [int(n) for n in extents.min(0)],
        "median": [int(n) for n in np.median(extents, 0)],
        "largest": [int(n) for n in extents.max(0)],
    }
    ratios = (extents[:, 0] / extents[:, 1]) / (height / width)
    distorted = float(np.mean(np.maximum(ratios, 1 / ratios) > 1.5))
    if distorted > 0.2 and images.preprocessing.fit == "stretch":
        findings.add(
            "distorted", f"{distorted:.0%} of the images are stretched by more than half",
            "--fit crop keeps shapes and cuts edges off, --fit pad keeps all of the image",
        )  # fmt: skip
    median = np.median(extents, 0)
    enough = max(32, int(2 ** np.ceil(np.log2(median.max()))))
    if 2 * median[0] <= height and 2 * median[1] <= width and enough < min(height, width):
        findings.add(
            "enlarged", f"half of the images are not larger than {median[0]:.0f}x{median[1]:.0f}, and are "
            f"enlarged to {height}x{width}",
            f"--image-size {enough} trains faster, with the same details",
        )  # fmt: skip
