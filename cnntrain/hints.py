"""What somebody may have meant by a name that is not known here."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable

# Ours: what other programs, and habit, call it; written as `_plain` leaves it.
_ELSEWHERE = {
    "dense": "linear fullyconnected fc innerproduct",
    "conv2d": "conv convolution convolution2d",
    "max_pool2d": "pool pooling maxpool maxpooling maxpooling2d",
    "avg_pool2d": "avgpool averagepool averagepooling averagepooling2d meanpool",
    "global_avg_pool2d": "gap globalaveragepooling globalaveragepooling2d adaptiveavgpool2d",
    "batch_norm2d": "bn batchnorm batchnormalization",
    "local_response_norm": "lrn",
    "silu": "swish",
    "sigmoid": "logistic",
    "residual": "skip shortcut add",
    "branches": "concat concatenate inception parallel",
    "filters": "outchannels numoutput channels outputs numfilters",
    "units": "outfeatures outputs numoutput numunits",
    "kernel_size": "size poolsize ksize",
    "padding": "pad",
    "rate": "p prob probability dropprob dropout",
    "learning_rate": "lr eta alpha baselr",
    "weight_decay": "decay l2 wd",
    "batch_size": "batch bs",
    "epochs": "maxepochs numepochs",
    "steps": "iterations maxiter maxsteps",
    "network": "model layers net architecture",
    "schedule": "scheduler lrschedule lrscheduler lrpolicy",
    "loss": "criterion objective",
    "optimizer": "optim solver",
    "augment": "augmentation augmentations transforms transform",
    "cross_entropy": "nll nllloss softmaxloss categoricalcrossentropy sparsecategoricalcrossentropy logloss",
    "mse": "meansquarederror l2 euclidean",
    "sgd": "gd momentum nesterov",
    "step": "steplr",
    "cosine": "cosineannealing cosineannealinglr cosinedecay",
    "plateau": "reducelronplateau reduceonplateau",
    "grey": "gray grayscale greyscale l",
    "rgb": "color colour",
    "color": "mode colour",
    "horizontal_flip": "flip hflip fliplr randomhorizontalflip mirror",
    "random_crop": "crop",
    "shift": "translate translation",
    "rotation": "rotate",
    "scale": "zoom",
    "cutout": "erase erasing randomerasing",
    "xavier": "glorot glorotuniform glorotnormal xavieruniform xaviernormal",
    "he": "kaiming kaimingnormal kaiminguniform msra",
    "normal": "gaussian randn",
    "eval": "test validate evaluation",
    "predict": "infer inference classify recognise recognize label",
    "new": "init create start",
    "recipes": "examples zoo configs",
    "fit": "resizemode aspect letterbox",
    "data": "dataset download inspect cache",
}
_LEFT_OUT = {
    "softmax": "leave it out: cross_entropy contains it",
    "logsoftmax": "leave it out: cross_entropy contains it",
    "input": "leave it out: the data say what comes in",
    "output": "leave it out: the last layer's values are the output",
}


def hint(name: str, legal: Iterable[str], kind: str = "") -> str:
    """Say which legal name is meant by a wrong one, and list them all if they are few.

    Parameters
    ----------
    name : str
        What was written.
    legal : iterable of str
        The names that there are.
    kind : str
        What is named, if it is a thing that can be chosen: "layer", "loss", ...
    """
    legal = list(legal)
    before, colon, behind = name.partition(":")
    if colon and before in legal:
        return f"; is a blank missing behind the colon? {before}: {behind}"
    if kind == "layer" and _plain(name) in _LEFT_OUT:
        return f"; {_LEFT_OUT[_plain(name)]}"
    meant = nearest(name, legal)
    text = f"; did you mean {meant}?" if meant else ""
    if len(legal) <= 14:
        text += f" (known: {', '.join(legal) or 'none yet'})"
    return text


def nearest(name: str, legal: Collection[str]) -> str | None:
    """Return the legal name that is meant, or None."""
    plain = _plain(name)
    same = [each for each in legal if _plain(each) == plain]
    elsewhere = [each for each in legal if plain in _ELSEWHERE.get(each, "").split()]
    part = [each for each in legal if name.lower() in each.split("_")]
    found = same or elsewhere or (part if len(part) == 1 else [])
    if not found:
        lower = {each.lower(): each for each in legal}
        found = [lower[each] for each in difflib.get_close_matches(name[:100].lower(), lower, n=1)]
    return found[0] if found else None


def _plain(name: str) -> str:
    """Small letters and digits alone: MaxPool2d, max-pool2d and max_pool2d are one."""
    return re.sub(r"[\W_]", "", name[:100].lower())
