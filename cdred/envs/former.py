"""Observations that versions before 0.2 had in another order."""

from __future__ import annotations

from cdred import suites
from cdred.envs.tasks import find
from cdred.errors import CdredError

FORMAT = 2  # of what holds observations, or acts on them; 1 where none is stated


def check_order(what: str, task: str, obs: str, stated: int) -> None:
    """Raise CdredError when something of the format `stated` holds states of `task` in an order of
    components that is not the environment's any more, or acts on such."""
    spec = find(task)
    if stated >= FORMAT or obs == "rgb" or suites.not_installed(spec.suite):
        return
    if suites.simulator(spec.suite).reordered(spec):
        raise CdredError(
            f"{what}: of a version before 0.2, which had the observations of {task} in another "
            f"order; make it again"
        )
