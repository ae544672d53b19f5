"""Loading data for somebody who watches: progress bars, and warnings as plain text."""

from __future__ import annotations

import warnings
from collections.abc import Callable

from cnntrain.data.dataset import DataSet, load_data
from cnntrain.data.progress import ProgressBars
from cnntrain.data.settings import DataSettings


def load_and_tell(settings: DataSettings, seed: int, warn: Callable[[str], None]) -> DataSet:
    """Load a config's data as `load_data` does; what the loader warns of is passed to `warn` as plain text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        data = load_data(settings, seed, ProgressBars())
    for warning in caught:
        warn(str(warning.message))
    return data
