"""Demonstrations that others recorded, read without executing anything that they hold."""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from cdred.config.schema import Demos
from cdred.envs.make import PIXEL_SHAPE
from cdred.envs.rollout import Episode
from cdred.envs.tasks import find
from cdred.errors import CdredError


def collect(root: Path, task: str, wanted: Demos) -> list[Episode]:
    """`wanted.episodes` episodes of `wanted.path`, as the task's learner sees them.

    Rewards that were not recorded are NaN; seeds that were not, the episode's index.
    Raises CdredError naming what is missing, cannot be read, or does not fit the task.
    """
    assert wanted.path is not None
    if wanted.source == "hub":
        return _pulled(task, wanted)
    reader = {"minari": _minari, "maniskill2": _maniskill2, "pickle": _pickle}[wanted.source]
    file = root / wanted.path
    if not file.exists() and wanted.source != "minari":
        raise CdredError(f"{wanted.path}: no such file")
    episodes: list[Episode] = []
    try:
        for k, (obs, action, reward, success, seed) in enumerate(reader(file, wanted.path, task)):
            episode = _episode(obs, action, reward, success, k if seed is None else seed)
            _check(f"{wanted.path}, episode {k}", episode, task, wanted.obs)
            if wanted.wants(episode):
                episodes.append(_strided(episode, wanted.stride))
            if len(episodes) == wanted.episodes:
                return episodes
    except (OSError, KeyError, ValueError, TypeError, IndexError, pickle.UnpicklingError) as exc:
        said = " ".join(str(exc).split())
        raise CdredError(
            f"{wanted.path}: cannot be read as {wanted.source}: {said or type(exc).__name__}"
        ) from None
    raise CdredError(
        f"{wanted.path}: {wanted.episodes} episodes asked for, {len(episodes)} are there"
        f"{' that are wanted' if wanted.selects else ''}"
    )


def _pulled(task: str, wanted: Demos) -> list[Episode]:
    """The first wanted episodes of demonstrations that cdred published."""
    from cdred import demos, hub

    where = f"{wanted.path}@{wanted.revision}"
    pulled = hub.pull(str(wanted.path), "dataset", wanted.revision)
    recorded = (pulled.manifest["stage"], pulled.manifest["task"])
    if recorded != ("demos", task):
        raise CdredError(f"{where}: holds {recorded[0]} of {recorded[1]}, not demos of {task}")
    found = [e for e in demos.read(pulled.folder) if wanted.wants(e)][: wanted.episodes]
    for k, episode in enumerate(found):
        _check(f"{where}, episode {k}", episode, task, wanted.obs)
    if len(found) < wanted.episodes:
        raise CdredError(
            f"{where}: {wanted.episodes} episodes asked for, {len(found)} are there"
            f"{' that are wanted' if wanted.selects else ''}"
        )
    return found


Recorded = tuple[Any, Any, Any, Any, "int | None"]  # obs, action, reward, success, seed


def _episode(obs: Any, action: Any, reward: Any, success: Any, seed: int) -> Episode:
    obs, action = np.asarray(obs), np.asarray(action, np.float32)
    if obs.dtype != np.uint8:
        obs = obs.astype(np.float32)
    if reward is None:
        reward = np.full(len(action), np.nan)
    known = None if success is None else bool(np.any(success))
    return Episode(obs, action, np.asarray(reward, np.float32).reshape(-1), known, int(seed))


def _check(where: str, e: Episode, task: str, obs: str) -> None:
    spec = find(task)
    shape = PIXEL_SHAPE if obs == "rgb" else (spec.obs_dim,)
    for what, has, wanted in (
        ("an observation's shape is", e.obs.shape[1:], shape),
        ("an action's shape is", e.action.shape[1:], (spec.action_dim,)),
        ("observations are", len(e.obs), len(e.action) + 1),
        ("rewards are", len(e.reward), len(e.action)),
    ):
        if has != wanted:
            raise CdredError(f"{where}: does not fit {task} ({obs}): {what} {has}, not {wanted}")
    if (far := float(np.abs(e.action).max())) > 1 + 1e-5:
        raise CdredError(f"{where}: does not fit {task}: an action of {far:g}, outside [-1, 1]")
    if not np.isfinite(e.obs).all() or not np.isfinite(e.action).all():
        raise CdredError(f"{where}: a number that is not finite")


def _strided(e: Episode, stride: int) -> Episode:
    """Every `stride`-th observation; the mean of the actions in between, the sum of rewards."""
    if stride == 1:
        return e
    count = len(e.action) // stride
    end = count * stride
    action = e.action[:end].reshape(count, stride, -1).mean(1)
    reward = e.reward[:end].reshape(count, stride).sum(1)
    return Episode(e.obs[: end + 1 : stride], action, reward, e.success, e.seed)


# ---- formats ------------------------------------------------------------------------------------


def _minari(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """A Minari dataset's directory, or its id, which is downloaded if it is not here."""
    import minari

    try:
        if file.is_dir():
            data = file / "data" if (file / "data").is_dir() else file
            dataset = minari.MinariDataset(data.resolve())
        else:
            dataset = minari.load_dataset(name, download=True)
    except Exception as exc:  # of whatever fetches it
        raise CdredError(
            f"{name}: no Minari dataset here, and not to be had: {' '.join(str(exc).split())[:150]}"
        ) from None
    made_for = json.loads(dataset.storage.metadata.get("environment", "{}")).get("task", task)
    if made_for != task:
        raise CdredError(f"{name}: demonstrations of {made_for}, not of {task}")
    indices = range(dataset.total_episodes)
    for e, extra in zip(
        dataset.iterate_episodes(indices), dataset.storage.get_episode_metadata(indices),
        strict=True,
    ):  # fmt: skip
        success = extra.get("success", (e.infos or {}).get("success"))
        yield e.observations, e.actions, e.rewards, success, extra.get("seed")


def _maniskill2(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """ManiSkill2's trajectories: NAME.h5 and, beside it, NAME.json.

    They must hold state observations: `mani_skill2.trajectory.replay_trajectory -o state` adds
    them, and changes the control mode.
    """
    import h5py

    described = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    env_id = described["env_info"]["env_id"]
    if env_id != find(task).simulator:
        raise CdredError(f"{name}: demonstrations of {env_id}, not of {task}")
    with h5py.File(file) as stored:
        for e in described["episodes"]:
            trajectory = stored[f"traj_{e['episode_id']}"]
            if not isinstance(trajectory.get("obs"), h5py.Dataset):
                raise CdredError(
                    f"{name}: no state observations; python -m mani_skill2.trajectory."
                    f"replay_trajectory --traj-path {name} -o state --save-traj makes them"
                )
            rewards = trajectory.get("rewards")
            yield (
                trajectory["obs"][:], trajectory["actions"][:],
                None if rewards is None else rewards[:], trajectory["success"][:],
                e.get("episode_seed"),
            )  # fmt: skip


class _Plain(pickle.Unpickler):
    """Reads numbers, text, lists, dicts and numpy arrays; whatever else a pickle asks for is
    refused before it runs."""

    _ALLOWED = frozenset(
        (f"numpy{core}", name)
        for core, names in (
            ("", ("ndarray", "dtype")),
            (".core.multiarray", ("_reconstruct", "scalar")),
            ("._core.multiarray", ("_reconstruct", "scalar")),
            (".core.numeric", ("_frombuffer",)),
            ("._core.numeric", ("_frombuffer",)),
        )
        for name in names
    ) | {("collections", "OrderedDict"), ("_codecs", "encode")}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise CdredError(
                f"{getattr(self, 'source', 'pickle')}: refused: it asks for {module}.{name}, which "
                f"is code; only numbers, text, lists, dicts and numpy arrays are read"
            )
        if module.startswith("numpy._core"):  # of numpy 2
            module = module.replace("numpy._core", "numpy.core")
        return super().find_class(module, name)


def _pickle(file: Path, name: str, task: str) -> Iterator[Recorded]:
    """The layouts of the authors' code and of IQ-Learn: lists by field, or a list of episodes."""
    with file.open("rb") as stored:
        reader = _Plain(stored)
        reader.source = name  # type: ignore[attr-defined]
        data = reader.load()
    if isinstance(data, dict):
        fields = {key: data[key] for key in data if key != "lengths"}
        count = len(_field(fields, *_OBS))
        data = [{key: values[k] for key, values in fields.items()} for k in range(count)]
    for e in data:
        obs, action = np.asarray(_field(e, *_OBS)), np.asarray(_field(e, "actions", "action"))
        if len(obs) == len(action):  # the last observation stands apart
            after = np.asarray(_field(e, "next_states", "next_observations", "next_obs"))
            obs = np.concatenate([obs, after[-1:]])
        yield obs, action, e.get("rewards", e.get("reward")), e.get("success"), e.get("seed")


_OBS = ("states", "observations", "obs")


def _field(data: dict[str, Any], *names: str) -> Any:
    for name in names:
        if name in data:
            return data[name]
    raise KeyError(f"none of {', '.join(names)} among {', '.join(map(str, data))}")
