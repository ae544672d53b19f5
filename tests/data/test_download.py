"""Downloads from a server on this machine that misbehaves in every way servers do."""

from __future__ import annotations

import contextlib
import gc
import gzip
import hashlib
import os
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.data import SOURCES, answer
from cnntrain.data import download as module
from cnntrain.data.download import download
from cnntrain.data.published import PublishedData, PublishedFile
from cnntrain.errors import DataError

CONTENT = np.random.default_rng(1).bytes(300_000)
NAME = "numbers.bin"
FILE = PublishedFile(NAME, len(CONTENT), hashlib.md5(CONTENT).hexdigest(), hashlib.sha256(CONTENT).hexdigest())


class Server(ThreadingHTTPServer):
    """Gives CONTENT under /good/, and other answers under other folders."""

    daemon_threads = True
    requests: list[tuple[str, str | None]]
    stopping: threading.Event
    breaks: int  # how many answers of /breaks/ stop halfway

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        kind, asked = self.path.split("/")[1], self.headers.get("Range")
        self.server.requests.append((kind, asked))
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        content, status, headers = CONTENT, 200, {}
        if kind in ("drip", "drip-header", "drip-chunks"):
            self.drip(kind)
            return
        if kind in REDIRECTS:
            self.send_response(302)
            self.send_header("Location", REDIRECTS[kind])
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "odd-reason":
            self.send_response(404, "No \x1b[31m\x9b way")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if kind == "missing":
            content, status = b"no", 404
        elif kind == "ill":
            content, status = b"no", 503
        elif kind == "page":
            content, headers = b"<html>moved</html>", {"Content-Type": "text/html; charset=utf-8"}
        elif kind == "hidden-page":
            content, headers = b"\n <!doctype html>", {"Content-Type": "application/octet-stream"}
        elif kind == "wrong":
            content = b"\0" + CONTENT[1:]
        elif kind == "endless":
            content = CONTENT * 10
        elif kind in ("good", "breaks", "shifted") and asked:
            if start >= len(content):
                content, status = b"", 416
            else:
                place = start + (5 if kind == "shifted" else 0)
                content, status = content[start:], 206
                headers = {"Content-Range": f"bytes {place}-{len(CONTENT) - 1}/{len(CONTENT)}"}
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if kind in ("breaks", "breaks-no-range") and self.server.breaks > 0:
            self.server.breaks -= 1
            self.wfile.write(content[: len(content) // 2])
            self.close_connection = True
            return
        self.wfile.write(content)

    def drip(self, kind: str) -> None:
        """Send a byte at a time, and never end."""
        self.close_connection = True
        start = {
            "drip": f"HTTP/1.1 200 OK\r\nContent-Length: {len(CONTENT)}\r\n\r\n",
            "drip-header": "HTTP/1.1 200 OK\r\nX-Header: ",
            "drip-chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        }[kind]
        with contextlib.suppress(OSError):
            self.wfile.write(start.encode())
            for byte in CONTENT if kind == "drip" else b"1" * len(CONTENT):
                self.wfile.write(bytes([byte]))
                if self.server.stopping.wait(0.02):
                    return


REDIRECTS = {
    "to-brackets": "http://[::1/x",
    "to-port": "http://a:port/x",
    "to-blank": "http://a b/x",
    "to-file": "file:///etc/passwd",
    "to-label": f"http://{'a' * 64}.example/x",
    "to-nul": "http://a\x00b/",
}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setattr(module, "PAUSE", 0)
    monkeypatch.setattr(answer, "TIMEOUT", 10)
    running = Server(("127.0.0.1", 0), Handler)
    running.requests, running.breaks, running.stopping = [], 0, threading.Event()
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running
    running.stopping.set()
    running.shutdown()
    thread.join()
    running.server_close()


def data_of(mirrors: tuple[str, ...], file: PublishedFile = FILE) -> PublishedData:
    return PublishedData((file,), mirrors, image_shape=(1, 2, 2), class_names=("a", "b"))


def fetch(server: Server, folder: Path, *kinds: str, file: PublishedFile = FILE, **keys: Any) -> list[Path]:
    mirrors = tuple(f"{server.address}/{kind}/" for kind in kinds)
    return download(data_of(mirrors, file), folder, **keys)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_comes_and_is_not_fetched_twice(server: Server, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = tmp_path / "new" / "folder"
    [path] = fetch(server, folder, "good", progress=lambda what, done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert left(folder) == [NAME]
    assert told[-1] == (len(CONTENT), len(CONTENT))
    fetch(server, folder, "good")
    assert server.requests == [("good", None)]


def test_a_broken_connection_goes_on(server: Server, tmp_path: Path) -> None:
    server.breaks = 2
    [path] = fetch(server, tmp_path, "breaks")
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == [NAME]
    assert server.requests == [("breaks", None), ("breaks", "bytes=150000-"), ("breaks", "bytes=225000-")]


def test_what_is_left_of_a_download_is_named_and_continued_by_the_next(server: Server, tmp_path: Path) -> None:
    server.breaks = 3
    with pytest.raises(DataError) as caught:
        fetch(server, tmp_path, "breaks")
    message = str(caught.value)
    assert message.startswith(
        f"{tmp_path}/{NAME}: could not be fetched:\n  {server.address}/breaks/{NAME}: connection broke after"
    )
    assert message.endswith(f"{tmp_path}/{NAME}.part keeps what has come; the next attempt goes on from there")
    assert left(tmp_path) == [f"{NAME}.part"]
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:262_500]
    [path] = fetch(server, tmp_path, "good")
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == ("good", "bytes=262500-")
    assert left(tmp_path) == [NAME]


def test_a_server_without_ranges_begins_again(server: Server, tmp_path: Path) -> None:
    server.breaks = 1
    [path] = fetch(server, tmp_path, "breaks-no-range")
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == ("breaks-no-range", "bytes=150000-")


def test_a_complete_part_is_only_renamed(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    [path] = fetch(server, tmp_path, "good")
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == [NAME]


@pytest.mark.parametrize("start", [b"other bytes", CONTENT + b"and more"])
def test_a_part_of_something_else_does_not_last(server: Server, tmp_path: Path, start: bytes) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(start)
    if len(start) < len(CONTENT):  # the rest comes, and the whole turns out wrong
        with pytest.raises(DataError, match="is not the published file"):
            fetch(server, tmp_path, "good")
        assert left(tmp_path) == []
    [path] = fetch(server, tmp_path, "good")
    assert path.read_bytes() == CONTENT
    assert left(tmp_path) == [NAME]


@pytest.mark.parametrize(
    ("kind", "reason", "requests"),
    [
        ("missing", "answers 404 Not Found", 1),
        ("ill", "answers 503 Service Unavailable", 3),
        ("page", "sends a web page (HTML) instead of data", 1),
        ("hidden-page", "sends a web page (HTML) instead of data", 1),
        ("wrong", "is not the published file (sha256 ", 1),
        ("endless", "sends more than 1,648,576 bytes; the file has 300,000", 1),
    ],
)
def test_a_bad_mirror_is_named_and_the_next_one_tried(
    server: Server, tmp_path: Path, kind: str, reason: str, requests: int
) -> None:
    with pytest.raises(DataError) as caught:
        fetch(server, tmp_path / "a", kind)
    assert f"  {server.address}/{kind}/{NAME}: {reason}" in str(caught.value)
    assert len(server.requests) == requests
    assert [name for name in left(tmp_path / "a") if not name.endswith(".part")] == []
    told: list[str] = []
    [path] = fetch(server, tmp_path / "b", kind, "good", tell=told.append)
    assert path.read_bytes() == CONTENT
    assert left(tmp_path / "b") == [NAME]
    assert reason in told[0]
    assert told[1] == f"{path}: fetched, checksum right"


def test_another_part_than_asked_for(server: Server, tmp_path: Path) -> None:
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:1000])
    with pytest.raises(DataError, match="sends another part than was asked for .bytes 1005-"):
        fetch(server, tmp_path, "shifted")


def test_a_server_that_is_not_there(server: Server, tmp_path: Path) -> None:
    mirrors = ("http://127.0.0.1:9/x/", f"{server.address}/good/")
    [path] = download(data_of(mirrors), tmp_path)
    assert path.read_bytes() == CONTENT
    with pytest.raises(DataError, match="connection failed"):
        download(data_of(mirrors[:1]), tmp_path / "b")


def test_an_extra_mirror_comes_first(server: Server, tmp_path: Path) -> None:
    data = data_of((f"{server.address}/missing/",))
    download(data, tmp_path, mirrors=[f"{server.address}/good"])
    assert server.requests == [("good", None)]


def test_a_file_with_another_checksum_is_never_overwritten(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    with pytest.raises(DataError, match="there is such a file, but it is not the published one .* left alone"):
        fetch(server, tmp_path, "good")
    assert (tmp_path / NAME).read_bytes() == b"mine"
    assert server.requests == []


def test_a_file_that_was_compressed_anew_is_as_good(server: Server, tmp_path: Path) -> None:
    inside = hashlib.md5(b"digits" * 100).hexdigest()
    file = PublishedFile("d.gz", 50, "0" * 32, "0" * 64, inside)
    (tmp_path / "d.gz").write_bytes(gzip.compress(b"digits" * 100, 1))
    [path] = fetch(server, tmp_path, file=file)
    assert path == tmp_path / "d.gz"
    (tmp_path / "d.gz").write_bytes(gzip.compress(b"digits" * 99, 1))
    with pytest.raises(DataError, match="not the published one"):
        fetch(server, tmp_path, file=file)


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be made: "):
        fetch(server, tmp_path / "file" / "x", "good")


def test_what_is_published() -> None:
    published = {name: source.published for name, source in SOURCES.items() if source.published is not None}
    assert published.keys() >= {"mnist", "fashion-mnist", "cifar10"}
    for data in published.values():
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in data.mirrors)
        assert len(set(data.class_names)) == len(data.class_names) > 1
        for file in data.files:
            assert len(file.md5) == 32
            assert file.sha256 is None or len(file.sha256) == 64


def test_the_files_of_this_repository_are_the_published_ones() -> None:
    published = SOURCES["mnist"].published
    assert published is not None
    assert module._wrong_checksum(Path("data/mnist/t10k-labels-idx1-ubyte.gz"), published.files[3]) == ""


@pytest.mark.parametrize("kind", ["drip", "drip-header", "drip-chunks"])
def test_a_server_that_drips_is_left(
    server: Server, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A socket's timeout begins anew with each byte: this took for ever."""
    monkeypatch.setattr(answer, "PATIENCE", 0.5)
    told: list[str] = []
    [path] = fetch(server, tmp_path, kind, "good", tell=told.append)
    assert path.read_bytes() == CONTENT
    assert re.search(r"too slow: \d* bytes in 0.5 seconds, at least 1,000 per second are expected", told[0])
    assert [kind for kind, _ in server.requests] == [kind, "good"]


def test_a_slow_start_is_no_drip(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rate is that of each stretch of time; a small file that comes whole has none."""
    monkeypatch.setattr(answer, "PATIENCE", 20)
    assert fetch(server, tmp_path, "good")[0].read_bytes() == CONTENT


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # urllib leaves the socket open
@pytest.mark.parametrize("kind", REDIRECTS)
def test_a_redirect_to_a_malformed_address(server: Server, tmp_path: Path, kind: str) -> None:
    told: list[str] = []
    [path] = fetch(server, tmp_path, kind, "good", tell=told.append)
    assert path.read_bytes() == CONTENT
    assert told[0].startswith(f"{server.address}/{kind}/{NAME}: ")
    gc.collect()


@pytest.mark.parametrize("mirror", ["http://[::1/", "http://", "http://a:port/", "http://a b/", "http://\x00/"])
def test_a_malformed_mirror(tmp_path: Path, mirror: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAUSE", 0)
    with pytest.raises(DataError, match="could not be fetched"):
        download(data_of(()), tmp_path, mirrors=[mirror])


def test_what_a_server_says_cannot_confuse_a_terminal(server: Server, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"answers 404 No \\x1b\[31m"):
        fetch(server, tmp_path, "odd-reason")


@pytest.mark.parametrize("name", [NAME, f"{NAME}.part"])
def test_a_pipe_in_place_of_a_file(server: Server, tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / name)
    with pytest.raises(DataError, match=f"{name}: is a device or pipe, not a file"):
        fetch(server, tmp_path, "good")
