"""Demonstrations of one's own: ten episodes of pointmass.py by a policy of one's own, recorded.

`python record.py`, beside pointmass.py in a checkout, writes recorded/pointmass.pkl, which an
experiment reads by `source: pickle` (docs/demonstrations.md).
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

import cdred

FILE = Path("recorded/pointmass.pkl")


def main() -> None:
    env, episodes = cdred.make("pointmass:make"), []
    for seed in range(10):
        obs, _ = env.reset(seed=seed)
        observations, actions, rewards, done = [obs], [], [], False
        while not done:
            position, velocity = obs[:2], obs[2:]
            action = np.clip(-2 * position - 2 * velocity, -1, 1)  # the policy
            obs, reward, terminated, truncated, _ = env.step(action)
            observations.append(obs)
            actions.append(action)
            rewards.append(float(reward))
            done = terminated or truncated
        # One observation more than actions. Rewards and the seed may be left out.
        episode = {"observations": observations, "actions": actions, "rewards": rewards}
        arrays = {name: np.array(values) for name, values in episode.items()}
        episodes.append(arrays | {"seed": seed})
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_bytes(pickle.dumps(episodes))


if __name__ == "__main__":
    main()
