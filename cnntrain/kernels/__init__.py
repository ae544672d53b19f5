"""Numba loops, and the two types they are written with; nothing here checks, allocates, prints or raises."""

from cnntrain.kernels.compiler import environment

environment.check_variables()  # Numba reads them when it is imported, and says less
