"""One Gymnasium interface over the benchmarks. Importing it is light: simulators load in `make`."""

from cdred.envs.make import make

__all__ = ["make"]
