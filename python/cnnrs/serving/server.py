"""`serve`: runs the application by uvicorn until a signal comes."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

from cnnrs.base.extras import library
from cnnrs.serving.application import make_app
from cnnrs.serving.limits import Limits

__all__ = ["bound", "serve"]


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens nowhere else.

    Args:
        host: Name or address of an interface.
        port: The port; 0 takes a free one.

    Raises:
        OSError: The port is in use, or may not be used, or there is no such interface.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except socket.gaierror as error:
        raise OSError(errno.EADDRNOTAVAIL, f"--host: no such interface: {error.strerror}", host) from error
    made = socket.socket(family, kind, protocol)
    try:
        if os.name == "posix":
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
        made.listen(2048)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            text = f"port {port} of {host} is in use; --port 0 takes a free one"
            raise OSError(error.errno, text) from error
        raise OSError(error.errno, f"cannot listen on port {port} of {host}: {error.strerror}") from error
    return made


def serve(
    model: Any,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: Limits | None = None,
    top: int = 5,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Answers requests until SIGINT or SIGTERM; what has come until then is answered.

    Args:
        model: The folder of a run, or the file of a model.
        host: Interface to listen on. There is no encryption and no password: others than this machine should
            reach it through a proxy that has both.
        port: Port to listen on; 0 takes a free one.
        limits: What it takes.
        top: Classes of an image where a request does not say how many.
        ready: Called with the address once requests are answered.

    Raises:
        ImportError: uvicorn or Starlette, of the extra `serve`, are not installed.
        OSError: The port cannot be used.
    """
    uvicorn = library("uvicorn", "serve", "cnnrs serve")
    limits = limits or Limits()
    app = make_app(model, limits, top)
    listening = bound(host, port)
    name = f"[{host}]" if ":" in host else host
    address = f"http://{name}:{listening.getsockname()[1]}"
    settings = uvicorn.Config(
        _ending_quietly(app), http=_protocol(limits), ws="none", lifespan="on", log_config=None,
        access_log=False, timeout_keep_alive=int(max(1, limits.read_seconds)),
        timeout_graceful_shutdown=int(max(1, limits.stop_seconds)), server_header=False,
    )  # fmt: skip

    # uvicorn is imported by name, for it is optional: mypy does not know its classes, here and below.
    class Server(uvicorn.Server):  # type: ignore[name-defined]
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            if ready is not None and not self.should_exit:
                ready(address)

    with _quiet_afterwards():
        Server(settings).run([listening])


def _ending_quietly(app: Any) -> Any:
    """The application, which ends in its order where the second Ctrl-C breaks off the wait for its end."""

    async def ending(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return

        async def received() -> Any:
            try:
                return await receive()
            except asyncio.CancelledError:
                return {"type": "lifespan.shutdown"}

        await app(scope, received, send)

    return ending


class _quiet_afterwards:
    """uvicorn raises the signals that ended it once more, for whoever ran it. Nobody did."""

    def __enter__(self) -> None:
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, lambda *_: None)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)


def _protocol(limits: Limits) -> Any:
    """uvicorn's protocol, which besides closes connections on which no request comes in time."""
    base = library("uvicorn.protocols.http.h11_impl", "serve", "cnnrs serve").H11Protocol

    # A class that is found at run time is no type to mypy.
    class Protocol(base):  # type: ignore[misc, valid-type]
        _expiry: Any = None

        def connection_made(self, transport: Any) -> None:
            super().connection_made(transport)
            self._expect()

        def connection_lost(self, exc: Any) -> None:
            self._forget()
            super().connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._is_busy():
                self._forget()
            elif self._expiry is None:
                # Bytes of a request whose head is not over.
                self._expect()

        def _is_busy(self) -> bool:
            return self.cycle is not None and not self.cycle.response_complete

        def _expect(self) -> None:
            self._expiry = self.loop.call_later(limits.read_seconds, self._expire)

        def _forget(self) -> None:
            if self._expiry is not None:
                self._expiry.cancel()
                self._expiry = None

        def _expire(self) -> None:
            self._expiry = None
            if not self._is_busy() and not self.transport.is_closing():
                self.transport.close()

    return Protocol
