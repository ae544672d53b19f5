"""`python -m cnntrain`."""

from __future__ import annotations

from cnntrain.cli import main

main(prog_name="cnntrain")
