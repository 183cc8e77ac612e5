"""Which jobs a change makes stale: exactly these, by `cdred status`, `snakemake -n` and DVC."""

from __future__ import annotations

import shutil

import pytest
from support.project import CHECKOUT
from support.sandbox import AGENT, ALL, DEMOS, EVALUATIONS, REPORT, TASK, Sandbox

OF_AGENT = f"artifacts/evaluations/{TASK}/bc/seed_0"
NONE: set[str] = set()
FROM_AGENT = {AGENT, OF_AGENT, REPORT}
FROM_DEMOS = {DEMOS, *FROM_AGENT}

# what changes: file, old text (None: the file is new or its end), new text -> what is stale
CHANGES = {
    "a file that nobody imports": ("cdred/learning/unused.py", None, "x = 1\n", NONE),
    "a comment": ("cdred/learning/learner.py", None, "# Why.\n", NONE),
    "what a setting says of itself": ("cdred/learning/settings.py", "rate at which the target", "how the target", NONE),
    "a docstring": ("cdred/learning/learner.py", '"""', '"""Other words. ', NONE),
    "a message of the CLI": ("cdred/system/exit_status.py", "cdred: interrupted", "cdred: stopped", NONE),
    "how jobs are run": ("cdred/run/stages.py", None, "x = 1\n", NONE),
    "a published number": ("cdred/report/published.csv", None, "\n", {REPORT}),
    "the report's page": ("cdred/report/templates/style.css", None, "a {}\n", {REPORT}),
    "which episodes become demonstrations": ("cdred/demos/selection.py", None, "x = 1\n", FROM_DEMOS),
    "the number of demonstrations read": (
        "params.yaml", "method: bc\n", "method: bc\n    demo_episodes: 1\n", FROM_AGENT,
    ),
    "the learner": ("cdred/learning/learner.py", None, "x = 1\n", ALL),
    "seeding": ("cdred/learning/seeding.py", None, "x = 1\n", ALL),
    "a setting of one run": ("params.yaml", "    steps: 50\n", "    steps: 49\n", FROM_AGENT),
    "a setting of the expert": ("params.yaml", "steps: 520\n", "steps: 530\n", ALL),
    "a default of the configuration": (
        "cdred/config/schema.py", "seed: Seed = Field(0, description=\"of the first", "seed: Seed = Field(10, description=\"of the first", FROM_DEMOS,
    ),
    "where jobs are run": ("params.yaml", "  threads: 1\n", "  threads: 2\n", NONE),
    "a default spelled out": (
        "params.yaml", "method: bc\n", "method: bc\n    demo_episodes: null\n", NONE,
    ),
    "a constant of a method that no job uses": ("cdred/methods/cfil/reward.py", None, "x = 1\n", NONE),
    "a method": ("cdred/methods/bc/trainer.py", None, "x = 1\n", FROM_AGENT),
    "how a method is presented": ("cdred/methods/bc/display.py", None, "x = 1\n", {REPORT}),
    "a suite that no job uses": ("cdred/suites/metaworld/simulator.py", None, "x = 1\n", NONE),
    "the preparation of the device": ("cdred/learning/device.py", None, "x = 1\n", ALL),
    "the seeds of an evaluation": ("cdred/evaluation.py", None, "x = 1\n", EVALUATIONS | {REPORT}),
}  # fmt: skip


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_of(name: str, mine: Sandbox) -> None:
    file, old, new, stale = CHANGES[name]
    if old is None:
        mine.append(file, new)
    else:
        mine.edit(file, old, new)
    assert mine.agreed() == stale


def test_a_new_method(mine: Sandbox) -> None:
    shutil.copytree(CHECKOUT / "cdred/methods/bc", mine.root / "cdred/methods/fresh")
    assert mine.agreed() == NONE
    mine.edit("params.yaml", "method: bc\n", "method: fresh\n")
    assert mine.agreed() == FROM_AGENT


@pytest.mark.parametrize("engine", ["snakemake", "dvc"])
def test_an_input_that_another_machine_made_again(engine: str, mine: Sandbox) -> None:
    """Of the same digest, and perhaps of other bytes."""
    mine.edit(f"{AGENT}/manifest.json", '"machine": "', '"machine": "another ')
    assert mine.agreed() == {OF_AGENT, REPORT}
    assert f"{AGENT} was made again" in mine.run("cdred", "status")
    shutil.move(mine.root / AGENT, mine.root / "aside")  # what it was made from may be gone
    assert mine.stale()["cdred"] == {AGENT}
    shutil.move(mine.root / "aside", mine.root / AGENT)
    mine.make(engine)
    assert mine.agreed() == NONE


def test_a_change_of_a_method_of_ones_own(mine: Sandbox) -> None:
    """Modules beside params.yaml, one of them loaded by its name alone."""
    for file in (CHECKOUT / "examples").glob("discriminator*.py"):
        shutil.copy(file, mine.root)
    mine.edit("params.yaml", "method: bc\n", "method: discriminator:METHOD\n")
    mine.edit("params.yaml", "    steps: 50\n", "    steps: 520\n")
    assert mine.make("snakemake") == FROM_AGENT
    mine.append("discriminator_reward.py", "# Why.\n")
    assert mine.agreed() == NONE
    mine.append("discriminator_reward.py", "x = 1\n")
    assert mine.agreed() == FROM_AGENT
