"""Trained networks for other programs: one file or folder per format, each with a table of how layers are written.

`model.py` is what all of them take; `write.py` is the way from a run to files.
"""
