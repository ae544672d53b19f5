"""Training: a run from its config to its end (`session`), and the loop in the middle of it."""
