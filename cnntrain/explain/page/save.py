"""Pages on the disk."""

from __future__ import annotations

from pathlib import Path

from cnntrain.errors import RunFolderError
from cnntrain.explain.page.lesson import lesson_pages
from cnntrain.runs.disk import write_atomically


def save_page(file: Path, page: str) -> int:
    """Write a page, in one step; return its size in bytes.

    Raises
    ------
    RunFolderError
        It cannot be written: there is no such folder, or no room, or the file is a folder.
    """
    if file.is_dir():
        raise RunFolderError(f"{file}: is a folder: name the file that the page shall be, for example {file}/step.html")
    content = page.encode("utf-8")
    write_atomically(file, content)
    return len(content)


def save_lessons(folder: Path) -> list[Path]:
    """Write a page for every lesson, and an index, into a folder, which may be new; return the files.

    Raises
    ------
    RunFolderError
        The folder cannot be made, or a file in it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{folder}: this folder cannot be made: {error.strerror or error}") from error
    files = []
    for name, page in lesson_pages():
        files.append(folder / name)
        save_page(files[-1], page)
    return files
