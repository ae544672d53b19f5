"""ONNX Runtime on what `cnntrain export --onnx` writes: evaluation alone, from bytes, as ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import onnxruntime

from benchmarks.peers import protocol
from benchmarks.peers.protocol import Array, Plan, Program
from benchmarks.peers.serving import serve


class OnnxRuntime(protocol.Peer):
    """One session."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self._options = onnxruntime.SessionOptions()
        self._options.intra_op_num_threads, self._options.inter_op_num_threads = plan["threads"], 1

    def version(self) -> str:
        return f"ONNX Runtime {onnxruntime.__version__}"

    def threads(self) -> int:
        return int(self._options.intra_op_num_threads)

    def variants(self, mode: str) -> Sequence[str]:
        return ["NCHW"] if mode == "evaluation" else []

    def program(self, mode: str, variant: str, state: Mapping[str, Array]) -> Program:
        session = onnxruntime.InferenceSession(self.plan["onnx"], self._options, ["CPUExecutionProvider"])
        (images,) = session.get_inputs()
        bytes_of, size, number = protocol.synthetic(self.plan)[0], self.plan["batch_size"], 0
        batches = [bytes_of[i : i + size] for i in range(0, len(bytes_of), size)]

        def logits(batch: Array) -> Array:
            found: Array = session.run(["logits"], {images.name: batch})[0]
            return found

        def step() -> None:
            nonlocal number
            number += 1
            logits(batches[number % len(batches)])

        return Program(step, lambda: logits(batches[0]))


if __name__ == "__main__":
    serve(OnnxRuntime)
