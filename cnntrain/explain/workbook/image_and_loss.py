"""Where a step begins and where it turns round: the sheets of the image and of the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cnntrain.explain.example import Example
from cnntrain.explain.trace import Trace
from cnntrain.explain.workbook.arrays import Maps, maps
from cnntrain.explain.workbook.sheet import Book, Ref, constant
from cnntrain.passes.targets import targets


def image_sheet(book: Book, example: Example) -> Maps:
    """Write the pixels as they are stored, and normalised."""
    sheet = book.sheet("Image", f"Image: {example.title}", "Change any pixel: everything follows.", "374151")
    stored, shape = example.stored[0], example.network.input_shape
    scale, shift = (values.astype(float) for values in example.normalization.affine())
    is_bytes = stored.dtype.kind == "u"
    pixels = maps(
        sheet, "pixels, as they are stored", "0 is black, 255 white" if is_bytes else "", shape,
        lambda c, i, j: int(stored[c, i, j]) if is_bytes else float(stored[c, i, j]),
        "pixel" if is_bytes else "forward", is_input=not is_bytes,
    )  # fmt: skip
    book.arrays["image", "stored"] = pixels.at

    def normalised(c: int, i: int, j: int) -> str:
        added = float(shift[c, i, j] if shift.ndim == 3 else shift[c])
        return f"{sheet.seen(pixels.at((c, i, j)))}*{constant(scale[c])}+{constant(added)}"

    made = maps(sheet, "normalised: what enters the network", "pixel · scale + shift", shape,
                normalised, "forward")  # fmt: skip
    book.arrays["image", "normalised"] = made.at
    return made


def loss_refusal(trace: Trace) -> str | None:
    """Say why a loss has no formulas here; None if it has."""
    name = trace.loss_layer.name
    return None if name in ("cross_entropy", "mse") else f"the loss {name}: cross_entropy and mse have formulas here"


def loss_sheet(book: Book, example: Example, trace: Trace, logits: Sequence[Ref]) -> tuple[list[Ref], Ref]:
    """Write the loss of logits; return the cells of dL/d(logits), and that of the loss."""
    name, settings, classes = trace.loss_layer.name, trace.loss_layer.settings, trace.logits.shape[1]
    softmax = name == "cross_entropy"
    words = "L = -Σ t log p, p = softmax z;  dL/dz = p - t" if softmax else "L = ½ Σ (y - t)²;  dL/dy = y - t"
    sheet = book.sheet("Loss", f"Loss: {name}", words, "BE123C")
    sheet.text(4, 1, "label")
    label = sheet.put(4, 2, int(trace.labels[0]), "0", is_input=True)
    sheet.text(4, 3, "the number of the right class: change it")
    sheet.text(5, 1, "loss")
    smoothing, weights = (settings.label_smoothing, settings.class_weights) if softmax else (0.0, None)
    own, spread = targets(classes, smoothing, weights)
    heads = ["class", "z", "exp(z - max)", "p", "target t", "dL/dz"] if softmax else ["class", "y", "t", "dL/dy"]
    for column, head in enumerate(heads, 2):
        sheet.text(8, column, head)
    top = 9
    first, last = top, top + classes - 1
    place = sheet.seen(label)
    mine: Any = f"INDEX({{{','.join(constant(value) for value in own)}}},{place}+1)" if weights else constant(own[0])
    divisor = f"INDEX({{{','.join(constant(value) for value in weights)}}},{place}+1)" if weights else "1"
    gradients = []
    for k in range(classes):
        row = top + k
        sheet.text(row, 1, str(k))
        sheet.text(row, 2, example.class_names[k])
        z = sheet.put(row, 3, sheet.seen(logits[k]), "0.0000")
        if softmax:
            power = sheet.put(row, 4, f"EXP({sheet.seen(z)}-MAX(C{first}:C{last}))", "0.0000")
            share = sheet.put(row, 5, f"{sheet.seen(power)}/SUM(D{first}:D{last})", "0.0%")
            goal = sheet.put(row, 6, f"IF({place}={k},{mine},0)+{constant(spread[k])}", "0.000")
            text = f"({sheet.seen(share)}*SUM(F{first}:F{last})-{sheet.seen(goal)})/{divisor}"
        else:
            goal = sheet.put(row, 4, f"IF({place}={k},1,0)", "0")
            text = f"{sheet.seen(z)}-{sheet.seen(goal)}"
        gradients.append(sheet.put(row, 7 if softmax else 5, text, "0.0000;-0.0000;0"))
    log_total = f"(LN(SUM(D{first}:D{last}))+MAX(C{first}:C{last}))"
    cross = f"SUMPRODUCT(F{first}:F{last},{log_total}-C{first}:C{last})/{divisor}"
    quadratic = f"SUMXMY2(C{first}:C{last},D{first}:D{last})/2"
    loss = sheet.put(5, 2, cross if softmax else quadratic, "0.000000")
    book.arrays["loss", "loss"] = lambda _: loss
    book.arrays["loss", "grad_logits"] = lambda index: gradients[index[0]]
    return gradients, loss
