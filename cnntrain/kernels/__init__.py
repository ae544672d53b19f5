"""Numba loops, and the two types they are written with; nothing here checks, allocates, prints or raises."""
