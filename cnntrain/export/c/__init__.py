"""`cnntrain export --c`: one C99 file with weights, a planned arena, and `int predict(image, probabilities)`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cnntrain.export.c.functions import PARTS, needed
from cnntrain.export.c.layers import TABLE, literal, program_of
from cnntrain.export.c.program import Arena, Program, Step, plan
from cnntrain.export.model import Array, Model, check_layers
from cnntrain.layers import LayerRow

TOLERANCE = 1e-4  # of the self-test, times the largest logit where that is more than 1
SELF_TEST = 3  # images
_PER_LINE = 8


def check(rows: Sequence[LayerRow]) -> None:
    """Raise `ExportError` where a layer has no C function."""
    check_layers(rows, TABLE, "C")


@dataclass(frozen=True)
class CFile:
    """A network in C, before it is written.

    Attributes
    ----------
    model : Model
    program : Program
    arena : Arena
    logits : int
        The value that holds them.
    """

    model: Model
    program: Program
    arena: Arena
    logits: int

    @classmethod
    def of(cls, model: Model, *, fold_batch_norm: bool = False) -> CFile:
        """Plan the file; the layers must have passed `check`."""
        program, logits = program_of(model, fold_batch_norm)
        return cls(model, program, plan(program, logits), logits)

    @property
    def parts(self) -> list[str]:
        """All functions and types, in their order."""
        return needed([*self.program.kinds, "softmax"])

    @property
    def libm(self) -> bool:
        """The file needs the C library's mathematics: -lm."""
        return any(PARTS[part].libm for part in self.parts)

    def text(self, predict_logits: Callable[[Array], Array]) -> str:
        """Return the file; `predict_logits` of images (N, C, H, W) is what the self-test expects."""
        texts = [
            self._head(),
            *(PARTS[part].text for part in self.parts),
            *(_array(name, values) for name, values in self.program.arrays.items()),
            "".join(f"static const struct {s.type} {name} = {s.text};\n" for name, s in self.program.structs.items()),
            self._run(),
            self._self_test(predict_logits),
        ]
        return "\n".join(text for text in texts if text)

    def _head(self) -> str:
        model, classes = self.model, len(self.model.class_names)
        pixel = "uint8_t" if model.image_type == "uint8" else "float"
        link = " -lm" if self.libm else ""
        names = ",\n".join(f"    {_string(name)}" for name in model.class_names)
        return f"""/* {ascii(model.name)[1:-1]}: a network for images of {model.input_shape} ({pixel}), by cnntrain.

   int predict(const {pixel} *image, float *probabilities);

   takes an image as it is stored, channel by channel, row by row (C, H, W), writes {classes} probabilities, and returns
   the most probable class, whose name is in class_names. It allocates nothing; everything between the layers lies in
   one array, so that only one thread at a time may call it.

       constants {self.program.constants:,} bytes   arena {self.arena.bytes:,} bytes

   cc -std=c99 -O2 -DCNNTRAIN_SELF_TEST this.c -o self-test{link} && ./self-test */

#include <stdint.h>
{"#include <math.h>" if self.libm else ""}
#ifdef CNNTRAIN_SELF_TEST
#include <stdio.h>
#endif

typedef {pixel} pixel;

enum {{ CLASSES = {classes}, ARENA = {self.arena.size} }};

const char *const class_names[CLASSES] = {{
{names},
}};

static float arena[ARENA];
"""

    def _run(self) -> str:
        calls = "\n".join(f"    {self._call(step)} /* {step.comment} */" for step in self.program.steps)
        return f"""/* Run all layers; the result is the logits, which stay until the next call. */
static const float *run(const pixel *image)
{{
{calls}
    return {self._place(self.logits)};
}}

int predict(const pixel *image, float *probabilities)
{{
    return softmax(run(image), probabilities, CLASSES);
}}
"""

    def _call(self, step: Step) -> str:
        sources = ["image"] if step.settings == "image" else [self._place(value) for value in step.sources]
        settings = [f"&{step.settings}"] if step.settings not in ("", "image") else []
        words = [*settings, *sources, self._place(step.target, step.offset), *step.arguments]
        return f"{step.kind}({', '.join(words)});"

    def _place(self, value: int, offset: int = 0) -> str:
        place = self.arena.places[value] + offset
        return f"arena + {place}" if place else "arena"

    def _self_test(self, predict_logits: Callable[[Array], Array]) -> str:
        images = sample_images(self.model, SELF_TEST)
        expected = np.asarray(predict_logits(images), np.float32)
        is_bytes = self.model.image_type == "uint8"
        texts = [str(v) if is_bytes else literal(v) for v in images.reshape(-1)]
        wanted = [literal(v) for v in expected.reshape(-1)]
        tolerance = literal(TOLERANCE * max(1.0, float(np.abs(expected).max())))
        return f"""#ifdef CNNTRAIN_SELF_TEST
enum {{ IMAGES = {SELF_TEST}, PIXELS = {self.model.input_shape.size} }};

{_listed("pixel", "test_images", "[IMAGES * PIXELS]", texts)}
{_listed("float", "test_logits", "[IMAGES * CLASSES]", wanted)}
/* Random images, and what cnntrain says of them. */
int main(void)
{{
    static float probabilities[CLASSES];
    float worst = 0.0f;
    for (int n = 0; n < IMAGES; n++) {{
        const float *expected = test_logits + n * CLASSES;
        const int answer = predict(test_images + n * PIXELS, probabilities);
        const float *logits = run(test_images + n * PIXELS);
        for (int i = 0; i < CLASSES; i++) {{
            const float difference = logits[i] < expected[i] ? expected[i] - logits[i] : logits[i] - expected[i];
            worst = difference <= worst ? worst : difference;
        }}
        printf("image %d: %s (%.4f)\\n", n, class_names[answer], (double)probabilities[answer]);
    }}
    printf("largest difference of a logit: %.2g, allowed: %.2g\\n", (double)worst, (double){tolerance});
    return worst <= {tolerance} ? 0 : 1;
}}
#endif
"""


def sample_images(model: Model, number: int) -> Array:
    """Return random images, the same each time: coarse squares, so that they are no mere noise to a convolution."""
    channels, rows, columns = model.input_shape
    generator = np.random.default_rng(1)
    coarse = generator.integers(0, 256, (number, channels, -(-rows // 4), -(-columns // 4)), dtype=np.uint8)
    images = coarse.repeat(4, axis=2).repeat(4, axis=3)[:, :, :rows, :columns]
    if model.image_type == "uint8":
        return np.ascontiguousarray(images)
    scale, shift = model.normalization.affine()
    wanted = images.astype(np.float32) / 128 - 1  # as large as normalised images are
    by_pixel = shift if shift.ndim == 3 else shift[:, None, None]
    return np.ascontiguousarray((wanted - by_pixel) / scale[:, None, None], np.float32)


def _array(name: str, values: Array) -> str:
    return _listed("float", name, f"[{values.size}]", [literal(value) for value in values])


def _listed(kind: str, name: str, size: str, words: Sequence[str]) -> str:
    lines = [", ".join(words[i : i + _PER_LINE]) for i in range(0, len(words), _PER_LINE)]
    body = ",\n".join(f"    {line}" for line in lines)
    return f"static const {kind} {name}{size} = {{\n{body},\n}};\n"


def _string(text: str) -> str:
    """Return a text as a C string of ASCII: everything else, and what could begin a trigraph, as octal escapes."""
    plain = {*range(32, 127)} - set(b'"\\?')
    return '"' + "".join(chr(b) if b in plain else f"\\{b:03o}" for b in text.encode("utf-8", "surrogateescape")) + '"'
