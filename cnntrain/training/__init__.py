"""Training: the loop, checkpoints, the run folder, logs, and what evaluation reports.

Import from the modules: `session` (a run from its config), `loop`, `checkpoint`, `run_folder`, `evaluation`, `report`.
"""

from __future__ import annotations
