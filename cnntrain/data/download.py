"""Fetching published data: mirrors, checksums, and downloads that go on where they broke off.

A file is fetched into `<name>.part` and renamed when its checksum is right. What is left of a broken download is that
.part file, which the next attempt continues (HTTP Range); nothing else is ever left behind.
"""

from __future__ import annotations

import gzip
import hashlib
import time
import urllib.error
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

from cnntrain.data.answer import NETWORK_ERRORS, Answer, BrokenOffError, TooSlowError
from cnntrain.data.files import refuse_other_than_files
from cnntrain.data.progress import Progress, silent
from cnntrain.data.published import PublishedData, PublishedFile
from cnntrain.errors import DataError
from cnntrain.printable import printable

ATTEMPTS = 3  # per mirror; each goes on where the one before broke off
PAUSE = 1.0  # seconds before the second attempt; twice that before the third


class _MirrorError(Exception):
    """A mirror cannot give the file; `again` if another attempt may."""

    def __init__(self, message: str, again: bool = False) -> None:
        super().__init__(message)
        self.again = again


def download(
    data: PublishedData,
    folder: Path,
    *,
    mirrors: Sequence[str] = (),
    progress: Progress = silent,
    tell: Callable[[str], None] = lambda text: None,
) -> list[Path]:
    """Fetch the files of a data set that are not there yet.

    Parameters
    ----------
    data : PublishedData
    folder : Path
        Made if it is missing.
    mirrors : sequence of str
        Addresses of folders that are tried before the published ones.
    progress : callable
        Told how many bytes of a file have come.
    tell : callable
        Gets a line per event: a file was there, came, or a mirror failed.

    Returns
    -------
    list of Path
        The files.

    Raises
    ------
    DataError
        No mirror has a file with the right checksum, or it cannot be written. A file of that name with another checksum
        is never overwritten.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made: {error.strerror or error}") from None
    addresses = [mirror if mirror.endswith("/") else f"{mirror}/" for mirror in (*mirrors, *data.mirrors)]
    return [_Fetch(file, folder, progress, tell).run(addresses) for file in data.files]


class _Fetch:
    """The fetching of one file."""

    def __init__(self, file: PublishedFile, folder: Path, progress: Progress, tell: Callable[[str], None]) -> None:
        self._file, self._progress, self._tell = file, progress, tell
        self._target, self._part = folder / file.name, folder / f"{file.name}.part"

    def run(self, addresses: Sequence[str]) -> Path:
        try:
            if self._is_there():
                return self._target
            failures = []
            for address in addresses:
                failure = self._from_mirror(address + self._file.name)
                if failure is None:
                    self._tell(f"{self._target}: fetched, checksum right")
                    return self._target
                failures.append(failure)
                self._tell(failure)
        except OSError as error:
            raise DataError(f"{self._target}: cannot be written: {error.strerror or error}") from None
        left = (
            f"\n  {self._part} keeps what has come; the next attempt goes on from there" if self._part.exists() else ""
        )
        raise DataError(f"{self._target}: could not be fetched:\n  " + "\n  ".join(failures) + left)

    def _is_there(self) -> bool:
        for path in (self._target, self._part):
            refuse_other_than_files(path)
        if not self._target.exists():
            return False
        wrong = _wrong_checksum(self._target, self._file)
        if wrong:
            raise DataError(
                f"{self._target}: there is such a file, but it is not the published one ({wrong}); it is left alone: "
                "move it away, or name another folder with --to"
            )
        self._tell(f"{self._target}: is there, checksum right")
        return True

    def _from_mirror(self, url: str) -> str | None:
        """Try one mirror; None when the file has come, otherwise why not."""
        for attempt in range(ATTEMPTS):
            if attempt:
                time.sleep(PAUSE * attempt)
            try:
                self._receive(url)
                self._finish(url)
                return None
            except _MirrorError as error:
                failure = f"{url}: {error}"
                if not error.again:
                    break
        return failure

    def _finish(self, url: str) -> None:
        wrong = _wrong_checksum(self._part, self._file)
        if wrong:
            self._part.unlink()  # going on from wrong bytes would never end
            raise _MirrorError(f"is not the published file ({wrong}); removed")
        self._part.replace(self._target)

    def _receive(self, url: str) -> None:
        """Append what is missing to the .part file."""
        have = self._part.stat().st_size if self._part.exists() else 0
        headers = {"User-Agent": "cnntrain", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        try:
            with Answer(url, headers) as answer:
                self._store(answer, have)
        except urllib.error.HTTPError as error:
            if error.code == 416 and have:  # nothing beyond what is there: complete, or not this file's beginning
                if _wrong_checksum(self._part, self._file):
                    self._part.unlink()
                    raise _MirrorError("could not go on from what had come before", again=True) from None
                return
            raise _MirrorError(
                f"answers {error.code} {printable(str(error.reason))}", again=error.code >= 500
            ) from None
        except (*NETWORK_ERRORS, BrokenOffError) as error:
            reason = getattr(error, "reason", None) or error
            raise _MirrorError(f"connection failed ({reason or type(error).__name__})", again=True) from None
        except TooSlowError as error:
            raise _MirrorError(str(error)) from None
        except ValueError as error:  # urllib's, of a name that cannot be one
            raise _MirrorError(f"its address, or one that it leads to, is malformed ({error})") from None

    def _store(self, answer: Answer, have: int) -> None:
        response = answer.response
        if "html" in (response.headers.get("Content-Type") or "").lower():
            raise _MirrorError("sends a web page (HTML) instead of data")
        goes_on = have > 0 and response.status == 206
        if goes_on and not (response.headers.get("Content-Range") or "").startswith(f"bytes {have}-"):
            raise _MirrorError(f"sends another part than was asked for ({response.headers.get('Content-Range')})")
        most = 2 * self._file.size + (1 << 20)  # another compression of the same may be larger, but not endless
        received = have if goes_on else 0
        announced = response.headers.get("Content-Length")
        total = received + int(announced) if announced and announced.isdigit() else 0
        chunk = answer.read()
        if received == 0 and chunk.lstrip()[:1] == b"<":
            raise _MirrorError("sends a web page (HTML) instead of data")
        with self._part.open("ab" if goes_on else "wb") as part:
            while chunk:
                part.write(chunk)
                received += len(chunk)
                if received > most:
                    raise _MirrorError(f"sends more than {most:,} bytes; the file has {self._file.size:,}")
                self._progress(self._file.name, received, total)
                chunk = answer.read()
        if total and received < total:
            raise _MirrorError(f"connection broke after {received:,} of {total:,} bytes", again=True)


def _wrong_checksum(path: Path, file: PublishedFile) -> str:
    """Say how the checksum differs; "" if it is right."""
    digests = {"md5": hashlib.md5(usedforsecurity=False), "sha256": hashlib.sha256()}
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            for digest in digests.values():
                digest.update(chunk)
    kind, expected = ("sha256", file.sha256) if file.sha256 else ("md5", file.md5)
    found = digests[kind].hexdigest()
    if found == expected and digests["md5"].hexdigest() == file.md5:
        return ""
    if file.content_md5 is not None and _content_md5(path) == file.content_md5:
        return ""
    return f"{kind} {found}, expected {expected}; {path.stat().st_size:,} bytes, expected {file.size:,}"


def _content_md5(path: Path) -> str:
    digest = hashlib.md5(usedforsecurity=False)
    try:
        with gzip.open(path, "rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    except (OSError, EOFError, zlib.error):
        return ""
    return digest.hexdigest()
