"""The report of a run that trains: written anew after each epoch, and never a reason for the training to end."""

from __future__ import annotations

from collections.abc import Callable

from cnntrain.data import DataSet
from cnntrain.report.insight import Insight, look_into
from cnntrain.report.page import page_of
from cnntrain.report.records import read_run
from cnntrain.runs.disk import write_atomically
from cnntrain.runs.folder import RunFolder


class LiveReport:
    """Keeps `report.html` of a run folder up to date; called after each epoch.

    The network is built again from the best checkpoint, beside the one that trains, whose bits this does not touch.
    What it answers is computed again only when there is a better one.

    Parameters
    ----------
    warn : callable
        Called with a text that the user should see, once.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn, self._has_warned = warn, False
        self._insight: tuple[int, Insight] | None = None

    def __call__(self, folder: RunFolder, data: DataSet) -> None:
        """Write the report of a run whose data are at hand."""
        try:
            write_atomically(folder.report, self._page(folder, data).encode())
        except Exception as error:  # whatever it is: the training is worth more than its picture
            if not self._has_warned:
                self._has_warned = True
                self._warn(f"the report could not be written, training goes on: {str(error) or type(error).__name__}")

    def _page(self, folder: RunFolder, data: DataSet) -> str:
        run = read_run(folder.path, folder.path.resolve().name)
        best = run.metadata.progress.epoch if run.metadata else 0
        if self._insight is None or self._insight[0] != best or self._insight[1].problem:
            self._insight = best, look_into(run, None, lambda _: data)
        return page_of([run], [self._insight[1]])
