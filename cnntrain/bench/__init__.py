"""How fast a network or a convolution is on this machine, pass by pass, against what the machine could do at most."""

import cnntrain.kernels  # noqa: F401 - it looks at environment variables, before Numba does
