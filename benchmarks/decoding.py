"""How many photos one core decodes per second, beside how many the starter config of `cnntrain new photos` trains on.

    NUMBA_NUM_THREADS=1 python benchmarks/decoding.py

Times are the processor's, of this process, so that a machine which does something else as well says the same.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

import cnntrain
from cnntrain.bench.subject import subject_of_config
from cnntrain.data.decoding import decode
from cnntrain.data.image_form import Form
from cnntrain.shape import Shape

SECONDS = 3.0
SIZES = ((480, 640), (1200, 1600), (3000, 4000))
FORM = Form("rgb", 64, 64, resize=True, fit="crop")
STARTER = Path(cnntrain.__file__).parent / "cli" / "starters" / "photos.yaml"


def photo(rows: int, columns: int, kind: str) -> bytes:
    """Return a picture with as much in it as a photo has: JPEG files of some 2 bits per pixel."""
    random = np.random.default_rng(1)
    coarse = Image.fromarray(random.integers(0, 256, (rows // 8, columns // 8, 3), dtype=np.uint8))
    pixels = np.asarray(coarse.resize((columns, rows), Image.Resampling.BICUBIC)).astype(int)
    noisy = (pixels + random.integers(-8, 9, pixels.shape)).clip(0, 255).astype(np.uint8)
    stream = io.BytesIO()
    Image.fromarray(noisy).save(stream, kind, quality=85)
    return stream.getvalue()


def per_second(do: Callable[[], object], images: int = 1) -> float:
    """Return images per second of processor time."""
    do()
    begin, done = time.process_time(), 0
    while time.process_time() - begin < SECONDS:
        do()
        done += images
    return done / (time.process_time() - begin)


def main() -> None:
    """Print a table."""
    subject = subject_of_config(STARTER, image=Shape(*FORM.shape), classes=3)
    subject.warm_up()
    batch = subject.network.batch_size
    trained = per_second(subject.train, batch)
    print(f"trained    batches of {batch}, 3x64x64   {trained:>8,.0f} images/s")
    for kind in ("JPEG", "PNG"):
        for rows, columns in SIZES:
            content = photo(rows, columns, kind)
            rate = per_second(lambda content=content: decode(content, FORM))  # type: ignore[misc]
            print(
                f"decoded    {kind:<4} {columns}x{rows:<5} {len(content) / 1e6:>5.1f} MB {rate:>8,.1f} images/s   "
                f"{rate / trained:>6.2f} of what is trained"
            )


if __name__ == "__main__":
    main()
