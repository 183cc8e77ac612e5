"""Bounds on what the Hugging Face Hub's client does for a server: how long it waits, and where the
server's answers make it write.

They are set where its requests pass, in the HTTP client that huggingface_hub lets be exchanged, and
below that where bytes are sent and received: a server may also stop in the middle of a header.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from cdred.errors import CdredError

PATIENCE = 60.0  # seconds of waiting, of which RATE bytes that are sent or received give back one
RATE = 1000
CONNECTIONS = 60  # that may bring nothing
ATTEMPTS, WAIT = 4, 1.0  # of calls that the client does not repeat itself; seconds, doubled
LATER = 10  # seconds: the longest pause that a server may ask for
_PIECE = 2**16  # bytes
_COMMIT = re.compile(r"[0-9a-f]{40}")
_FILE = re.compile(r"[\w-][\w.-]{0,199}", re.ASCII)  # the name of a file in the cache
_SOON = re.compile(r"\d|10", re.ASCII)


class RefusedError(CdredError):
    """An answer that a server must not give."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Bound what the Hub's client does within: every wait ends, by an error of the HTTP library,
    and nothing is written outside of the cache, by RefusedError."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    # Else files would also come from other servers, through another library.
    constants.HF_HUB_DISABLE_XET = True
    factory, clock = _http._GLOBAL_CLIENT_FACTORY, _Clock()
    _http.set_client_factory(lambda: _bounded(factory(), clock))
    try:
        yield
    finally:
        _http.set_client_factory(factory)


def repeated(call: Callable[[], Any]) -> Any:
    """Call, and call again while the Hub is overloaded or the connection is cut.

    The client repeats some requests by itself, but neither most of those that fetch a file nor
    those that create a repository, a commit or a tag; all of them may be made twice without harm.
    """
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except Exception as exc:
            if attempt == ATTEMPTS - 1 or not _passes(exc):
                raise
        time.sleep(WAIT * 2**attempt)
    raise AssertionError("unreachable")


def _passes(exc: BaseException) -> bool:
    """Tell whether an error of the client may be gone at the next attempt."""
    import httpx2
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    if isinstance(exc, LocalEntryNotFoundError):  # neither there nor here
        return isinstance(exc.__cause__, HfHubHTTPError | httpx2.ProtocolError) and _passes(
            exc.__cause__
        )
    if isinstance(exc, HfHubHTTPError):
        status = int(exc.response.status_code)
        return status == 429 or status >= 500
    # JSON: the client takes a gateway's page of HTML for the answer to a card's validation.
    return isinstance(exc, httpx2.TransportError | json.JSONDecodeError)


@contextlib.contextmanager
def stopped_at_once(clear: Callable[[], None] = lambda: None) -> Iterator[None]:
    """End the program by SIGINT and SIGTERM, after `clear`, without waiting for the client's
    threads: what it was at goes on when the same is asked for again."""

    def stop(number: int, _: Any) -> None:
        os.write(2, b"cdred: interrupted; the same command goes on\n")
        clear()
        os._exit(128 + number)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _bounded(client: Any, clock: _Clock) -> Any:
    """An HTTP client whose answers are checked, and whose waiting a clock bounds."""
    hooks = client.event_hooks
    client.event_hooks = hooks | {"response": [*hooks.get("response", []), _check]}
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:  # None: of addresses without a proxy
            transport._pool._network_backend = _Network(transport._pool._network_backend, clock)
    return client


def _check(response: Any) -> None:
    """Refuse names in an answer that lead out of the cache, and shorten the pause it asks for."""
    headers = response.headers
    if response.status_code >= 400:
        headers.pop("ratelimit", None)
        if not _SOON.fullmatch(headers.get("Retry-After", "0").strip()):
            headers["Retry-After"] = str(LATER)
    _refuse("X-Repo-Commit", headers.get("X-Repo-Commit"), _COMMIT)
    path = response.request.url.path
    if response.request.method == "HEAD" and "/resolve" in path:
        for name in ("ETag", "X-Linked-Etag"):
            if (etag := headers.get(name)) is not None:
                _refuse(name, etag.lstrip("W/").strip('"'), _FILE)  # as the client reads it
    if "/api/" in path and response.is_success and "json" in headers.get("Content-Type", ""):
        response.read()
        answer = response.json()
        _refuse("commit", answer.get("sha") if isinstance(answer, dict) else None, _COMMIT)


def _refuse(what: str, name: Any, valid: re.Pattern[str]) -> None:
    if name is not None and not valid.fullmatch(str(name)):
        raise RefusedError(f"its {what} is {str(name)[:100]!r}, not one of a Hub; refused")


class _Clock:
    """The time in which at least one thread waits for the network, and what may be left of it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0
        self._since = 0.0
        self._left = PATIENCE

    @contextlib.contextmanager
    def waiting(self) -> Iterator[None]:
        self._add(1)
        try:
            yield
        finally:
            self._add(-1)

    def _add(self, threads: int) -> None:
        with self._lock:
            now = time.monotonic()
            if self._waiting:
                self._left -= now - self._since
            self._since = now
            self._waiting += threads

    def moved(self, size: int) -> None:
        with self._lock:
            self._left = min(PATIENCE, self._left + size / RATE)

    def connected(self) -> None:
        """Take a little, so that connections that end at once come to an end, too."""
        with self._lock:
            self._left -= PATIENCE / CONNECTIONS

    def left(self, timeout: float | None) -> float:
        """The seconds that may be waited now, of `timeout`. Raises the HTTP library's timeout."""
        self._add(0)
        if self._left <= 0:
            raise _timeout()
        return self._left if timeout is None else min(timeout, self._left)


def _timeout() -> Exception:
    import httpcore2

    return httpcore2.ReadTimeout(f"no answer, or less than {RATE} bytes a second")


class _Network:
    """A network that connects as another does."""

    def __init__(self, network: Any, clock: _Clock) -> None:
        self._network, self._clock = network, clock

    def connect_tcp(self, host: str, port: int, timeout: float | None = None, **more: Any) -> Any:
        self._clock.connected()
        with self._clock.waiting():
            stream = self._network.connect_tcp(host, port, self._clock.left(timeout), **more)
        return _Connection(stream, self._clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)


class _Connection:
    """A connection as another is, with or without encryption."""

    def __init__(self, stream: Any, clock: _Clock) -> None:
        self._stream, self._clock = stream, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._clock.waiting():
            content: bytes = self._stream.read(max_bytes, self._clock.left(timeout))
        self._clock.moved(len(content))
        return content

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _PIECE):
            piece = buffer[start : start + _PIECE]
            with self._clock.waiting():
                self._stream.write(piece, self._clock.left(timeout))
            self._clock.moved(len(piece))

    def start_tls(
        self, ssl_context: Any, server_hostname: str | None = None, timeout: float | None = None
    ) -> Any:
        with self._clock.waiting():
            left = self._clock.left(timeout)
            stream = self._stream.start_tls(ssl_context, server_hostname, left)
        return _Connection(stream, self._clock)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
