"""Reports in a real browser, on a phone and on a desktop, by day and by night, on paper, and while training.

`make test-report` runs it. With SCREENSHOTS=folder the pictures that it takes are kept there.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import numpy as np
import pytest

import cnnrs
from cnnrs import layers, reporting

playwright = pytest.importorskip("playwright.sync_api")

SIZES = {"phone": (390, 844), "desktop": (1280, 900)}
# Long names, names without a place to break, and others' scripts.
NAMES = [
    "a rather long name of a class, with commas",
    "x" * 60,
    "кошка",
    "犬",
    "<script>document.title=1</script>",
]


@pytest.fixture(scope="module")
def browser():
    with playwright.sync_playwright() as found:
        chromium = found.chromium.launch(
            executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=["--no-sandbox"]
        )
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    cnnrs.utils.set_random_seed(0)
    folder = tmp_path_factory.mktemp("runs") / ("run-" + "y" * 80)
    blocks = [
        layers.Conv2D(8, 3, padding="same", activation="relu", name=f"convolution_{i}") for i in range(30)
    ]
    model = cnnrs.Sequential(
        [
            cnnrs.Input((24, 24, 3)),
            *blocks,
            layers.GlobalAveragePooling2D(),
            layers.Dense(len(NAMES), activation="softmax"),
        ]
    )
    model.compile("sgd", "sparse_categorical_crossentropy", metrics=["accuracy"])
    rng = np.random.default_rng(0)
    x, y = rng.random((40, 24, 24, 3), np.float32), np.arange(40) % len(NAMES)
    report = reporting.RunReport(folder, validation_data=(x, y), class_names=NAMES)
    model.fit(x, y, epochs=2, validation_data=(x, y), verbose=0, callbacks=[report])
    (folder / "run.toml").write_text(f'data = "{"z" * 300}"\n')
    return folder


def opened(browser, address: str, size: str, theme: str = "light"):
    """A page, and what went wrong while it was loaded."""
    width, height = SIZES[size]
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=theme)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda asked: wrong.append(asked.url) if not _is_own(asked.url, address) else None)
    page.goto(address)
    return page, wrong


def _is_own(url: str, address: str) -> bool:
    return url.startswith("data:") or url == address


def keep(page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)


def until(page, condition: str) -> None:
    """Waits for a condition: the page's policy forbids what Playwright waits by."""
    end = time.monotonic() + 20
    while not page.evaluate(condition):
        assert time.monotonic() < end, condition
        page.wait_for_timeout(100)


def is_cut(page) -> list[str]:
    """Texts that lie outside of the page, but for those that scroll for themselves."""
    return page.evaluate(
        """() => [...document.querySelectorAll("main *, header *, nav *")].filter(e => {
            if (e.closest(".wide, pre, svg")) return false;
            const box = e.getBoundingClientRect();
            return box.width && (box.right > innerWidth + 1 || box.left < -1);
        }).map(e => e.tagName + ": " + e.textContent.slice(0, 40))"""
    )


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_the_page_fits_and_is_silent(browser, run, size, theme):
    page, wrong = opened(browser, reporting.write(run).as_uri(), size, theme)
    keep(page, f"{size}-{theme}")
    assert wrong == []
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES[size][0]
    assert is_cut(page) == []
    assert page.evaluate("document.title") == run.name
    assert page.evaluate("[...document.images].every(i => i.complete && i.naturalWidth > 0)")
    ink, paper = page.evaluate(
        "[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor]"
    )
    assert contrast(ink, paper) >= 7
    faint = page.evaluate("getComputedStyle(document.querySelector('.faint')).color")
    assert contrast(faint, paper) >= 4.5
    # Each address leads to its section.
    for link in page.query_selector_all("nav a"):
        link.click()
        assert page.evaluate("document.querySelector(location.hash) !== null")
    page.close()


def contrast(first: str, second: str) -> float:
    """The contrast of two colours: W3C, Web Content Accessibility Guidelines 2.1, section 1.4.3."""

    def luminance(colour: str) -> float:
        parts = [int(part) / 255 for part in colour[colour.index("(") + 1 : -1].split(",")[:3]]
        linear = [p / 12.92 if p <= 0.03928 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
        return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))

    high, low = sorted([luminance(first), luminance(second)], reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_a_search_fits_a_phone(browser, run, tmp_path):
    """Its table scrolls for itself, errors are broken into lines, names under charts do not overlap."""
    names = ["adamw", "sgd", "a schedule of a long name", "[224, 224]"]
    trials = [
        {
            "number": i, "state": "complete", "value": 0.5 + i / 50, "seconds": 12.5,
            "settings": {"learning_rate": 10.0 ** -(i % 4), "optimizer": names[i % 4], "mixup": i / 10},
            "epochs": [0.3, 0.5 + i / 50],
        }
        for i in range(12)
    ]  # fmt: skip
    trials.append({"number": 12, "state": "fail", "value": None, "settings": {}, "error": "so " * 90})
    content = {"metric": "val_accuracy", "direction": "maximize", "best": 11, "trials": trials}
    (tmp_path / "search.json").write_text(json.dumps(content))
    page, wrong = opened(browser, reporting.write(tmp_path).as_uri(), "phone")
    keep(page, "phone-search")
    assert wrong == [] and is_cut(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") == SIZES["phone"][0]
    overlapping = page.evaluate(
        """() => [...document.querySelectorAll("#search svg")].flatMap(svg => {
            const boxes = [...svg.querySelectorAll("text")]
                .map(e => [e.textContent, e.getBoundingClientRect()]).filter(([_, box]) => box.width);
            const meet = (a, b) =>
                a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom;
            return boxes.flatMap(([name, a], i) => boxes.slice(i + 1)
                .filter(([_, b]) => meet(a, b)).map(([other, _]) => `${name} | ${other}`));
        })"""
    )
    assert overlapping == []
    cells = page.evaluate("[...document.querySelectorAll('#search .long')].map(e => e.clientWidth)")
    assert cells and max(cells) <= 0.8 * SIZES["phone"][0]
    page.close()


def test_paper(browser, run, tmp_path):
    page, wrong = opened(browser, reporting.write(run).as_uri(), "desktop")
    page.emulate_media(media="print")
    assert not page.is_visible("nav")
    page.pdf(path=str(tmp_path / "report.pdf"))
    assert (tmp_path / "report.pdf").stat().st_size > 10_000 and wrong == []
    page.close()


def test_live_page_follows_and_keeps_what_is_open(browser, tmp_path):
    (tmp_path / "run.toml").write_text("a = 1\n")
    with reporting.live(tmp_path) as served:
        page, wrong = opened(browser, served.url, "phone")
        assert page.query_selector("#curves") is None
        until(page, "document.querySelector('header p').dataset.live === 'on'")
        rows = "".join(f"{epoch},{1 / epoch}\n" for epoch in range(1, 4))
        (tmp_path / "history.csv").write_text("epoch,loss\n" + rows)
        page.wait_for_selector("#curves svg", timeout=15_000)
        keep(page, "live")
        assert page.evaluate("document.documentElement.scrollWidth") == SIZES["phone"][0]
        assert page.evaluate("scrollTo(0, 200), scrollY") >= 0
        before = page.evaluate("scrollY")
        (tmp_path / "history.csv").write_text("epoch,loss\n" + rows + "4,0.1\n")
        until(page, "document.querySelectorAll('#curves circle').length === 4")
        assert page.evaluate("scrollY") == before
        assert wrong == []
    until(page, "document.querySelector('header p').textContent.includes('has ended')")
    page.close()
