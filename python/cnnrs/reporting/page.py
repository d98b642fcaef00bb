"""The page around the sections of a report: one file that asks for nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cnnrs.charts.html import Markup, tag

__all__ = ["Section", "page", "wide"]

_STYLE = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2530;--faint:#5b6775;--line:#d9dfe6;--panel:#f5f7fa;
--accent:#1f6fc4}
@media (prefers-color-scheme:dark){:root{--paper:#14181d;--ink:#e4e9ef;--faint:#9aa7b5;--line:#2e3640;
--panel:#1c2229;--accent:#6fb1f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main,header,nav{max-width:1120px;margin:0 auto;padding:0 16px}
header{padding-top:20px}
h1{font-size:1.6rem;margin:0;overflow-wrap:anywhere}
h2{font-size:1.2rem;margin:2.2rem 0 .6rem;padding-top:.6rem;border-top:1px solid var(--line)}
h3{font-size:1rem;margin:1.2rem 0 .4rem}
p{margin:.4rem 0}
p,li,h3{overflow-wrap:anywhere}
.faint,figcaption,caption{color:var(--faint);font-size:.86rem}
a{color:var(--accent)}
nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;padding-top:.7rem;font-size:.9rem}
.figures{display:grid;grid-template-columns:repeat(auto-fit,minmax(140px,1fr));gap:10px;margin:1rem 0}
.figures div{background:var(--panel);border-radius:8px;padding:10px 12px;min-width:0}
.figures b{display:block;font-size:1.3rem;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
.charts{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,330px),1fr));gap:16px;align-items:start}
.pictures{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:14px}
figure{margin:0;min-width:0}
figure img{max-width:100%;height:auto;display:block;border-radius:4px}
.pixels{image-rendering:pixelated}
.row{display:flex;flex-wrap:wrap;gap:4px}
figcaption{overflow-wrap:anywhere;line-height:1.35;margin-top:4px}
.wide{overflow-x:auto;max-width:100%}
.beside{display:flex;flex-wrap:wrap;gap:0 48px}
.beside>div{min-width:0;max-width:100%}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.9rem}
caption{text-align:left;padding:.2rem 0}
th,td{padding:3px 12px 3px 0;border-bottom:1px solid var(--line);vertical-align:top}
td{overflow-wrap:anywhere}
.wide td{overflow-wrap:normal;white-space:nowrap}
.wide .long{white-space:normal;overflow-wrap:anywhere;width:min(30em,75vw)}
pre{background:var(--panel);border-radius:8px;padding:10px 12px;overflow-x:auto;font-size:.84rem;
line-height:1.4}
details{margin:.6rem 0}
summary{cursor:pointer}
.missing{color:var(--faint)}
svg{display:block}
@media (max-width:480px){th,td{padding-right:6px}table{font-size:.8rem}}
@media print{nav,.live{display:none}body{font-size:11px}figure,svg,tr{break-inside:avoid}
h2,h3{break-after:avoid}
details::details-content{content-visibility:visible;height:auto}}
"""


class Section(NamedTuple):
    """A part of the page.

    Attributes:
        name: Its name in addresses.
        title: What stands above it.
        content: Markup.
    """

    name: str
    title: str
    content: Markup


def wide(content: Markup) -> Markup:
    """What may be wider than a phone: it scrolls for itself."""
    return tag("div", content, class_="wide")


def page(
    title: str, below: str, sections: Sequence[Section], missing: Sequence[str], script: str = ""
) -> str:
    """The whole page.

    Args:
        title: Of the page.
        below: What stands below the title.
        sections: Its parts.
        missing: What is left out, a line each.
        script: Of a page that is served while it changes.
    """
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    if script:
        policy += "; script-src 'unsafe-inline'; connect-src 'self'"
    parts = [
        tag("section", tag("h2", section.title), section.content, id=section.name) for section in sections
    ]
    if missing:
        lines = [tag("li", line) for line in missing]
        parts.append(
            tag(
                "section",
                tag("h2", "Not there yet" if script else "Left out"),
                tag("ul", *lines, class_="missing"),
                id="missing",
            )
        )
    links = [tag("a", section.title, href=f"#{section.name}") for section in sections]
    head = [
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content="cnnrs"),
        # An address without content: browsers ask for an icon otherwise.
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Markup(_STYLE)),
    ]
    body = [
        tag("header", tag("h1", title), tag("p", below, class_="faint")),
        tag("nav", *links, aria_label="Sections"),
        tag("main", *parts),
    ]
    if script:
        body.append(tag("script", Markup(script)))
    whole = tag("html", tag("head", *head), tag("body", *body), lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"
