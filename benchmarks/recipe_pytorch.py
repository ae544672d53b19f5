"""Train a config's recipe in PyTorch, on the same images in the same order from the same initial values.

    python benchmarks/recipe_pytorch.py CONFIG [--set KEY=VALUE ...] [--seeds N] [--steps N] [--threads N] [--follow]

Needs cnntrain and torch in one environment. cnntrain brings data, augmentation, batches and initial values; layers,
loss, gradients and updates are PyTorch's. Dropout draws other masks than ours. Prints one JSON object per seed: the
accuracy on the test images after the last step (with the config's `test_time`), and the mean training loss of each
epoch.

With --follow, our own network takes each step beside PyTorch's, and both losses are printed: how closely two correct
programs stay together. At the end stand both test accuracies, and what PyTorch's steps took of processor time, as a
multiple of ours (the median of the steps' ratios).
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.networks import layer
from benchmarks.torch_layers import sequence
from benchmarks.torch_updates import Updates
from cnntrain.config import Config, infer_shapes, load_config
from cnntrain.data import batches
from cnntrain.evaluation.evaluate import evaluate
from cnntrain.evaluation.views import views_of
from cnntrain.kernels.compiler.threads import set_threads
from cnntrain.randomness import generator
from cnntrain.shape import Shape
from cnntrain.training.feed import Batch
from cnntrain.training.setup import Training, build_training


def refuse(config: Config) -> None:
    """Exit where PyTorch would train something else than the config says."""
    settings = config.optimizer.settings
    wrong = [f"loss {config.loss.name}"] if config.loss.name != "cross_entropy" else []
    if getattr(config.loss.settings, "class_weights", None):
        wrong.append("class_weights")
    if config.optimizer.name not in ("sgd", "adam", "rmsprop", "muon"):
        wrong.append(f"optimizer {config.optimizer.name}")
    if config.optimizer.name == "rmsprop" and (settings.momentum or settings.centered or settings.form != "pytorch"):
        wrong.append("rmsprop with momentum, centered or Keras's form")
    wrong += [key for key in ("l1_decay", "clip_norm", "clip_value", "ema") if getattr(settings, key)]
    if config.schedule.name == "plateau":
        wrong.append("schedule plateau")
    if any(augmentation.name == "mixup" for augmentation in config.data.augment):
        wrong.append("mixup")
    if wrong:
        raise SystemExit(f"{config.name}: this script does not put into PyTorch: {', '.join(wrong)}")


def model_of(training: Training) -> nn.Sequential:
    """Build the network in PyTorch and give it our initial values, which are in the same order."""
    images = training.data.train.images
    rows = infer_shapes(training.config, Shape(*images.shape[1:]), len(training.data.class_names))
    model = sequence([layer(row) for row in rows])
    theirs = [parameter for parameter in model.parameters() if parameter.requires_grad]
    ours = training.network.parameters
    if [tuple(p.shape) for p in theirs] != [p.value.shape for p in ours]:
        raise SystemExit("the networks have different parameters")
    with torch.no_grad():
        for tensor, parameter in zip(theirs, ours, strict=True):
            tensor.copy_(torch.from_numpy(parameter.canonical(parameter.value)))
    return model


def pixels(training: Training, images: Any, rows: NDArray[np.int64]) -> torch.Tensor:
    """Normalise images as a network takes them."""
    return torch.from_numpy(training.data.normalization.apply(images[rows], np.float32))


def accuracy(training: Training, model: nn.Module) -> float:
    """Share of the test images that is right, with the views of `test_time`."""
    model.eval()
    test, right = training.data.test, 0
    with torch.inference_mode():
        for start in range(0, len(test), 500):
            rows = np.arange(start, min(start + 500, len(test)))
            found = outputs(training.config, model, pixels(training, test.images, rows)).argmax(1)
            right += int((found.numpy() == test.labels[rows]).sum())
    model.train()
    return right / len(test)


def outputs(config: Config, model: nn.Module, images: torch.Tensor) -> torch.Tensor:
    """Return the mean of the outputs over the views that the config asks for."""
    views, shift = config.test_time, 0 if config.test_time is None else config.test_time.shift

    def sides(seen: torch.Tensor) -> torch.Tensor:
        straight: torch.Tensor = model(seen)
        return (straight + model(seen.flip(-1))) / 2 if views is not None and views.flip else straight

    if not shift:
        return sides(images)
    padded, (rows, columns) = nn.functional.pad(images, (shift,) * 4, "reflect"), images.shape[2:]
    moved = sides(padded[:, :, :rows, :columns]) + sides(padded[:, :, -rows:, -columns:])
    return sides(images) / 2 + moved / 4


def train(config: Config, steps: int | None, follow: bool) -> dict[str, Any]:
    """Train with one seed."""
    refuse(config)
    training = build_training(config, print)
    model, data = model_of(training), training.data
    updates = Updates(training, model)
    smoothing = getattr(config.loss.settings, "label_smoothing", 0.0)
    criterion = nn.CrossEntropyLoss(label_smoothing=smoothing)
    total_steps, step, began = steps or training.total_steps, 0, time.perf_counter()
    epochs: list[float] = []
    ratios: list[float] = []
    model.train()
    while step < total_steps:
        epoch, total, images, own_total = step // training.steps_per_epoch, 0.0, 0, 0.0
        order = batches(len(data.train), training.batch_size, generator(config.seed, "shuffling", epoch))
        for batch in training.feed.batches(islice(order, training.steps_per_epoch), epoch):
            if step == total_steps:
                break
            rate, started = training.learning_rate_at(step), time.process_time()
            model.zero_grad(set_to_none=True)
            loss = criterion(model(pixels(training, batch.images, batch.rows)), torch.from_numpy(batch.labels))
            loss.backward()
            updates.step(rate)
            theirs = time.process_time() - started
            total += float(loss.detach()) * len(batch)
            images += len(batch)
            if follow:
                started = time.process_time()
                own_total += our_step(training, batch, step, rate) * len(batch)
                ratios.append(theirs / (time.process_time() - started))
                if (step + 1) % max(1, total_steps // 20) == 0 or step < 3:
                    print(f"step {step + 1}: PyTorch {total / images:.4f}, ours {own_total / images:.4f} (mean so far)")
            step += 1
        epochs.append(round(total / images, 4))
    result = {"seed": config.seed, "steps": step, "test_accuracy": accuracy(training, model), "train_loss": epochs}
    if follow:
        ours = evaluate(training.network, data.test, data.normalization, training.batch_size, views=views_of(config))
        result |= {"our_test_accuracy": ours.accuracy, "ratio": round(statistics.median(ratios[1:] or ratios), 2)}
    return result | {"seconds": round(time.perf_counter() - began, 1)}


def our_step(training: Training, batch: Batch, step: int, rate: float) -> float:
    """Take the step with our own network; return its loss."""
    network = training.network
    network.load(batch.images, batch.rows, training.data.normalization)
    network.forward(training=True, step=step)
    loss = network.loss(batch.labels, batch.mixture)
    network.backward()
    training.optimizer.step(rate)
    return loss


def main() -> None:
    """Run the seeds one after the other."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    arguments.add_argument("config", type=Path)
    arguments.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    arguments.add_argument("--seeds", type=int, default=1)
    arguments.add_argument("--steps", type=int, help="stop after so many steps")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--follow", action="store_true", help="let our network take the same steps beside it")
    options = arguments.parse_args()
    torch.set_num_threads(options.threads)
    set_threads(options.threads)
    for seed in range(1, options.seeds + 1):
        config = load_config(options.config, [*options.set, f"seed={seed}"])
        torch.manual_seed(seed)
        print(json.dumps({"config": config.name, **train(config, options.steps, options.follow)}), flush=True)


if __name__ == "__main__":
    main()
