"""Tasks by reference: `my_module:make`, or the name of an entry point of the group `cdred.tasks`.

Standard library alone: the engines read it while they plan.
"""

from __future__ import annotations

from cdred import plugins
from cdred.suites import Suite, Task

GROUP = "cdred.tasks"


class OwnTasks(Suite):
    """Any function that returns a Gymnasium environment is a task, measured by its return."""

    def find(self, name: str) -> Task | None:
        reference = plugins.resolve(name, GROUP)
        if reference is None:
            return None
        return Task("own", reference, self.measure, sizes=None, action_repeat=1)


SUITE = OwnTasks("Own tasks", "return")
