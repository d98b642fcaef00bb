"""`make_app`: an ASGI application that answers with the classes of images."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from cnnrs import _core
from cnnrs.base.extras import library
from cnnrs.runs.inference import Classifier
from cnnrs.serving import openapi
from cnnrs.serving.batching import Batcher, QueueFull
from cnnrs.serving.limits import Limits
from cnnrs.serving.measuring import Measures
from cnnrs.serving.reading import Refused, decoded, of_json

__all__ = ["make_app"]

_LOG = logging.getLogger("cnnrs.serving")
# How long the rest of a request that is too large is read away, so that its sender gets to read the answer.
_DRAIN_SECONDS = 1.0


def make_app(model: Any, limits: Limits | None = None, top: int = 5) -> Any:
    """An ASGI application of Starlette. Any ASGI server runs it; `serve` does so with uvicorn.

    Args:
        model: The folder of a run, the file of a model, or a `runs.inference.Classifier`.
        limits: What it takes.
        top: Classes of an image where a request does not say how many.

    Raises:
        ImportError: Starlette, of the extra `serve`, is not installed.
        FileNotFoundError: There is no such model.
    """
    starlette = library("starlette.applications", "serve", "cnnrs serve")
    routing = library("starlette.routing", "serve", "cnnrs serve")
    classifier = model if isinstance(model, Classifier) else Classifier(model)
    service = _Service(classifier, limits or Limits(), top)

    @contextlib.asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        await asyncio.get_running_loop().run_in_executor(None, service.start)
        try:
            yield
        finally:
            await asyncio.get_running_loop().run_in_executor(None, service.stop)

    errors = library("starlette.exceptions", "serve", "cnnrs serve")
    app = starlette.Starlette(
        exception_handlers={errors.HTTPException: service.refuse},
        routes=[
            routing.Route("/", service.page, methods=["GET"]),
            routing.Route("/docs", service.page, methods=["GET"]),
            routing.Route("/openapi.json", service.document, methods=["GET"]),
            routing.Route("/healthz", service.health, methods=["GET"]),
            routing.Route("/metrics", service.metrics, methods=["GET"]),
            routing.Route("/model", service.about, methods=["GET"]),
            routing.Route("/predict", service.predict, methods=["POST"]),
        ],
        lifespan=lifespan,
    )
    app.state.service = service
    return app


class _Service:
    """What the routes do."""

    def __init__(self, classifier: Classifier, limits: Limits, top: int):
        self._responses = library("starlette.responses", "serve", "cnnrs serve")
        self._forms = library("starlette.formparsers", "serve", "cnnrs serve")
        library("python_multipart", "serve", "cnnrs serve")
        self.classifier, self.limits, self.top = classifier, limits, top
        self.batcher = Batcher(
            classifier.scores, limits.max_batch, limits.wait_seconds, limits.queue, self._observe
        )
        self.measures = Measures(lambda: self.batcher.waiting)
        self._pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="cnnrs-decode")
        self._document = openapi.document(
            classifier.path.parent.name + "/" + classifier.path.name, classifier.class_names, limits,
            _core.__version__,
        )  # fmt: skip

    def start(self) -> None:
        """Makes the plans of all sizes of batches, so that no request waits for them."""
        height, width = self.classifier.preprocessing.image_size
        channels = {"rgb": 3, "rgba": 4, "grayscale": 1}[self.classifier.preprocessing.color_mode]
        size = 1
        while True:
            self.classifier.scores(np.zeros((size, height, width, channels), np.float32))
            if size >= self.limits.max_batch:
                break
            size = min(2 * size, self.limits.max_batch)
        self.batcher.start()

    def stop(self) -> None:
        """Computes what waits."""
        self.batcher.stop()
        self._pool.shutdown()

    def _observe(self, images: int, seconds: float) -> None:
        self.measures.batch(images, seconds)

    async def page(self, request: Any) -> Any:
        text = openapi.page(self._document, str(request.base_url).rstrip("/"))
        return self._responses.HTMLResponse(text)

    async def document(self, request: Any) -> Any:
        return self._responses.JSONResponse(self._document)

    async def health(self, request: Any) -> Any:
        return self._responses.JSONResponse({"status": "ok", "waiting": self.batcher.waiting})

    async def metrics(self, request: Any) -> Any:
        content, kind = self.measures.text()
        return self._responses.Response(content, headers={"Content-Type": kind})

    async def about(self, request: Any) -> Any:
        return self._responses.JSONResponse({
            "model": str(self.classifier.path),
            "class_names": self.classifier.class_names,
            "preprocessing": self.classifier.preprocessing.get_config(),
        })  # fmt: skip

    async def refuse(self, request: Any, error: Any) -> Any:
        """What has no address, or another method."""
        message = f"{request.method} {request.url.path}: {error.detail}"
        return self._responses.JSONResponse({"error": message}, error.status_code, error.headers)

    async def predict(self, request: Any) -> Any:
        """Answers a request, or says why not; what nobody foresaw is logged and answered by 500."""
        start = time.perf_counter()
        headers = {}
        try:
            content = await self._predict(request)
            status = 200
        except Refused as error:
            content, status = {"error": error.message}, error.status
            if status in (408, 413):
                # What is left of the request is not read.
                headers["Connection"] = "close"
            if status == 503:
                headers["Retry-After"] = "1"
        except asyncio.CancelledError:
            # The time that a server that stops leaves to requests is over, or it was told twice to stop.
            content, status = {"error": "the server is stopping"}, 503
            headers["Connection"] = "close"
        except Exception:
            _LOG.exception("a request failed")
            content, status = {"error": "the server failed; its log says more"}, 500
        self.measures.requests.labels("/predict", str(status)).inc()
        self.measures.seconds.observe(time.perf_counter() - start)
        return self._responses.JSONResponse(content, status, headers)

    async def _predict(self, request: Any) -> dict[str, Any]:
        limits = self.limits
        body = await self._body(request)
        end = time.monotonic() + limits.answer_seconds
        try:
            images, top = await asyncio.wait_for(self._images(request, body), limits.answer_seconds)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise self._too_late() from error
        del body
        if not images:
            raise Refused(400, "expected at least one image, received none")
        if len(images) > limits.max_images:
            raise Refused(413, f"{len(images)} images; at most {limits.max_images} are taken in a request")
        if len(images) > limits.queue:
            raise Refused(
                413, f"{len(images)} images; at most {limits.queue}, as many as may wait, are taken"
            )
        loop = asyncio.get_running_loop()
        try:
            pixels = await asyncio.wait_for(
                loop.run_in_executor(self._pool, decoded, self.classifier, limits, images),
                max(end - time.monotonic(), 0.001),
            )
            futures = [asyncio.wrap_future(future) for future in self.batcher.submit_all(pixels)]
            try:
                scores = await asyncio.wait_for(asyncio.gather(*futures), max(end - time.monotonic(), 0.001))
            finally:
                for future in futures:
                    future.cancel()
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise self._too_late() from error
        except QueueFull as error:
            raise Refused(503, str(error)) from error
        return {
            "predictions": [
                {
                    "image": name,
                    "classes": [
                        {"name": label, "score": round(score, 6)}
                        for label, score in self.classifier.best(row, top)
                    ],
                }
                for (name, _), row in zip(images, scores, strict=True)
            ]
        }

    def _too_late(self) -> Refused:
        return Refused(504, f"no answer within {self.limits.answer_seconds:g} seconds")

    async def _body(self, request: Any) -> bytes:
        """The body, if it comes in time and is not too large.

        Raises:
            Refused: It does not, or is.
        """
        limits = self.limits
        too_large = Refused(413, f"at most {limits.max_bytes:,} bytes are taken in a request")
        stream = request.stream()
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > limits.max_bytes:
            await _drain(stream)
            raise too_large
        parts: list[bytes] = []

        async def read() -> bool:
            size = 0
            async for part in stream:
                size += len(part)
                if size > limits.max_bytes:
                    return False
                parts.append(part)
            return True

        try:
            is_whole = await asyncio.wait_for(read(), limits.read_seconds)
        except (TimeoutError, asyncio.TimeoutError) as error:
            raise Refused(408, f"the request did not come within {limits.read_seconds:g} seconds") from error
        except Exception as error:
            if type(error).__name__ == "ClientDisconnect":
                raise Refused(400, "the connection was closed before the request had come") from error
            raise
        if not is_whole:
            parts.clear()
            await _drain(stream)
            raise too_large
        return b"".join(parts)

    async def _images(self, request: Any, body: bytes) -> tuple[list[tuple[str, Any]], int]:
        """What each image is called, with its bytes or pixels; and how many classes are asked for."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        top: Any = request.query_params.get("top", self.top)
        if kind == "application/json":
            loop = asyncio.get_running_loop()
            entries, document = await loop.run_in_executor(self._pool, of_json, body)
            top = document.get("top", top)
            images = [(f"images[{number}]", entry) for number, entry in enumerate(entries)]
        elif kind == "multipart/form-data":
            images, given = await self._form(request, body)
            top = given if given is not None else top
        elif kind.startswith("image/") or kind in ("application/octet-stream", ""):
            images = [("image", body)]
        else:
            raise Refused(
                415, f"expected multipart/form-data, image/*, application/octet-stream or application/json, "
                f"received {kind!r}"
            )  # fmt: skip
        try:
            count = int(top)
        except (TypeError, ValueError):
            count = 0
        if count < 1 or not isinstance(top, (int, str)) or isinstance(top, bool):
            raise Refused(400, f"top: expected a positive integer, received {top!r}")
        return images, min(count, len(self.classifier.class_names))

    async def _form(self, request: Any, body: bytes) -> tuple[list[tuple[str, Any]], Any]:
        async def stream() -> AsyncIterator[bytes]:
            yield body

        most = self.limits.max_images
        try:
            parser = self._forms.MultiPartParser(request.headers, stream(), max_files=most, max_fields=4)
            form = await parser.parse()
        except Exception as error:
            if type(error).__name__ not in ("MultiPartException", "MultipartParseError", "KeyError"):
                raise
            message = getattr(error, "message", str(error))
            is_many = "Too many files" in message
            raise Refused(
                413 if is_many else 400,
                f"more than {most} images; at most so many are taken in a request" if is_many
                else f"expected multipart/form-data: {message}",
            ) from error  # fmt: skip
        images: list[tuple[str, Any]] = []
        try:
            for _, value in form.multi_items():
                if not isinstance(value, str):
                    images.append((value.filename or "image", await value.read()))
        finally:
            await form.close()
        return images, form.get("top") if isinstance(form.get("top"), str) else None


async def _drain(stream: Any) -> None:
    """Reads what comes for a moment and forgets it."""

    async def read() -> None:
        async for _ in stream:
            pass

    with contextlib.suppress(Exception):
        await asyncio.wait_for(read(), _DRAIN_SECONDS)
