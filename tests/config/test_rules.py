"""Refused before anything runs: what would only fail, or mean nothing, after hours."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.configurations import write

from cdred.config import load
from cdred.errors import CdredError

CDRED = "method: cdred\n    preset: small\n    demos: expert-5\n    zeta: 0.7"


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        # An episode of cup-catch has 500 agent steps.
        ("seed_steps: 3001, steps: 3000", "seed_steps: 3001 random steps come first, of 3000 in all: nothing is learned"),
        ("steps: 1200, seed_steps: null", "steps: 2500 random steps come first, of 1200 in all: nothing is learned"),
        ("steps: 499, seed_steps: 1", "steps: 499 steps are less than one episode (500): nothing is kept"),
        ("horizon: 501", "horizon: 501 is longer than an episode (500 agent steps)"),
        ("updates_per_step: 0", "updates_per_step: 0 over 16000 steps makes no update"),
        ("updates_per_step: 0.00001", "updates_per_step: 1e-05 over 16000 steps makes no update"),
        ("buffer_size: 500", "buffer_size: 500 holds no episode; set at least 501"),
        ("latent_dim: 60", "latent_dim: 60 is not a multiple of 8"),
        ("log_std_min: 3", "log_std_min: larger than log_std_max"),
        ("discount_min: 0.999", "discount_min: larger than discount_max"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("entry", ["runs.cdred", "experts.expert"])
def test_a_training_that_could_not_learn(
    tmp_path: Path, entry: str, settings: str, expected: str
) -> None:
    line = 15 if entry == "runs.cdred" else 7
    if entry == "runs.cdred":
        path = write(
            tmp_path, "    zeta: 0.7\n", f"    {settings.replace(', ', chr(10) + '    ')}\n"
        )
    else:
        path = write(tmp_path, "{preset: small, steps: 3000}", f"{{preset: small, {settings}}}")
    with pytest.raises(CdredError) as caught:
        load(path)
    found = str(caught.value).removeprefix(f"{tmp_path}/params.yaml:")
    where, _, message = found.partition(f": {entry}.")
    assert message == expected
    assert int(where) in range(line, line + 2)


@pytest.mark.parametrize(
    "settings",
    [
        "seed_steps: 510, steps: 520, updates_per_step: 0.1",  # of the toy experiment: 52 updates
        "seed_steps: 3000, steps: 3000",  # all updates at the end
        "steps: 500, seed_steps: 1", "horizon: 500", "buffer_size: 501", "updates_per_step: 0.0001",
    ],
)  # fmt: skip
def test_a_training_that_learns_little(tmp_path: Path, settings: str) -> None:
    load(write(tmp_path, "    zeta: 0.7\n", f"    {settings.replace(', ', chr(10) + '    ')}\n"))
    load(write(tmp_path, "{preset: small, steps: 3000}", f"{{preset: small, {settings}}}"))


def test_the_longest_task_decides_and_unused_entries_do_not(tmp_path: Path) -> None:
    run = "    zeta: 0.7\n"
    path = write(tmp_path, run, run + "    seed_steps: 1\n    steps: 400\n")
    with pytest.raises(CdredError, match="400 steps are less than one episode"):
        load(path)
    shorter = (
        path.read_text().replace("[cup-catch]", "[mw-reach]").replace("steps: 3000", "steps: 4000")
    )
    path.write_text(shorter)
    load(path)
    unused = path.read_text().replace("[mw-reach]", "[cup-catch]")
    path.write_text(
        unused.replace("runs: [cdred]", "runs: [bc]") + "  bc: {method: bc, demos: expert-5}\n"
    )
    load(path)


def test_behaviour_cloning_updates_without_episodes(tmp_path: Path) -> None:
    load(write(tmp_path, CDRED, "method: bc\n    demos: expert-5\n    steps: 1"))


def test_a_ratio_without_a_discount_has_no_bound(tmp_path: Path) -> None:
    cfil = "method: cfil\n    preset: small\n    demos: expert-5\n    discount_min: 1\n    discount_max: 1"
    with pytest.raises(CdredError, match="without a discount the returns of cfil have no bound"):
        load(write(tmp_path, CDRED, cfil))
