"""Where the code of each stage begins: the modules from which a job's code is found.

The one table to change when a stage's work moves to another module, or when it loads a module by a
name that no import statement holds.
"""

from __future__ import annotations

TRAINING = "cdred.learning.training"
# stage, and where what it works on comes from -> modules
ENTRIES: dict[tuple[str, str], tuple[str, ...]] = {
    ("expert", "train"): (TRAINING,),
    ("expert", "scripted"): (TRAINING, "cdred.learning.scripted"),
    ("expert", "checkpoint"): (TRAINING, "cdred.learning.checkpoint"),
    ("expert", "hub"): (TRAINING, "cdred.learning.checkpoint"),
    ("demos", "expert"): ("cdred.demos", TRAINING),
    ("demos", "others"): ("cdred.demos", "cdred.foreign"),
    ("imitate", ""): ("cdred.demos", TRAINING),
    ("evaluate", ""): ("cdred.evaluation", "cdred.envs.video", TRAINING),
    ("report", ""): ("cdred.report",),
}


def entry_modules(
    stage: str, source: str = "", methods: tuple[str, ...] = (), suites: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The modules where a job's code begins.

    `methods` and `suites` are those of the agents and tasks that it works on.
    """
    found = ENTRIES[stage, source]
    if stage != "report":
        found += tuple(f"cdred.envs.{suite}" for suite in suites)
    own = (name.partition(":")[0] for name in (*methods, *suites) if ":" in name)
    return (*found, *own)
