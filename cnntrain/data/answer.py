"""What a server answers, in time: one that sends a byte now and then is given up."""

from __future__ import annotations

import contextlib
import http.client
import queue
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

TIMEOUT = 30  # seconds without a byte
PATIENCE = 60  # seconds in which PATIENCE * SLOWEST bytes must come, again and again
SLOWEST = 1000  # bytes per second
NETWORK_ERRORS = (urllib.error.URLError, http.client.HTTPException, ConnectionError, TimeoutError, ssl.SSLError)
_CHUNK = 1 << 16
_WAITING = 16  # chunks that have come and are not yet written


class TooSlowError(Exception):
    """A server sends too little."""


class BrokenOffError(Exception):
    """An error of the network while an answer was read; not urllib's own, so that writing errors stay apart."""


class Answer:
    """What a server answers, read by a thread of its own, so that one that drips cannot hold us up.

    Timeouts of a socket begin anew with each byte: in a header, a line of a chunk, a handshake, a server could make a
    reader wait for ever. Here whoever asks for the next bytes gives up when too few have come; the thread is left
    behind and ends with its connection.
    """

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self.response: Any = None
        self._came: queue.Queue[Any] = queue.Queue(_WAITING)
        self._given_up = threading.Event()
        self._request = urllib.request.Request(url, headers=dict(headers))
        self._received, self._since = 0, time.monotonic()

    def __enter__(self) -> Answer:
        threading.Thread(target=self._run, name="download", daemon=True).start()
        self.response = self._next()
        return self

    def __exit__(self, *_: object) -> None:
        self._given_up.set()

    def read(self) -> bytes:
        """Return the next bytes, b"" at the end; raises `TooSlowError` when they come too slowly."""
        chunk: bytes = self._next()
        self._received += len(chunk)
        return chunk

    def _next(self) -> Any:
        while True:
            left = self._since + PATIENCE - time.monotonic()
            if left <= 0:
                if self._received < PATIENCE * SLOWEST:
                    raise TooSlowError(
                        f"too slow: {self._received:,} bytes in {PATIENCE} seconds, at least {SLOWEST:,} per second "
                        "are expected"
                    )
                self._received, self._since = 0, time.monotonic()
                continue
            try:
                came = self._came.get(timeout=left)
            except queue.Empty:
                continue
            if isinstance(came, BaseException):
                raise came
            return came

    def _run(self) -> None:
        try:
            with urllib.request.urlopen(self._request, timeout=TIMEOUT) as response:
                self._put(response)
                while not self._given_up.is_set():
                    chunk = response.read1(_CHUNK)
                    self._put(chunk)
                    if not chunk:
                        return
        except urllib.error.HTTPError as error:
            error.close()
            self._put(error)
        except (*NETWORK_ERRORS, ValueError) as error:
            self._put(error)
        except OSError as error:
            self._put(BrokenOffError(error.strerror or str(error)))
        except Exception as error:  # nothing may end this thread without a word
            self._put(BrokenOffError(f"{type(error).__name__}: {error}"))

    def _put(self, item: object) -> None:
        while not self._given_up.is_set():
            with contextlib.suppress(queue.Full):
                self._came.put(item, timeout=0.2)
                return
