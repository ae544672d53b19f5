"""The keys of the source `folder`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from cnntrain.data.image_form import Fit
from cnntrain.data.settings import DataSettings, HeldOut
from cnntrain.settings import PositivePair

_COLOURS = {"white": 255, "black": 0}
TableName = Annotated[str, Field(min_length=1, pattern=r"^[^\x00]*$")]
Byte = Annotated[int, Field(ge=0, le=255)]


def _colour(value: object) -> object:
    """Make (red, green, blue) of a name, one number for grey, or a list."""
    if isinstance(value, str) and value in _COLOURS:
        value = _COLOURS[value]
    if isinstance(value, int) and not isinstance(value, bool):
        return (value,) * 3
    if isinstance(value, list | tuple) and len(value) == 3:
        return tuple(value)
    raise ValueError("must be white, black, a number from 0 to 255, or [red, green, blue]")


_BYTE = {"type": "integer", "minimum": 0, "maximum": 255}
_COLOUR = {
    "anyOf": [{"enum": list(_COLOURS)}, _BYTE, {"type": "array", "items": _BYTE, "minItems": 3, "maxItems": 3}],
    "default": "white",
}
Colour = Annotated[tuple[Byte, Byte, Byte], BeforeValidator(_colour), WithJsonSchema(_COLOUR)]


class FolderSettings(DataSettings):
    """Keys of `data: {source: folder, ...}`; `path` is a directory or a zip archive.

    It holds `train/<class>/` and `test/<class>/` with image files (JPEG, PNG, BMP, GIF, PPM, TIFF, WebP), and perhaps
    `validation/<class>/`; `Training`, `Testing`, `val`, `valid` and capitals will do too, and all of it may lie in
    outer folders. With `test: 0.2` there need be no such folders: `<class>/` lies at the top, and test and validation
    images are chosen by content. Classes are numbered in the order of their names. Images are turned as their EXIF
    orientation says. Colours of 16 bits are cut to their upper 8; grey images of more than 8 bits need `white`.
    """

    color: Literal["rgb", "grey"] = Field("rgb", description="What images become: three channels, or one.")
    test: HeldOut = Field(
        0,
        description="Training images that are test images instead: a fraction of each class (0.2), or about so many in "
        "all. They, and with this key those of `validation` (a share of all images then), are chosen by their content: "
        "equal pictures stay together, and a picture keeps its place when others are added (unless its class would be "
        "off its share by more than half). 0: a folder holds them.",
    )
    labels: TableName | None = Field(
        None,
        description="A table of classes in place of folders named after them: a CSV file in `path` with the columns "
        "file and class.",
    )
    resize: PositivePair | None = Field(
        None, description="Scale every image to [rows, columns]; without it images of differing sizes are refused."
    )
    fit: Fit = Field(
        "stretch",
        description="How `resize` treats an image of other proportions. stretch: distorts it. crop: takes its middle, "
        "as large as fits. pad: keeps all of it, on the background.",
    )
    background: Colour = Field(
        (255, 255, 255),
        description="What lies under transparent pixels, and around images that `fit: pad` makes fit: white, black, a "
        "number from 0 to 255 for a grey, or [red, green, blue].",
    )
    white: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None,
        description="The value that is white in grey images of more than 8 bits: 65535 where they use 16, 4095 for 12. "
        "They are scaled to 8 bits by it; without it they are refused.",
    )
    skip_bad: bool = Field(
        False, description="Leave out files that cannot be read and say how many, in place of stopping at the first."
    )
    storage: Literal["cache", "memory", "stream"] = Field(
        "cache",
        description="Where decoded images stay. cache: in a file in the user's cache folder (CNNTRAIN_CACHE_DIR, "
        "XDG_CACHE_HOME or ~/.cache), so that the next start is quick and they need not fit into memory. memory: "
        "decoded at every start. stream: decoded in the background whenever a batch needs them, and kept nowhere.",
    )
