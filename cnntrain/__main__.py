"""`python -m cnntrain`, and the command `cnntrain`."""

from __future__ import annotations

from cnntrain import interrupts


def run() -> None:
    """Run the command line."""
    interrupts.install()  # before the imports, which take longer than a hurried user waits
    from cnntrain.processes.launch import speak_once

    speak_once()  # one of several processes answers, from here on
    from cnntrain.cli import main

    main(prog_name="cnntrain")


if __name__ == "__main__":
    run()
