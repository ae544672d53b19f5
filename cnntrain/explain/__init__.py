"""Every number of a training step with the numbers that it was made of."""

from cnntrain.explain.trace import LayerTrace, ParameterTrace, Trace, trace

__all__ = ["LayerTrace", "ParameterTrace", "Trace", "trace"]
