"""Proof that a network's gradients are right: analytic against numeric, in float64, through the kernels that train."""

from __future__ import annotations

from cnntrain.verify.gradients import EntryCheck, TensorCheck, check_gradients

__all__ = ["EntryCheck", "TensorCheck", "check_gradients"]
