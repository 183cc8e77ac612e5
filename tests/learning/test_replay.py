"""Sub-sequences never cross an episode's end, and the oldest episodes give way."""

from __future__ import annotations

import torch

from cdred.learning.replay import Replay, join


def episode(number: int, steps: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """obs (steps + 1, 2) = (episode, time); action = time; reward = 100 * episode + time."""
    time = torch.arange(steps + 1.0)
    obs = torch.stack([torch.full_like(time, number), time], 1)
    return obs, time[:-1, None], 100 * number + time[:-1]


def test_sampled_subsequences_are_consecutive_steps_of_one_episode() -> None:
    replay = Replay(100, [2], 1, horizon=3, with_reward=True)
    for number, steps in enumerate([5, 3, 12]):
        replay.add(*episode(number, steps))
    batch = replay.sample(2000)
    number, time = batch.obs.unbind(-1)
    assert batch.obs.shape == (4, 2000, 2) and batch.action.shape == (3, 2000, 1)
    assert (number == number[0]).all()
    assert (time[1:] == time[:-1] + 1).all()
    assert (batch.action[..., 0] == time[:-1]).all()
    assert batch.reward is not None
    assert (batch.reward[..., 0] == 100 * number[:-1] + time[:-1]).all()
    # Every start of every episode is drawn, final observations included.
    starts = {(int(n), int(t)) for n, t in zip(number[0], time[0], strict=True)}
    assert starts == {(0, t) for t in range(3)} | {(1, 0)} | {(2, t) for t in range(10)}


def test_the_oldest_episodes_give_way() -> None:
    replay = Replay(20, [2], 1, horizon=2, with_reward=False)
    for number in range(7):
        replay.add(*episode(number, 5)[:2])
    kept = {int(n) for n in replay.sample(500).obs[0, :, 0]}
    assert kept == {4, 5, 6}
    assert len(replay) == 15
    replay.add(*episode(7, 9)[:2])  # a longer one takes the room of two
    assert {int(n) for n in replay.sample(500).obs[0, :, 0]} == {6, 7}


def test_joined_streams_hold_the_expert_first_and_no_reward() -> None:
    streams = []
    for number in (1, 2):
        replay = Replay(10, [2], 1, horizon=2, with_reward=True)
        replay.add(*episode(number, 5))
        streams.append(replay.sample(4))
    batch = join(*streams)
    assert batch.num_expert == 4 and batch.reward is None
    assert batch.obs[0, :, 0].tolist() == [1] * 4 + [2] * 4
