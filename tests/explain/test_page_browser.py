"""Pages in a real browser: what they show is what the trace holds, and their own arithmetic agrees with it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnntrain.config import infer_shapes, parse_config
from cnntrain.explain import Trace, trace
from cnntrain.explain.page import page_of
from cnntrain.network import Network
from cnntrain.optimizers import OPTIMIZERS
from cnntrain.shape import Shape
from tests.explain.chromium import chromium, opened
from tests.layers.networks import batch

EVERY_LAYER = """
- local_response_norm: {size: 3, alpha: 0.5, beta: 0.6, k: 1.5}
- conv2d: {filters: 4, kernel_size: 3, padding: 1, stride: 2}
- batch_norm2d
- gelu
- conv2d: {filters: 4, kernel_size: 3, padding: [2, 1], dilation: [2, 1], groups: 2, mode: convolution}
- prelu
- residual: [conv2d: {filters: 4, kernel_size: 3, padding: same}, tanh]
- max_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}
- residual: {body: [conv2d: {filters: 6, kernel_size: 3, padding: 1, stride: 2}, elu], shortcut: zero_padded}
- branches:
    sequences:
    - [conv2d: {filters: 2, kernel_size: 1}, sigmoid]
    - [avg_pool2d: {kernel_size: 3, stride: 1, padding: 1, count_padding: false}]
    - []
- branches:
    sequences: [[conv2d: {filters: 4, kernel_size: 1}, softplus], [conv2d: {filters: 4, kernel_size: 1}, silu]]
    merge: add
- repeat: {times: 2, layers: [leaky_relu: 0.2, local_response_norm: {size: 3, region: within_channel}]}
- dropout: 0.25
- selu
- avg_pool2d: {kernel_size: 3, stride: 2, padding: 1, ceil_mode: true}
- residual: {body: [batch_norm2d: {frozen: true}, relu], shortcut: [gelu: tanh]}
- global_avg_pool2d
- flatten
- dense: classes
"""
DIGIT = """
- conv2d: {filters: 4, kernel_size: 3, padding: 1}
- relu
- max_pool2d: {kernel_size: 2, stride: 1}
- conv2d: {filters: 4, kernel_size: 3, stride: 2, padding: 1}
- tanh
- dense: classes
"""
SGD = "{sgd: {learning_rate: 0.5, momentum: 0.9, nesterov: true, weight_decay: 0.01}}"


def traced(layers: str, shape: tuple[int, int, int], images: int, *overrides: str, optimizer: str = SGD) -> Trace:
    """The second of two steps, so that the optimiser has kept something."""
    lines = "\n".join(f"  {line}" for line in layers.strip("\n").splitlines())
    text = f"data: {{source: mnist, path: none}}\noptimizer: {optimizer}\nnetwork:\n{lines}\n"
    config = parse_config(text, "page.yaml", overrides)
    rows = infer_shapes(config, Shape(*shape), 3)
    net = Network(
        rows, batch_size=images, loss=config.loss, dtype=np.float64, seed=5, needs_grad_input=True, fusions=False
    )
    for parameter in net.parameters:
        parameter.value += 0.05 * np.random.default_rng(4).standard_normal(parameter.value.shape)
    rule = OPTIMIZERS[config.optimizer.name](config.optimizer.settings, net.parameters)
    x, labels = batch(net, images)
    first = trace(net, x, labels, optimizer=rule, learning_rate=config.optimizer.settings.learning_rate)
    for parameter in net.parameters:
        parameter.assign(parameter.value, next(
            made.updated for layer in first.walk() for made in layer.parameters.values() if made.parameter is parameter
        ))  # fmt: skip
    return trace(net, x, labels, optimizer=rule, learning_rate=config.optimizer.settings.learning_rate, step=1)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def every_layer() -> Trace:
    return traced(EVERY_LAYER, (2, 11, 10), 3)


@pytest.fixture(scope="module")
def digit() -> Trace:
    return traced(DIGIT, (1, 8, 8), 1)


def write(folder: Path, text: str) -> Path:
    file = folder / "page.html"
    file.write_text(text, encoding="utf-8")
    return file


def number(page: Any, selector: str, key: str) -> float:
    return float(page.get_attribute(selector, f"data-{key}"))


def click_cell(page: Any, panel: str, row: int, column: int) -> None:
    """Click the number at a row and column of a panel, its padding counted."""
    size = page.evaluate(f"(({{panel, cell}}) => [panel.height, panel.width])(cnntrain.figures.get('{panel}'))")
    canvas = page.locator(f"canvas[data-panel={panel}]")
    box = canvas.bounding_box()
    canvas.click(position={"x": (column + 0.5) * box["width"] / size[1], "y": (row + 0.5) * box["height"] / size[0]})


# Goes through all layers, passes and gradients, and some numbers of each: the largest difference of a sum that is
# written out from the kernels' number, how many were looked at, and of what central differences say.
WALK = """
() => {
  const page = window.cnntrain, found = {worst: 0, where: '', sums: 0, off: 0, offWhere: '', corners: 0};
  const paths = ['image', ...page.trace.all.map(layer => layer.path), 'loss'];
  for (const path of paths)
    for (const mode of ['forward', 'backward', 'update']) {
      page.open(path, 0, {mode});
      for (const tab of page.tabs()) {
        page.open(path, 0, {mode, tab});
        if (page.view === null) continue;
        const size = page.target.maps * page.target.count;
        for (const index of new Set([0, Math.floor(size * 0.6), size - 1])) {
          page.index = index;
          page.explain();
          const {value, kernel} = page.explanation;
          const off = Math.abs(value - kernel);
          found.sums++;
          if (!(off <= found.worst)) Object.assign(found, {worst: off, where: [path, mode, tab, index].join(' ')});
        }
        if (mode === 'backward') {
          const {value, corner} = page.difference(), off = Math.abs(value - page.explanation.kernel);
          if (corner) found.corners++;
          else if (!(off <= found.off)) Object.assign(found, {off, offWhere: [path, tab].join(' ')});
        }
      }
    }
  return found;
}
"""


def test_the_page_repeats_the_step_of_every_layer(browser: Any, every_layer: Trace, tmp_path: Path) -> None:
    file = write(tmp_path, page_of(every_layer, title="every layer"))
    with opened(browser, file, wait="verified") as page:
        assert number(page, "#worst", "worst") <= 1e-9
        assert "forward" in page.text_content("#verdict")
        numbers = sum(layer.output.size + layer.input.size for layer in every_layer.walk())
        told = int(page.text_content("#worst").split("of ")[1].split(" numbers")[0].replace(",", ""))
        assert told > numbers
        found = page.evaluate(WALK)
        assert found["worst"] <= 1e-9, found
        assert found["off"] <= 1e-6, found
        assert found["corners"] <= 2, found  # of some sixty
        assert found["sums"] > 250
        for i in (0, 4, 8):  # the very bits
            got = page.evaluate(f"Array.from(cnntrain.trace.layers[{i}].dy)")
            np.testing.assert_array_equal(got, np.ravel(np.asarray(every_layer.layers[i].grad_output)))
        updated = page.evaluate("Array.from(cnntrain.trace.layers[4].parameters.weight.updated)")
        np.testing.assert_array_equal(updated, every_layer.layers[4].parameters["weight"].updated.ravel())


def test_a_wrong_number_of_a_kernel_is_seen(browser: Any, digit: Trace, tmp_path: Path) -> None:
    digit.layers[3].output[0, 1, 2, 3] += 1e-6
    try:
        file = write(tmp_path, page_of(digit, title="wrong"))
    finally:
        digit.layers[3].output[0, 1, 2, 3] -= 1e-6
    index = int(np.ravel_multi_index((1, 2, 3), digit.layers[3].output.shape[1:]))
    with opened(browser, file, address=f"#forward/3.conv2d/output/0/{index}", wait="verified") as page:
        size = max(1.0, abs(digit.layers[3].output[0, 1, 2, 3]))
        assert number(page, "#worst", "worst") == pytest.approx(1e-6 / size, rel=1e-3)
        assert "in 3.conv2d" in page.text_content("#verdict")
        assert "the kernel" in page.text_content("#agrees.differs")


def test_a_click_shows_where_a_number_came_from(browser: Any, digit: Trace, tmp_path: Path) -> None:
    first, pool, second = digit.layers[0], digit.layers[2], digit.layers[3]
    with opened(browser, write(tmp_path, page_of(digit, title="digit"))) as page:
        click_cell(page, "y", 2, 5)
        shown = page.text_content("#sum h2")
        row = int(shown.split("[")[1].split(",")[0])
        assert shown.startswith(f"z[{row}, 2, 5]")
        assert number(page, "#result", "kernel") == first.output[0, row, 2, 5]
        assert number(page, "#result", "value") == pytest.approx(first.output[0, row, 2, 5], abs=1e-12)
        assert page.locator(".terms .term").count() == 9
        total = sum(page.evaluate("cnntrain.explanation.parts[0].terms.map(t => t.value)"))
        assert total + first.parameters["bias"].value[row] == pytest.approx(first.output[0, row, 2, 5], abs=1e-12)
        click_cell(page, "x", 1 + 5, 1 + 3)  # a number of the input: the window goes there
        assert page.text_content("#sum h2").startswith(f"z[{row}, 5, 3]")

        page.click(".card[data-path='3.conv2d']")
        page.click("#modes [data-mode=backward]")
        click_cell(page, "dx", 4, 6)
        channel = page.evaluate("cnntrain.figures.get('dx').map")
        assert second.grad_input is not None
        assert number(page, "#result", "kernel") == second.grad_input[0, channel, 4, 6]
        assert "rotated by 180°" in page.text_content("figure.weight")
        page.click("#difference")
        assert number(page, "#difference-result", "value") == pytest.approx(
            second.grad_input[0, channel, 4, 6], abs=1e-8
        )
        page.click("#tabs [data-tab=weight]")
        click_cell(page, "dw", 2, 0)
        filter_, channel = divmod(page.evaluate("cnntrain.figures.get('dw').map"), 4)
        assert number(page, "#result", "kernel") == second.parameters["weight"].gradient[filter_, channel, 2, 0]

        page.click(".card[data-path='2.max_pool2d']")
        channel = page.evaluate("cnntrain.figures.get('dx').map")
        assert pool.grad_input is not None
        assert pool.grad_output is not None
        row, column = np.argwhere(pool.grad_input[0, channel] != 0)[0]
        click_cell(page, "dx", int(row), int(column))
        assert number(page, "#result", "kernel") == pool.grad_input[0, channel, row, column]
        page.wait_for_selector("#arrows .arrow.strong", state="attached")

        page.click("#modes [data-mode=update]")
        page.click(".card[data-path='0.conv2d']")
        click_cell(page, "w", 1, 1)
        filter_ = page.evaluate("cnntrain.figures.get('updated').map")
        assert number(page, "#result", "kernel") == first.parameters["weight"].updated[filter_, 0, 1, 1]


def test_keys(browser: Any, digit: Trace, tmp_path: Path) -> None:
    with opened(
        browser, write(tmp_path, page_of(digit, title="digit")), address="#forward/3.conv2d/output/0/5"
    ) as page:
        name = lambda: page.text_content("#sum h2").split(" =")[0]  # noqa: E731
        page.focus("canvas[data-panel=y]")
        assert name() == "z[0, 1, 1]"
        right, down, left, up = "z[0, 1, 2]", "z[0, 2, 2]", "z[0, 2, 1]", "z[0, 1, 1]"
        moves = {"ArrowRight": right, "ArrowDown": down, "ArrowLeft": left, "ArrowUp": up}
        for key, expected in (moves | {"PageDown": "z[1, 1, 1]", "PageUp": "z[0, 1, 1]"}).items():
            page.keyboard.press(key)
            assert name() == expected, key
        assert "z[0, 1, 1]" in page.get_attribute("canvas[data-panel=y]", "aria-label")
        assert page.text_content("#said").startswith("z[0, 1, 1] is")
        page.keyboard.press("Enter")  # to the strongest term's pixel, in the layer before
        assert page.text_content("#where") == "2.max_pool2d"
        page.keyboard.press("Enter")  # and its winner
        assert page.text_content("#where") == "1.relu"
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")
        assert (page.text_content("#where"), name()) == ("3.conv2d", "z[0, 1, 1]")
        page.keyboard.press(" ")
        page.locator("#sum h2", has_text="z[0, 1, 3]").wait_for()
        page.keyboard.press(" ")
        assert page.get_attribute("#play", "aria-pressed") == "false"
        page.focus(".card[data-path='image']")
        page.keyboard.press("Enter")
        assert page.text_content("#where") == "The image"
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.dataset.path") == "0.conv2d"


def test_a_narrow_window_has_no_sideways_scroll(browser: Any, every_layer: Trace, tmp_path: Path) -> None:
    file = write(tmp_path, page_of(every_layer, title="a_name_that_is_long_and_has_no_place_to_break_" * 2))
    with opened(browser, file, width=400, color_scheme="dark") as page:
        wide = page.evaluate(
            """() => ['forward', 'backward', 'update'].flatMap(mode => cnntrain.trace.all.map(layer => {
              cnntrain.open(layer.path, 0, {mode});
              return document.documentElement.scrollWidth > 400 ? `${layer.path} ${mode}` : null;
            })).filter(each => each !== null)"""
        )
        assert wide == []
        ground = lambda: page.evaluate("getComputedStyle(document.body).backgroundColor")  # noqa: E731
        assert ground() == "rgb(20, 23, 29)"
        page.click("#theme")
        assert ground() == "rgb(250, 248, 243)"


def test_names_of_strangers_are_text(browser: Any, digit: Trace, tmp_path: Path) -> None:
    names = ["</script><script>alert(1)</script>", "<img src=x onerror=alert(2)>", "\u202e\x1b[31m'\""]
    file = write(
        tmp_path, page_of([(names[0], digit), (names[1], digit)], title=names[0], class_names=names, notes=names)
    )
    with opened(browser, file, wait="verified") as page:
        assert page.text_content("h1") == names[0]
        page.click(".card[data-path=loss]")
        assert names[int(digit.labels[0])][:20] in page.text_content("#summary") + page.text_content("#sum")
        assert page.text_content("#checkpoint-name") == names[0]
        assert page.locator("img").count() == 0


def test_a_slider_goes_through_checkpoints(browser: Any, digit: Trace, tmp_path: Path) -> None:
    later = traced(DIGIT, (1, 8, 8), 1, "optimizer.sgd.learning_rate=2")
    file = write(tmp_path, page_of([("epoch 1", digit), ("epoch 2", later)], title="digit"))
    with opened(browser, file, address="#forward/3.conv2d/output/0/5", wait="verified") as page:
        for number_, made in ((1, later), (0, digit)):
            page.locator("#checkpoint").fill(str(number_))
            assert page.text_content("#checkpoint-name") == f"epoch {number_ + 1}"
            assert number(page, "#result", "kernel") == made.layers[3].output[0].ravel()[5]
            assert number(page, "#worst", "worst") <= 1e-9


def test_a_layer_of_the_users_own_has_no_formula(browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CNNTRAIN_ALLOW_EXTENSIONS", "1")
    example = Path(__file__).parents[2] / "examples" / "my_layers.py"
    made = traced("- dense: 4\n- channel_scale\n- dense: classes", (1, 2, 3), 1, f"extensions=['{example}']")
    file = write(tmp_path, page_of(dataclasses.replace(made, optimizer=None), title="own"))
    with opened(browser, file, wait="verified") as page:
        assert "without a formula here: 1.channel_scale" in page.text_content("#verdict")
        assert number(page, "#worst", "worst") <= 1e-9
        page.click(".card[data-path='1.channel_scale']")
        assert "a layer of your own" in page.text_content("#sum")
        assert number(page, "#result", "kernel") in made.layers[1].output
        assert page.is_disabled("#modes [data-mode=update]")
        page.click("#modes [data-mode=backward]")
        assert page.is_disabled("#difference")
        page.click("#tabs [data-tab=scale]")
        assert number(page, "#result", "kernel") in made.layers[1].parameters["scale"].gradient


RULES = {
    "{sgd: {learning_rate: 0.5, momentum: 0.9, form: caffe, nesterov: true, clip_norm: 0.1}}": "cross_entropy",
    "{sgd: {learning_rate: 0.5, ema: 0.9, l1_decay: 0.1}}": "mse",
    "{adam: {learning_rate: 0.1, weight_decay: 0.1, clip_value: 0.05}}": "hinge",
    "{adamw: {learning_rate: 0.1, form: keras}}": "{hinge: 2}",
    "{rmsprop: {learning_rate: 0.1}}": "{multi_margin: 0.7}",
    "{rmsprop: {learning_rate: 0.1, momentum: 0.5, centered: true, form: keras}}": "{multi_margin: {norm: 2}}",
    "{adagrad: {learning_rate: 0.1, learning_rate_decay: 0.3}}": "{cross_entropy: {label_smoothing: 0.2}}",
    "adadelta": "{cross_entropy: {label_smoothing: 0.1, class_weights: [1, 0.5, 2]}}",
}


def test_losses_and_optimizers(browser: Any, tmp_path: Path) -> None:
    layers = "- dense: {units: 3, weight_learning_rate: 0.5, bias_decay: 0}\n- dense: {units: 3, frozen: true}"
    traces = [(rule, traced(layers, (1, 3, 3), 4, f"loss={loss}", optimizer=rule)) for rule, loss in RULES.items()]
    with opened(browser, write(tmp_path, page_of(traces, title="t")), wait="verified") as page:
        for i, (rule, _) in enumerate(traces):
            page.locator("#checkpoint").fill(str(i))
            assert page.text_content("#checkpoint-name") == rule
            assert number(page, "#worst", "worst") <= 1e-9, rule
            assert "update" in page.text_content("#verdict")
            found = page.evaluate(WALK)
            assert found["worst"] <= 1e-9, (rule, found)
            assert found["off"] <= 1e-6, (rule, found)
