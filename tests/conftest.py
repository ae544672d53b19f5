from __future__ import annotations

import os

from hypothesis import settings

# A shared two-core machine makes any deadline flaky; in CI the examples are the same in every run.
settings.register_profile("cnntrain", deadline=None, derandomize="CI" in os.environ)
settings.load_profile("cnntrain")
