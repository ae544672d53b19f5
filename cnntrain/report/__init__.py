"""Runs side by side, in the terminal and as a page."""
