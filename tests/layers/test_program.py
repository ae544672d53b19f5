"""Few images through a network: every layer as in the ordinary way, and nothing of an old state or of other images."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numba
import numpy as np
import pytest

from cnntrain import extensions
from cnntrain.errors import ArgumentError
from cnntrain.kernels.compiler.pace import Pace
from cnntrain.layers import LAYERS
from cnntrain.layers.pooled_convolution import PooledConvolution
from cnntrain.layers.program import TABLE
from cnntrain.machine import FEW
from cnntrain.network import AsTheyAre, Network
from cnntrain.optimizers import OPTIMIZERS
from cnntrain.warm_up import warm_up_few_images
from tests.export.models import EVERY, ROOT, of_layers
from tests.layers.networks import Unchanged, batch, loss, network

Array = Any
EXAMPLE = ROOT / "examples" / "my_layers.py"
MIXED = """
- conv2d: {filters: 6, kernel_size: 3, padding: 1}
- batch_norm2d
- relu
- max_pool2d: 2
- dense: classes
"""


@contextmanager
def sixteen_side_by_side() -> Iterator[None]:
    """Let the ordinary way compute few images too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cnntrain.network.FEW", 0)
        yield


def both(net: Network, images: Array) -> tuple[Array, Array]:
    """Return the logits of few images, and what the ordinary way gives."""
    assert not isinstance(net.few_images(), str)
    normalization = Unchanged(net.input_shape.channels)
    found = net.predict_logits(images, normalization)
    with sixteen_side_by_side():
        return found, net.predict_logits(images, normalization)


def test_every_layer_is_in_the_table() -> None:
    assert set(TABLE) == {*LAYERS.values(), PooledConvolution}


@pytest.mark.parametrize(("name", "number", "layer", "shape"), EVERY, ids=lambda value: str(value)[:40])
def test_has_the_bits_of_the_ordinary_way(name: str, number: int, layer: str, shape: tuple[int, int, int]) -> None:
    exported = of_layers(layer if layer == name else f"{{{layer}}}", shape)
    images = exported.images(11)
    found = exported.logits(images)
    with sixteen_side_by_side():
        expected = exported.logits(images)
    assert np.ptp(expected, axis=0).any()
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("fusions", [True, False])
def test_in_double_precision(fusions: bool) -> None:
    net = network(MIXED, (2, 7, 6), images=16, fusions=fusions)
    found, expected = both(net, batch(net, 5)[0])
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected)


def test_mean_images_and_other_types() -> None:
    exported = of_layers("{conv2d: {filters: 3, kernel_size: 3}}, relu", (2, 5, 4), by_pixel=True)
    images = exported.images(3)
    for given in (images, images.astype(np.float32), images.astype(np.float64)):
        found = exported.logits(given)
        with sixteen_side_by_side():
            np.testing.assert_array_equal(found, exported.logits(given))


def test_winograd_gives_the_same_but_for_rounding() -> None:
    net = network("- conv2d: {filters: 16, kernel_size: 3, padding: 1}\n- dense: classes", (16, 12, 12), images=16)
    found, expected = both(net, batch(net, 4)[0])
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_an_image_does_not_depend_on_the_others() -> None:
    net = network(MIXED, (2, 7, 6), images=16)
    images = batch(net, FEW)[0]
    together = net.predict_logits(images, Unchanged(2))
    for n in range(FEW):
        np.testing.assert_array_equal(net.predict_logits(images[n : n + 1], Unchanged(2))[0], together[n])
    images[::2] = np.nan
    with_nan = net.predict_logits(images, Unchanged(2))
    np.testing.assert_array_equal(with_nan[1::2], together[1::2])
    assert np.isnan(with_nan[::2]).all()


@pytest.mark.parametrize("worth", [0, 1 << 30])
def test_any_number_of_threads_gives_the_same_bits(worth: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cnntrain.passes.program.WORTH_SHARING", worth)
    net = network(MIXED, (2, 7, 6), images=16)
    images, before = batch(net, 7)[0], numba.get_num_threads()
    found = []
    try:
        for threads in {1, before}:
            numba.set_num_threads(threads)
            found.append(net.predict_logits(images, Unchanged(2)))
            assert numba.get_num_threads() == threads
    finally:
        numba.set_num_threads(before)
    np.testing.assert_array_equal(found[0], found[-1])


class TestChangesOfTheState:
    def test_load_state(self) -> None:
        net, other = network(MIXED, (2, 7, 6), images=16), network(MIXED, (2, 7, 6), images=16, seed=6)
        images = batch(net, 3)[0]
        first = both(net, images)[0]
        net.load_state(other.state())
        second, expected = both(net, images)
        assert (first != second).any()
        np.testing.assert_array_equal(second, expected)

    @pytest.mark.parametrize("between", ["step", "running statistics", "averages"])
    def test_training(self, between: str) -> None:
        net = network(MIXED, (2, 7, 6), images=16)
        chosen = OPTIMIZERS["sgd"]
        optimizer = chosen(chosen.Settings(learning_rate=0.1, ema=0.5), net.parameters)
        images, labels = batch(net, 4)
        for _ in range(2):
            loss(net, images, labels)
            net.backward()
            if between != "running statistics":
                optimizer.step(0.1)
            first = both(net, images)[0]
        if between == "averages":
            with optimizer.averaged():
                second, expected = both(net, images)
        else:
            loss(net, images, labels)
            net.backward()
            if between == "step":
                both(net, images)
                optimizer.step(0.1)
            second, expected = both(net, images)
        assert (first != second).any()
        np.testing.assert_array_equal(second, expected)

    def test_whoever_writes_by_himself_says_so(self) -> None:
        net = network(MIXED, (2, 7, 6), images=16)
        images = batch(net, 2)[0]
        both(net, images)
        net.parameters[0].value += 1
        net.changes.count += 1
        np.testing.assert_array_equal(*both(net, images))


def test_a_layer_of_ones_own_says_why_not() -> None:
    layers = "- repeat: {times: 1, layers: [channel_scale]}\n- dense: classes"
    with extensions.allowed():
        net = network(layers, (2, 3, 3), images=16, extensions=[str(EXAMPLE)])
    assert net.few_images() == "0.repeat.0.0.channel_scale: a layer of one's own has no instructions for few images"
    assert net.predict_logits(batch(net, 2)[0], Unchanged(2)).shape == (2, 3)


def test_images_that_are_read_when_they_are_needed() -> None:
    net = network(MIXED, (2, 7, 6), images=16)
    array = batch(net, 3)[0]

    class Lazy:
        shape = array.shape

        def __len__(self) -> int:
            return len(array)

        def __getitem__(self, indices: Any) -> Array:
            return array[indices]

    lazy: Any = Lazy()
    found = net.predict_logits(lazy, Unchanged(2))
    np.testing.assert_array_equal(found, net.predict_logits(array, Unchanged(2)))


def test_another_shape_is_an_error() -> None:
    net = network(MIXED, (2, 7, 6), images=16)
    with pytest.raises(ArgumentError, match="^images must be 2x7x6; received 2x6x7$"):
        net.predict_logits(np.zeros((1, 2, 6, 7)), AsTheyAre(2))


def test_more_images_than_few_take_the_ordinary_way(monkeypatch: pytest.MonkeyPatch) -> None:
    net = network(MIXED, (2, 7, 6), images=16)
    images = batch(net, FEW + 1)[0]

    def never(self: Network) -> str:
        raise AssertionError

    few = net.predict_logits(images[:FEW], Unchanged(2))
    monkeypatch.setattr(Network, "few_images", never)
    np.testing.assert_array_equal(net.predict_logits(images, Unchanged(2))[:FEW], few)
    assert net.predict_logits(images[:0], Unchanged(2)).shape == (0, 3)


def test_warming_up_leaves_the_network_as_it_is() -> None:
    net = network(MIXED, (2, 7, 6), images=16)
    state = net.state()
    warm_up_few_images(net, np.float64)
    for name, value in net.state().items():
        np.testing.assert_array_equal(value, state[name])


def test_predictions_go_on_with_what_earlier_ones_found_out_about_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Counted(Pace):
        def __init__(self) -> None:
            made.append(numba.get_num_threads())
            super().__init__()

    monkeypatch.setattr("cnntrain.network.Pace", Counted)
    net = network(MIXED, (2, 7, 6), images=16)
    images, before = batch(net, FEW + 1)[0], numba.get_num_threads()
    for _ in range(2):
        net.predict_logits(images, Unchanged(2))
    assert made == [before]
    monkeypatch.setattr("cnntrain.network.possible_threads", lambda: [before + 1])  # as after `set_threads`
    net.predict_logits(images, Unchanged(2))
    assert made == 2 * [before]
