"""One Gymnasium interface over the benchmarks. Importing it is light: simulators load in `make`."""

from cdred.envs.make import make, make_vec

__all__ = ["make", "make_vec"]
