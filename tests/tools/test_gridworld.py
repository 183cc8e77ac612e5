"""The exact illustration: occupancies, policies and the reward against references of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from cdred.tools import gridworld as g


def test_occupancy_is_the_discounted_sum_of_where_one_is() -> None:
    policy = np.random.default_rng(0).dirichlet(np.ones(5), 81)
    here, total = np.zeros(81), np.zeros((81, 5))
    here[0] = 1.0
    for step in range(800):
        total += (1 - g.GAMMA) * g.GAMMA**step * here[:, None] * policy
        after = np.zeros(81)
        for state in range(81):
            for action, (dy, dx) in enumerate(g.MOVES):
                y, x = divmod(state, 9)
                to = min(max(y + dy, 0), 8) * 9 + min(max(x + dx, 0), 8)
                after[to] += here[state] * policy[state, action]
        here = after
    np.testing.assert_allclose(g.occupancy(policy), total, atol=1e-12)


def test_the_policy_has_more_reward_and_entropy_than_its_neighbours() -> None:
    rng = np.random.default_rng(1)
    rewards = rng.normal(size=(81, 5))

    def objective(policy: np.ndarray) -> float:
        surprise = -g.TEMPERATURE * np.log(policy)
        return float((g.occupancy(policy) * (rewards + surprise)).sum())

    best = g.best_policy(rewards)
    np.testing.assert_allclose(best.sum(1), 1)
    for _ in range(20):
        other = 0.9 * best + 0.1 * rng.dirichlet(np.ones(5), 81)
        assert objective(other) < objective(best)


def test_red_stands_still_and_coupling_ends_nearer_to_the_expert() -> None:
    red, coupled = g.imitate(1.0), g.imitate(0.8)
    assert len(set(np.round(red.distances[1:], 9))) == 1  # what it did has no part in its reward
    assert coupled.distances[-1] < 0.85 * red.distances[-1]
    assert max(coupled.distances[1:]) > 2 * red.distances[-1]  # and swings before


def test_the_command_prints_and_draws(tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("cdred")), "gridworld", "--out"]
    drawn = subprocess.run([*command, str(tmp_path / "g.png")], capture_output=True, text=True)
    assert drawn.returncode == 0, drawn.stderr
    assert drawn.stdout.count("RED") == 1
    assert (tmp_path / "g.png").read_bytes().startswith(b"\x89PNG")
    wrong = subprocess.run([*command, "nowhere/g.png"], capture_output=True, text=True)
    assert wrong.returncode == 2
    assert wrong.stderr == (
        "cdred: gridworld: --out nowhere/g.png: the name of a .png in a directory that exists\n"
    )
