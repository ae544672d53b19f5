"""The same bits for 1, 2 and 3 threads."""

from __future__ import annotations

import os
import subprocess
import sys

CODE = """
import hashlib, numpy as np, numba
from tests.augmentations.test_augmentations import EVERYTHING, augmented, colours
for threads in (1, 2, 3):
    numba.set_num_threads(threads)
    print(hashlib.sha256(augmented(colours(), *EVERYTHING, epoch=2).tobytes()).hexdigest())
"""


def test_the_number_of_threads_changes_nothing() -> None:
    environment = {**os.environ, "NUMBA_NUM_THREADS": "3"}
    result = subprocess.run([sys.executable, "-c", CODE], env=environment, capture_output=True, text=True, check=True)
    lines = result.stdout.split()
    assert len(lines) == 3
    assert len(set(lines)) == 1
