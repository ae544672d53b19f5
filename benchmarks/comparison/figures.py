"""Arithmetic on what was measured: ratios within rounds, and how far they spread."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median, quantiles
from typing import Any

from benchmarks.comparison.contestants import OURS

Speeds = Mapping[str, Sequence[float]]  # images/s of every round, by contestant


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return median, quartiles and extremes; quartiles lie between neighbours in proportion."""
    low, middle, high = quantiles(values, n=4, method="inclusive") if len(values) > 1 else [values[0]] * 3
    return {"median": middle, "low": low, "high": high, "lowest": min(values), "highest": max(values)}


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> dict[str, float]:
    """Summarise ours / theirs round by round, so that a minute in which the machine is slow is slow for both."""
    return spread([mine / other for mine, other in zip(ours, theirs, strict=True)])


def compared(speeds: Speeds) -> dict[str, dict[str, float]]:
    """Return the ratios to each peer."""
    return {peer: ratios(speeds[OURS], theirs) for peer, theirs in speeds.items() if peer != OURS}


def best_peer(speeds: Speeds) -> str | None:
    """Return the peer with the highest median, None where there is none."""
    peers = {peer: median(found) for peer, found in speeds.items() if peer != OURS}
    return max(peers, key=lambda peer: peers[peer], default=None)


def turns(names: Sequence[str], number: int) -> list[str]:
    """Return the order of a round: each begins with another one."""
    start = number % len(names)
    return [*names[start:], *names[:start]]


def summary(speeds: Speeds) -> dict[str, Any]:
    """Return all that is said about one mode."""
    return {
        "images_per_second": {name: list(found) for name, found in speeds.items()},
        "ratio": compared(speeds),
        "best_peer": best_peer(speeds),
    }
