"""cdred in Python, without engines and artifacts: an expert's episodes, an agent trained on
them, its evaluation. Takes a minute, at a tenth of the quickstart's steps and a fifth of the
updates for each.

    python examples/in_python.py
"""

import gymnasium
import numpy as np

import cdred
import cdred.gym

TASK = "cartpole-balance"
SHORT = {"steps": 1_500, "updates_per_step": 0.2, "eval_every": 1_500, "eval_episodes": 3}

# An expert from true reward: too short a training to be one.
expert = cdred.train(TASK, "true_reward", **SHORT)
shown = cdred.evaluate(expert, episodes=3, seed=1)
print("expert", shown)

# CDRED on its episodes, of which it sees no rewards.
agent = cdred.train(TASK, "cdred", shown.episodes, **SHORT)
print("CDRED", cdred.evaluate(agent, episodes=3))
print(agent)

# Any task is a Gymnasium environment; an agent maps batches of observations to actions.
env = gymnasium.make(f"cdred/{TASK}")
obs, _ = env.reset(seed=0)
agent.reset()
total = 0.0
for _ in range(100):
    obs, reward, *_ = env.step(agent.act(obs[None])[0])
    total += float(np.asarray(reward))
env.close()
print(f"100 steps: reward {total:.1f}")
