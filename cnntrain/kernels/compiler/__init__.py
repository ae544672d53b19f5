"""The runtime of kernels: how they are compiled, kept, and reported. It may lock, warn and raise."""
