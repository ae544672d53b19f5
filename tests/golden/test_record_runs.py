"""Small trainings with all parts of the records, in float64, step by step beside PyTorch's losses."""

from __future__ import annotations

import numpy as np
import pytest

from cnntrain.evaluation.views import views_of
from tests.golden import cases
from tests.golden import record_runs as runs


@pytest.mark.parametrize("name", runs.RUNS)
def test_losses_and_outputs_are_pytorchs(name: str) -> None:
    run = runs.run(name)
    with np.load(cases.FOLDER / "record_runs.npz") as stored:
        expected = {key.removeprefix(f"{name}/"): stored[key] for key in stored.files if key.startswith(f"{name}/")}
    for parameter in run.network.parameters:  # eigenvectors are another machine's to the last digits
        np.testing.assert_allclose(
            parameter.canonical(parameter.value), expected[f"initial/{parameter.name}"], rtol=1e-8, atol=1e-9
        )
        parameter.assign(parameter.value, expected[f"initial/{parameter.name}"])
    for step in range(runs.STEPS):
        rows = runs.chosen(step)
        run.network.load(run.images, rows, run.plain)
        run.network.forward(training=True, step=step)
        loss = run.network.loss(run.labels[rows])
        assert loss == pytest.approx(expected["losses"][step], rel=1e-9), step
        run.network.backward()
        run.optimizer.step(run.rate(step))
    outputs = run.network.predict_logits(run.images[: runs.BATCH], run.plain, views_of(run.config))
    np.testing.assert_allclose(outputs, expected["outputs"], rtol=1e-6, atol=1e-8)
    assert expected["losses"][-1] < 0.9 * expected["losses"][0]
