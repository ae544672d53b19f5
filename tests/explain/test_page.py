from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import shutil
import zlib
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from cnntrain.errors import ArgumentError, CnntrainError
from cnntrain.explain import Trace, trace
from cnntrain.explain.example import example_of
from cnntrain.explain.page import examples_of_run, page_of, page_of_examples
from cnntrain.explain.page.html import SCRIPTS, in_script, static
from cnntrain.explain.page.pack import Packer, checksum
from cnntrain.explain.pictures import Wanted
from cnntrain.optimizers import OPTIMIZERS
from tests.layers.networks import batch, network
from tests.training.small import STEPS, train, write_config

LENET = """
- conv2d: {filters: 6, kernel_size: 5, padding: same}
- tanh
- max_pool2d: 2
- conv2d: {filters: 16, kernel_size: 5}
- tanh
- max_pool2d: 2
- dense: 120
- tanh
- dense: 84
- tanh
- dense: classes
"""


def traced(layers: str, shape: tuple[int, int, int], images: int = 1, classes: int = 3, **settings: Any) -> Trace:
    net = network(layers, shape, images=images, classes=classes, fusions=False)
    rule = OPTIMIZERS["sgd"]
    optimizer = rule(rule.Settings(learning_rate=0.1, **settings), net.parameters)
    return trace(net, *batch(net, images), optimizer=optimizer, learning_rate=0.1)


def unpacked(packer: Packer, number: int) -> NDArray[Any]:
    """What `pack.py` says of the format, read by its words."""
    whole, at = zlib.decompress(base64.b64decode(packer.text())), 0
    for kind, count, *_ in packer.table[:number]:
        at += np.dtype(kind).itemsize * count if kind in ("f8", "f4", "i4", "i2", "i1") else 0
    kind, count = packer.table[number][:2]
    if kind == "zero":
        return np.zeros(count)
    width = np.dtype(kind).itemsize
    by_bytes = np.frombuffer(whole, np.uint8, count * width, at).reshape(width, count)
    return np.ascontiguousarray(by_bytes.T).view(f"<{kind}").ravel()


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([0.0, 0.0], "zero"), ([0.5, -0.0, 3.0], "f4"), ([0.1, 1e300], "f8"), ([np.nan, np.inf, 1.0], "f4"),
        ([-0.0, 0.0], "f4"), ([1e-320, 1.0], "f8"),
    ],
)  # fmt: skip
def test_an_array_travels_without_loss(values: list[float], kind: str) -> None:
    packer = Packer()
    packer.add(np.array([7.25, 0.1]))  # something before it
    number = packer.add(np.array(values))
    assert packer.table[number] == [kind, len(values)]
    np.testing.assert_array_equal(
        unpacked(packer, number).astype(np.float64).view(np.int64), np.array(values).view(np.int64)
    )


def test_whole_numbers_take_few_bytes_and_equal_arrays_none() -> None:
    packer = Packer()
    numbers = [packer.add(np.array(values, np.int16)) for values in ([1, -2], [300, 1], [0, 0])]
    assert [packer.table[n][0] for n in numbers] == ["i1", "i2", "zero"]
    assert unpacked(packer, numbers[1]).tolist() == [300, 1]
    first = packer.add(np.array([0.1, 0.2]))
    assert packer.add(np.array([[0.1], [0.2]])) == first


def test_an_outer_product_is_named_where_it_is_one_in_every_bit() -> None:
    packer = Packer()
    a, b = np.array([0.1, 0.3]), np.array([0.7, -1.1, 2.0])
    array = np.outer(a, b)
    assert packer.table[packer.outer(array, a, b)] == ["outer", 0, 1, checksum(array)]
    array[1, 2] = np.nextafter(array[1, 2], 9)
    assert packer.table[packer.outer(array, a, b)][0] == "f8"


def test_a_guess_that_is_far_off_is_not_used() -> None:
    packer = Packer()
    array = np.linspace(0.1, 1, 100)
    assert packer.table[packer.near(array, array * (1 + 1e-15), ["sgd", {}, []])][0] == "rule"
    assert packer.table[packer.near(array + 1, array, ["sgd", {}, []])][0] == "f8"


def test_lenet_with_one_digit_takes_less_than_three_megabytes() -> None:
    made = traced(LENET, (1, 28, 28), classes=10, momentum=0.9, nesterov=True, weight_decay=5e-4)
    assert len(page_of(made, title="LeNet-5").encode()) < 3_000_000


class Elements(HTMLParser):
    """Names and attributes of all elements, and the text of scripts and styles."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.inside: list[str] = []
        self.reading = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self.inside.append("")
        self.reading = tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self.reading = False

    def handle_data(self, data: str) -> None:
        if self.reading:
            self.inside[-1] += data


@pytest.fixture(scope="module")
def small() -> Trace:
    return traced("- conv2d: {filters: 4, kernel_size: 3}\n- dense: classes", (1, 6, 6))


HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", "\u202eevil\x00", "]]>\u2028'\"&amp;"]


def test_names_of_strangers_lead_nowhere(small: Trace) -> None:
    names = [*HOSTILE, "a\ud800"]
    text = page_of([(names[0], small)], title=names[0], about=names[1], class_names=names, notes=names)
    text.encode("utf-8")
    page, plain = (Elements(made) for made in (text, page_of([("x", small)], title="t", notes=["n"] * len(names))))
    assert [tag for tag, _ in page.found] == [tag for tag, _ in plain.found]
    scripts = [body for (tag, _), body in zip(page.found, page.inside, strict=True) if tag == "script"]
    assert json.loads(scripts[0])["classes"][0] == HOSTILE[0]
    assert "\u202e" not in text
    assert "\x00" not in text


def test_a_page_may_load_nothing_and_runs_its_own_script_alone(small: Trace) -> None:
    page = Elements(page_of(small, title="t"))
    policy = next(a["content"] for tag, a in page.found if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert policy.startswith("default-src 'none'; ")
    for kind, tag in (("script-src", "script"), ("style-src", "style")):
        body = [
            text for (name, a), text in zip(page.found, page.inside, strict=True) if name == tag and "type" not in a
        ]
        digest = base64.b64encode(hashlib.sha256(body[0].encode()).digest()).decode()
        assert len(body) == 1
        assert f"{kind} 'sha256-{digest}'" in policy
    assert not [a for _, a in page.found if {"src", "href", "style", "onclick"} & a.keys()]


def test_scripts_ask_for_nothing_from_outside() -> None:
    for name in (*SCRIPTS, "lesson"):
        source = static(f"{name}.js").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|fetch\(|XMLHttp|import\s*\(|innerHTML|eval\(|</script", source), name
    for name in ("style", "lesson"):
        assert not re.search(r"url\(|@import|http", static(f"{name}.css")), name


def test_json_in_a_script_cannot_end_it() -> None:
    made = in_script({"a": "</script>&<!--"})
    assert not set("<>&") & set(made)
    assert json.loads(made) == {"a": "</script>&<!--"}


def test_what_belongs_on_one_page(small: Trace) -> None:
    with pytest.raises(ArgumentError, match="a page needs a trace; received none"):
        page_of([], title="t")
    other = traced("- dense: classes", (1, 6, 6))
    with pytest.raises(ArgumentError, match='of one network on equally many images; "b\\\\x1b" has other layers'):
        page_of([("a", small), ("b\x1b", other)], title="t")


def test_a_network_that_has_diverged_has_a_page_too() -> None:
    net = network("- dense: classes", (1, 2, 2), images=1, fusions=False)
    net.parameters[0].value[...] = np.nan
    made = trace(net, *batch(net, 1))
    assert '"value":"NaN"' in page_of(made, title="t")


def test_the_page_of_examples_tells_their_origin() -> None:
    config = Path(__file__).parents[2] / "configs" / "mnist-lenet5.yaml"
    data = f"data.path={config.parents[1] / 'data' / 'mnist'}"
    small = "network=[{max_pool2d: 4}, {dense: classes}]"
    example = example_of(config, from_config=True, overrides=[data, small])
    one = page_of_examples([example])
    assert "<title>mnist-lenet5</title>" in one
    assert "image 0 of the test split; initial weights" in one
    later = dataclasses.replace(example, origin="after epoch 1", notes=("a <note>", *example.notes))
    two = page_of_examples([example, later])
    assert '"name":"initial weights"' in two
    assert '"name":"after epoch 1"' in two
    assert two.count("a &lt;note&gt;") == 1
    with pytest.raises(ArgumentError, match="a page needs an example; received none"):
        page_of_examples([])


def test_a_run_has_an_example_for_each_checkpoint(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(write_config(tmp_path), run, "train.epochs=1")
    (run / ".last.safetensors.7.tmp").write_bytes(b"half")
    (alone,) = examples_of_run(run)
    assert alone.name.endswith("last.safetensors")  # the best is after the same step and has no optimiser
    train(write_config(tmp_path), tmp_path / "longer", "train.epochs=2")
    shutil.copy(tmp_path / "longer" / "last.safetensors", run / "step-000002.safetensors")
    found = examples_of_run(run, wanted=Wanted(index=3))
    assert [example.origin for example in found] == [f"after epoch {n} (step {n * STEPS})" for n in (1, 2)]
    assert {example.title for example in found} == {"image 3 of the test split"}
    assert f'"name":"after epoch 2 (step {2 * STEPS})"' in page_of_examples(found)
    with pytest.raises(CnntrainError, match="nowhere"):
        examples_of_run(tmp_path / "nowhere")


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def palettes() -> Iterator[dict[str, str]]:
    blocks = re.findall(r"color-scheme: (?:light|dark);(.*?)\}", static("style.css"), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        yield dict(re.findall(r"--(\w+): (#[0-9a-f]{6});", block))


def test_colours_can_be_read() -> None:
    """WCAG 2: a contrast of 4.5 for text."""
    contrast: Callable[[str, str], float] = lambda a, b: (  # noqa: E731
        (max(luminance(a), luminance(b)) + 0.05) / (min(luminance(a), luminance(b)) + 0.05)
    )
    made = list(palettes())
    assert made[1] == made[2]  # dark by the system, dark by the switch
    for colours in made:
        inks = ("strong", "muted", "value", "weight", "delta", "good", "bad", "accent")
        for ink, ground in product(inks, ("paper", "card", "soft")):
            assert contrast(colours[ink], colours[ground]) >= 4.5, (ink, ground)
