import numpy as np
import pytest

from cnntrain.errors import ArgumentError
from cnntrain.explain import trace
from cnntrain.optimizers import OPTIMIZERS
from tests.layers.networks import batch, network
from tests.naive import conv2d

LAYERS = """
- conv2d: {filters: 4, kernel_size: 3, padding: 1}
- batch_norm2d
- relu
- max_pool2d: 2
- residual: [conv2d: {filters: 4, kernel_size: 3, padding: 1}, tanh]
- branches: [[conv2d: {filters: 2, kernel_size: 1}], [avg_pool2d: {kernel_size: 3, stride: 1, padding: 1}]]
- dropout: 0.25
- dense: classes
"""


@pytest.mark.parametrize("images", [1, 3, 17])
def test_a_trace_hangs_together(images: int) -> None:
    net = network(LAYERS, (2, 8, 8), images=images, fusions=False)
    x, labels = batch(net, images)
    state = net.state()
    optimizer = OPTIMIZERS["sgd"](OPTIMIZERS["sgd"].Settings(learning_rate=0.5), net.parameters)
    made = trace(net, x, labels, optimizer=optimizer, learning_rate=0.5, step=3)
    assert [layer.path.split(".", 1)[1] for layer in made.layers][:4] == [
        "conv2d",
        "batch_norm2d",
        "relu",
        "max_pool2d",
    ]
    for first, second in zip(made.layers, made.layers[1:], strict=False):
        np.testing.assert_array_equal(first.output.ravel(), second.input.ravel())
        assert first.grad_output is not None
        assert second.grad_input is not None
        np.testing.assert_array_equal(first.grad_output.ravel(), second.grad_input.ravel())
    np.testing.assert_array_equal(made.layers[0].input, x)
    np.testing.assert_array_equal(made.layers[-1].output.reshape(images, -1), made.logits)
    assert made.layers[-1].grad_output is not None
    np.testing.assert_array_equal(made.layers[-1].grad_output.reshape(images, -1), made.grad_logits)
    convolution = made.layers[0]
    weight, bias = convolution.parameters["weight"], convolution.parameters["bias"]
    expected = conv2d(x, weight.value, bias.value, padding=(1, 1))
    np.testing.assert_allclose(convolution.output, expected, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(weight.updated, weight.value - 0.5 * weight.gradient)
    body, shortcut = (layers for _, layers in made.layer("4.residual").inside)
    assert len(body) == 2
    assert shortcut == ()
    np.testing.assert_array_equal(body[0].input, made.layer("4.residual").input)
    assert all(np.array_equal(value, state[name]) for name, value in net.state().items())  # as before the step


def test_the_mask_of_max_pooling_says_which_tap_won() -> None:
    net = network("- max_pool2d: {kernel_size: 2, stride: 1}\n- dense: classes", (1, 3, 3), images=1, fusions=False)
    image = np.array([[[[1.0, 2, 3], [4, 10, 5], [11, 12, 13]]]])
    pool = trace(net, image, np.array([0])).layers[0]
    assert pool.decisions is not None
    assert pool.decisions.tolist() == [[[[3, 2], [3, 3]]]]


def test_a_network_with_fusions_has_layers_that_nobody_saw() -> None:
    net = network("- conv2d: {filters: 4, kernel_size: 3}\n- max_pool2d: 2\n- dense: classes", (1, 8, 8), images=1)
    with pytest.raises(ArgumentError, match="fusions=False"):
        trace(net, *batch(net, 1))


def test_a_path_that_is_not_there() -> None:
    net = network("- dense: classes", (1, 2, 2), images=1, fusions=False)
    with pytest.raises(ArgumentError, match='no layer "nothing"; the layers are 0.dense'):
        trace(net, *batch(net, 1)).layer("nothing")
