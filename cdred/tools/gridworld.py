"""`cdred gridworld`: the effect of coupling, computed exactly in a small grid.

No networks: a predictor's bonus at x is that of a count, 1 / (1 + n rho(x)), of the n samples whose
distribution is rho. Occupancies follow from linear equations, policies from soft value iteration
(entropy coefficient `TEMPERATURE`), both exact. The reward is CDRED's,

    R(s, a) = -zeta b(s, a; expert) + (1 - zeta) b(s, a; own),

and zeta 1 is RED. What the agent did before stays in its replay, as in training.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

SIZE = 9
MOVES = ((0, 1), (1, 0), (0, -1), (-1, 0), (0, 0))  # the last stays
GAMMA = 0.95
TEMPERATURE = 0.02
SAMPLES = 1_000  # n, of each stream
ROUNDS = 40
ZETAS = (1.0, 0.8, 0.5)  # RED, the paper's, and equal weights
SLIP = 0.1  # how often the expert moves at random


@dataclass(frozen=True)
class Course:
    """The course of one zeta: state occupancy (S,) of each round's policy, and its total variation
    distance from the expert's, over states and actions."""

    zeta: float
    occupancies: list[NDArray[Any]]
    distances: list[float]


def transitions() -> NDArray[Any]:
    """The next state of each state and action, (S, A); walls stop moves."""
    rows, columns = np.divmod(np.arange(SIZE**2), SIZE)
    after = []
    for dy, dx in MOVES:
        y, x = (np.clip(c + d, 0, SIZE - 1) for c, d in ((rows, dy), (columns, dx)))
        after.append(y * SIZE + x)
    return np.stack(after, 1)


def expert_policy() -> NDArray[Any]:
    """The policy (S, A) along two sides to the corner opposite the first, where it stays."""
    columns = np.arange(SIZE**2) % SIZE
    rows = np.arange(SIZE**2) // SIZE
    policy = np.full((SIZE**2, len(MOVES)), SLIP / len(MOVES))
    chosen = np.where(columns < SIZE - 1, 0, np.where(rows < SIZE - 1, 1, 4))
    policy[np.arange(SIZE**2), chosen] += 1 - SLIP
    return policy


def occupancy(policy: NDArray[Any]) -> NDArray[Any]:
    """The discounted distribution over states and actions (S, A) of a policy that starts in the
    first state: d(s) = (1 - gamma) start(s) + gamma sum of d(s') over what leads to s."""
    states, after = len(policy), transitions()
    flow = np.zeros((states, states))  # from, to
    for action in range(len(MOVES)):
        np.add.at(flow, (np.arange(states), after[:, action]), policy[:, action])
    start = np.zeros(states)
    start[0] = 1 - GAMMA
    visits = np.linalg.solve(np.eye(states) - GAMMA * flow.T, start)
    pairs: NDArray[Any] = visits[:, None] * policy
    return pairs


def bonus(density: NDArray[Any]) -> NDArray[Any]:
    return 1 / (1 + SAMPLES * density)


def reward(expert: NDArray[Any], own: NDArray[Any], zeta: float) -> NDArray[Any]:
    return -zeta * bonus(expert) + (1 - zeta) * bonus(own)


def best_policy(rewards: NDArray[Any]) -> NDArray[Any]:
    """The policy (S, A) that maximises reward and entropy, by soft value iteration."""
    after, value = transitions(), np.zeros(len(rewards))
    while True:
        q = (rewards + GAMMA * value[after]) / TEMPERATURE
        top = q.max(1, keepdims=True)
        total = np.exp(q - top).sum(1, keepdims=True)
        new = TEMPERATURE * (top + np.log(total))[:, 0]
        if np.abs(new - value).max() < 1e-10:
            policy: NDArray[Any] = np.exp(q - top) / total
            return policy
        value = new


def imitate(zeta: float, rounds: int = ROUNDS) -> Course:
    """Repeat: act, add to the replay, learn the best policy of the resulting reward."""
    expert = occupancy(expert_policy())
    policy = np.full(expert.shape, 1 / len(MOVES))
    replay: list[NDArray[Any]] = []
    course = Course(zeta, [], [])
    for _ in range(rounds):
        own = occupancy(policy)
        replay.append(own)
        course.occupancies.append(own.sum(1))
        course.distances.append(float(np.abs(own - expert).sum() / 2))
        policy = best_policy(reward(expert, np.mean(replay, 0), zeta))
    return course


def run() -> list[Course]:
    return [imitate(zeta) for zeta in ZETAS]


def table(courses: list[Course]) -> str:
    """Distances from the expert over rounds, a line for each zeta."""
    rounds = [k for k in (1, 2, 3, 5, 10, 20, ROUNDS) if k <= len(courses[0].distances)]
    lines = ["total variation distance between agent and expert, over rounds of learning"]
    lines.append("zeta" + "".join(f"{k:>8}" for k in rounds))
    for one in courses:
        cells = "".join(f"{one.distances[k - 1]:8.3f}" for k in rounds)
        lines.append(f"{one.zeta:4.1f}{cells}{'  RED' if one.zeta == 1 else ''}")
    return "\n".join(lines)


def draw(courses: list[Course], file: Path) -> None:
    """Draw the final occupancy of the expert and each agent, and the distances over rounds."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3 * (len(courses) + 2), 3), layout="constrained")
    axes: list[Any] = list(figure.subplots(1, len(courses) + 2))
    expert = occupancy(expert_policy()).sum(1)
    maps = [("expert", expert)]
    maps += [(f"zeta {f.zeta:g}", np.mean(f.occupancies[-10:], 0)) for f in courses]
    for panel, (title, visits) in zip(axes, maps, strict=False):
        grid = np.log10(visits.reshape(SIZE, SIZE).clip(1e-4))
        panel.imshow(grid, vmin=-4, vmax=0, cmap="viridis")
        panel.set(title=title, xticks=[], yticks=[])
    for one in courses:
        rounds = range(1, len(one.distances) + 1)
        axes[-1].plot(rounds, one.distances, label=f"zeta {one.zeta:g}")
    axes[-1].set(title="distance from the expert", xlabel="round", ylim=(0, 1))
    axes[-1].legend(frameon=False)
    figure.savefig(file, dpi=80)
