"""`live`: the report of a run that is still going on, served to this machine alone."""

from __future__ import annotations

import errno
import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cnnrs.base.arguments import integer, named
from cnnrs.reporting.run import Run
from cnnrs.reporting.writing import html_of

__all__ = ["LiveReport", "live"]

_FILES = ("history.csv", "predictions.npz", "samples.npz", "environment.json", "run.toml", "search.json")

# Every three seconds the page is asked for again, and its parts are replaced if they have changed; what is
# folded open stays open, and the place that is looked at stays.
_SCRIPT = """
let tag = null;
async function look() {
  const head = document.querySelector("header p");
  try {
    const headers = tag ? {"If-None-Match": tag} : {};
    const answer = await fetch(location.pathname, {cache: "no-store", headers});
    if (answer.status === 200) {
      const next = new DOMParser().parseFromString(await answer.text(), "text/html");
      if (tag !== null) {
        const open = [...document.querySelectorAll("details[open]")].map(d => d.id);
        for (const name of ["nav", "main"])
          document.querySelector(name).replaceWith(next.querySelector(name));
        for (const id of open) { const d = document.getElementById(id); if (d) d.open = true; }
      }
      tag = answer.headers.get("ETag");
    }
    head.dataset.live = "on";
  } catch (error) {
    if (head.dataset.live === "on") {
      head.dataset.live = "off";
      head.append(" · the run has ended or its process has stopped: this is its last state");
    }
  }
}
look(); setInterval(look, 3000);
"""


class LiveReport:
    """A report that is served while the run goes on.

    Attributes:
        url: Its address.
        port: The port.

    Args:
        run_directory: The folder of the run.
        port: The port; 0 for a free one.
    """

    def __init__(self, run_directory: Any, port: int = 0):
        self._folder, self._lock = Path(run_directory), threading.Lock()
        self._page: tuple[str, bytes] = ("", b"")
        report = self

        class Handler(BaseHTTPRequestHandler):
            timeout = 10

            def do_GET(self) -> None:
                report._answer(self, body=True)

            def do_HEAD(self) -> None:
                report._answer(self, body=False)

            def log_message(self, format: str, *args: Any) -> None:
                """Nothing: the terminal belongs to the training."""

        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
            why = "is in use" if error.errno == errno.EADDRINUSE else "needs rights that this user has not"
            raise OSError(
                error.errno, f"live: port {port} {why}; expected another one, or 0 for any that is free"
            ) from None
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="cnnrs-report", daemon=True)
        self._thread.start()

    def _answer(self, request: BaseHTTPRequestHandler, body: bool) -> None:
        host = request.headers.get("Host", "").rpartition(":")[0]
        # Pages of others that lead a name of theirs to this machine get nothing.
        if host not in ("127.0.0.1", "localhost"):
            return _send(request, 403, b"this report is for its own machine alone", {}, body)
        if request.path.partition("?")[0] not in ("/", "/report.html"):
            return _send(request, 404, b"not found; the report is at /", {}, body)
        try:
            tag, content = self._current()
        except OSError as error:
            return _send(request, 503, str(error).encode("utf-8", "replace"), {}, body)
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("If-None-Match") == tag:
            return _send(request, 304, b"", headers, False)
        _send(request, 200, content, headers, body, "text/html; charset=utf-8")

    def _current(self) -> tuple[str, bytes]:
        """The page and its tag; it is made again when a file of the run has changed."""
        state = hashlib.sha256()
        for name in _FILES:
            try:
                found = (self._folder / name).stat()
                state.update(f"{name} {found.st_mtime_ns} {found.st_size};".encode())
            except FileNotFoundError:
                continue
        tag = f'"{state.hexdigest()[:16]}"'
        with self._lock:
            if self._page[0] != tag:
                text = html_of(Run(self._folder), explain=False, script=_SCRIPT)
                self._page = tag, text.encode("utf-8", "replace")
            return self._page

    def close(self) -> None:
        """Ends the service; it may be called again."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> LiveReport:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<LiveReport of {str(self._folder)!r} at {self.url}>"


def _send(
    request: BaseHTTPRequestHandler,
    status: int,
    content: bytes,
    headers: dict[str, str],
    body: bool,
    kind: str = "text/plain; charset=utf-8",
) -> None:
    try:
        request.send_response(status)
        if status != 304:
            request.send_header("Content-Type", kind)
            request.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            request.send_header(name, value)
        request.end_headers()
        if body:
            request.wfile.write(content)
    except (BrokenPipeError, ConnectionResetError):
        # Whoever asked has gone.
        request.close_connection = True


@named
def live(run_directory: Any, port: int = 0) -> LiveReport:
    """Serves the report of a run on this machine, at 127.0.0.1 alone; the page follows the run by itself.

    The model is not run for it: `write` adds at the end what needs that.

    Args:
        run_directory: The folder of the run.
        port: The port; 0 for a free one.

    Returns:
        A `LiveReport`: `found.url`, `found.close()`; it is a context manager, too.

    Raises:
        FileNotFoundError: There is no such folder.
        OSError: The port is in use.

    >>> import tempfile, urllib.request
    >>> from cnnrs import reporting
    >>> with tempfile.TemporaryDirectory() as folder, reporting.live(folder) as found:
    ...     urllib.request.urlopen(found.url).status
    200
    """
    Run(run_directory)
    return LiveReport(run_directory, integer(port, "live", "port", least=0, most=65535))
