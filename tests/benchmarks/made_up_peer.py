"""A peer that takes as long as the plan says and answers what the plan says: for tests of processes and protocol."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.peers import protocol
from benchmarks.peers.protocol import Array, Program
from benchmarks.peers.serving import serve


class MadeUp(protocol.Peer):
    """Variants by name: seconds per step; "wrong" and "broken" do not work."""

    def version(self) -> str:
        sys.stdout.write("frameworks print things\n")
        return "made up 1"

    def threads(self) -> int:
        return int(self.plan["threads"])

    def variants(self, mode: str) -> Sequence[str]:
        if mode not in self.plan["made_up"]:
            return []
        return list(self.plan["made_up"][mode])

    def program(self, mode: str, variant: str, state: Mapping[str, Array]) -> Program:
        if variant == "broken":
            raise NotImplementedError("not on this processor\nand more")
        if variant == "fatal":
            sys.exit("out of memory")
        right = np.array(self.plan["answers"][mode])
        return Program(
            lambda: time.sleep(self.plan["made_up"][mode][variant]),
            lambda: right * (1.002 if variant == "wrong" else 1.0005),
        )


if __name__ == "__main__":
    serve(MadeUp)
