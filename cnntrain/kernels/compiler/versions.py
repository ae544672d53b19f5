"""Which Numba is known: what is done with its private interfaces was tried with these versions only."""

from __future__ import annotations

import numba

KNOWN = (0, 62) <= numba.version_info.short <= (0, 68)
