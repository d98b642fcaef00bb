"""The OpenAPI document of a server, and a page of it that needs no script."""

from __future__ import annotations

import html
import json
from typing import Any

from cnnrs.serving.limits import Limits

__all__ = ["document", "page"]

_STATUSES = {
    "400": "The request is not what it should be.",
    "408": "The request did not come in time.",
    "413": "It is too large, or has too many images or pixels.",
    "415": "Its type is none of those above.",
    "422": "An image is broken, or none.",
    "503": "Too many images wait; try again after Retry-After.",
    "504": "The answer took too long.",
}


def document(name: str, class_names: list[str], limits: Limits, version: str) -> dict[str, Any]:
    """The document.

    Args:
        name: Name of the model.
        class_names: Its classes.
        limits: The limits of the server.
        version: The version of cnnrs.
    """
    binary = {"schema": {"type": "string", "format": "binary"}}
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    top = {
        "name": "top", "in": "query", "description": "Classes of each image.",
        "schema": {"type": "integer", "minimum": 1, "default": 5},
    }  # fmt: skip
    predict = {
        "summary": "The classes of images",
        "description": f"At most {limits.max_images} images and {limits.max_bytes:,} bytes a request.",
        "parameters": [top],
        "requestBody": {
            "required": True,
            "content": {
                "multipart/form-data": {"schema": {"type": "object", "properties": {
                    "image": {"type": "array", "items": {"type": "string", "format": "binary"}}}}},
                "image/*": binary,
                "application/octet-stream": binary,
                "application/json": {
                    "schema": {"$ref": "#/components/schemas/Images"},
                    "example": {"images": ["iVBORw0KGgo…"], "top": 3},
                },
            },
        },
        "responses": {
            "200": {"description": "The best classes of each image, in the order of the images.", "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Predictions"}}}},
            **{status: {"description": text, "content": error} for status, text in _STATUSES.items()},
        },
    }  # fmt: skip

    def plain(summary: str, kind: str) -> dict[str, Any]:
        return {"get": {"summary": summary, "responses": {"200": {"description": "", "content": {kind: {}}}}}}

    image = {"oneOf": [
        {"type": "string", "description": "An image file in base64, also as a data: address."},
        {"type": "array", "description": "Rows of pixels from 0 to 255: (height, width, channels).",
         "items": {}},
    ]}  # fmt: skip
    scored = {"type": "object", "properties": {
        "name": {"type": "string", "enum": class_names}, "score": {"type": "number"}}}  # fmt: skip
    one = {"type": "object", "properties": {
        "image": {"type": "string"}, "classes": {"type": "array", "items": scored}}}  # fmt: skip
    return {
        "openapi": "3.1.0",
        "info": {"title": f"{name}, served by cnnrs", "version": version},
        "paths": {
            "/predict": {"post": predict},
            "/model": plain("Classes and preparation of the model", "application/json"),
            "/healthz": plain("Whether the server is up", "application/json"),
            "/metrics": plain("Counters, as Prometheus reads them", "text/plain"),
        },
        "components": {
            "schemas": {
                "Images": {
                    "type": "object", "required": ["images"], "additionalProperties": False,
                    "properties": {"images": {"type": "array", "items": image}, "top": {"type": "integer"}},
                },
                "Predictions": {
                    "type": "object", "properties": {"predictions": {"type": "array", "items": one}},
                },
                "Error": {"type": "object", "properties": {"error": {"type": "string"}}},
            }
        },
    }  # fmt: skip


_STYLE = """:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;padding:0 1rem}
h1,h2,code{overflow-wrap:anywhere}
code,pre{font:14px/1.45 ui-monospace,monospace}
pre{overflow:auto;padding:.75rem;border-radius:.4rem;background:color-mix(in srgb,CanvasText 7%,Canvas)}
h2{margin-top:2rem}
table{border-collapse:collapse}
td{padding:.15rem .8rem .15rem 0;vertical-align:top}
form{padding:1rem;border:1px solid color-mix(in srgb,CanvasText 25%,Canvas);border-radius:.4rem}"""


def page(found: dict[str, Any], address: str) -> str:
    """The document as a page, with a form to send a picture by.

    Args:
        found: The document.
        address: Address of the server, for the examples.
    """
    escape = html.escape
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(found['info']['title'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{escape(found['info']['title'])}</h1>",
        '<form method="post" action="/predict" enctype="multipart/form-data"><label>Pictures: ',
        '<input type="file" name="image" accept="image/*" multiple required></label> '
        "<button>Predict</button></form>",
        f"<pre>curl -F image=@picture.jpg {escape(address)}/predict\n"
        "curl -H 'Content-Type: image/jpeg' --data-binary @picture.jpg "
        f"'{escape(address)}/predict?top=3'</pre>",
    ]
    for path, methods in found["paths"].items():
        for method, about in methods.items():
            parts.append(f"<h2>{method.upper()} <code>{escape(path)}</code></h2>")
            parts.append(f"<p>{escape(about['summary'])}. {escape(about.get('description', ''))}</p>")
            kinds = about.get("requestBody", {}).get("content", {})
            if kinds:
                parts.append(f"<p>Body: {', '.join(f'<code>{escape(kind)}</code>' for kind in kinds)}</p>")
            rows = [(s, r["description"]) for s, r in about["responses"].items() if r["description"]]
            if rows:
                cells = "".join(f"<tr><td>{s}</td><td>{escape(text)}</td></tr>" for s, text in rows)
                parts.append(f"<table>{cells}</table>")
    schemas = escape(json.dumps(found["components"]["schemas"], indent=1, ensure_ascii=False))
    parts.append('<h2>Schemas</h2><p>The whole document: <a href="/openapi.json">openapi.json</a></p>')
    parts.append(f"<pre>{schemas}</pre></body></html>")
    return "".join(parts)
