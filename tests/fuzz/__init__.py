"""Random and damaged input for everything that reads: seconds in `make test`, minutes in `make fuzz`.

What is asked of a reader is little: it gives what it gives, or raises a `CnntrainError` whose message can be shown. An
input that once failed stays as an `@example`, or as a test of its own beside the reader's.
"""
