"""`cdred verify`: check an artifact against its manifest, all the way up, and reproduce it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cdred import documents, manifest
from cdred.config.schema import Episodes, Evaluation, Obs, Only
from cdred.documents import Document, Seed
from cdred.envs.episodes import Episode
from cdred.envs.tasks import check_trusted
from cdred.errors import CdredError
from cdred.learning.device import device_name, prepare, select
from cdred.plan import code, output_path
from cdred.plan.lineage import Manifests, chain
from cdred.system import machine

# What was recorded, what came back, and whether all of it has the same bits.
Played = tuple[NDArray[Any], NDArray[Any], bool]
Play = Callable[[], Played]


def reproductions(path: str, manifests: Manifests, root: Path) -> list[str]:
    """The artifacts that can be played again for one: evaluations, or demonstrations."""
    stage = manifests[path]["stage"]
    if stage == "demos" and not manifests[path]["inputs"]:
        return []  # recorded by others, with a simulator of theirs
    if stage in ("evaluate", "demos"):
        return [path]
    if stage == "report":
        return [
            name for name in manifests[path]["inputs"] if manifests[name]["stage"] == "evaluate"
        ]
    m = manifests[path]
    evaluation = output_path("evaluate", m["task"], m["entry"], m["seed"]).as_posix()
    known = manifest.read(root / evaluation)
    here = manifest.hash_file(root / path / manifest.NAME)
    return [evaluation] if known is not None and known["inputs"].get(path) == here else []


class _Demonstrations(Document):
    """The parameters of demonstrations by which their episodes are chosen."""

    episodes: Episodes
    obs: Obs
    seed: Seed
    only: Only
    min_return: float | None


def differences(root: Path, m: dict[str, Any]) -> list[str]:
    """The circumstances that differ from those of the artifact; without any its bits must come
    back."""
    here = {
        "machine": machine.name(),
        "device": device_name(_device(m)),
    }
    other = [] if _same_code(root, m["code"]) else ["code"]
    other += [key for key, value in here.items() if m.get(key) != value]
    return other + [n for n, v in m["packages"].items() if machine.version(n) != v]


def _same_code(root: Path, recorded: Any) -> bool:
    """Tell whether every file of code is as it was, which of earlier versions is not known."""
    return isinstance(recorded, dict) and code.is_same(root, recorded)


class Reproduction:
    """An evaluation or demonstrations of manifest `m`, played again with the recorded seeds.

    `play` returns what was recorded, what came back, and whether all that it holds has the same
    bits. `root`: where the code is that runs.
    """

    def __init__(
        self, root: Path, path: str, m: dict[str, Any], tolerance: float, play: Play
    ) -> None:
        self.path, self.differences = path, differences(root, m)
        prepare(m.get("threads", 1))
        self.recorded, self.again, same_bits = play()
        unknown = np.isnan(self.recorded) & np.isnan(self.again)
        scale = float(np.abs(self.recorded[~np.isnan(self.recorded)]).max(initial=0.0))
        off = np.where(unknown, 0.0, np.abs(self.again - self.recorded))
        self.off = np.where(np.isnan(off), np.inf, off)
        self.exact = bool(same_bits and not self.off.any())
        self.allowed = 0.0 if not self.differences else tolerance * scale
        self.holds = bool((self.off <= self.allowed).all()) and (
            self.exact or bool(self.differences)
        )

    def lines(self) -> Iterator[str]:
        count = len(self.recorded)
        what = f"mean return {_mean(self.recorded)}, played again {_mean(self.again)}"
        if self.exact:
            yield f"reproduced  {self.path}: all {count} episodes exactly ({what})"
            return
        near = int((self.off <= self.allowed).sum())
        if self.differences:
            other = ", ".join(self.differences)
            yield f"            {self.path}: other here: {other}; so within {self.allowed:.1f}"
        verdict = "reproduced  " if self.holds else "NOT REPRODUCED  "
        yield f"{verdict}{self.path}: {near} of {count} episodes, farthest {self.off.max():.3g} off"
        yield f"            ({what})"


def _mean(returns: NDArray[Any]) -> str:
    """The mean return as text; environments and recordings may lack rewards."""
    return f"{returns.mean():.1f}" if np.isfinite(returns).all() else "unknown"


def _evaluation(root: Path, path: str, m: dict[str, Any]) -> Played:
    from cdred.learning import saving

    (agent_path,) = m["inputs"]
    check_trusted(m["task"])
    return _evaluate(path, saving.load(root / agent_path, m["task"]), root / path, m)


def _evaluate(name: str, agent: Any, recorded_in: Path, m: dict[str, Any]) -> Played:
    """The evaluation of manifest `m`, recorded in a directory, and the same played by `agent`."""
    from cdred import evaluation
    from cdred.learning import registry, results

    recorded = results.read(recorded_in)
    chosen = documents.check(Evaluation, m["params"], f"{name}/{manifest.NAME}: params")
    _agree(name, "task", recorded.task, m["task"], agent.task)
    method = registry.of_saved(recorded.method).name
    _agree(name, "method", method, agent.method)
    _agree(name, "episodes and seeds", len(recorded.episodes), chosen.episodes)
    agent = agent.to(_device(m))
    episodes = evaluation.evaluate(agent, m["task"], chosen.episodes, chosen.seed)
    returns = np.array(recorded.returns)
    _agree(
        name, "episodes and seeds", [e.seed for e in recorded.episodes], [e.seed for e in episodes]
    )
    _agree(name, "mean return", recorded.return_mean, float(np.mean(returns)))
    same = all(
        (was.length, was.success_once) == (len(now.action), now.success_once)
        and was.success_at_end in (now.success, None)  # older versions did not record it
        for was, now in zip(recorded.episodes, episodes, strict=True)
    )
    return returns, _returns(episodes), same


def _demos(root: Path, path: str, m: dict[str, Any]) -> Played:
    """The recorded actions in environments of the recorded seeds: no expert is asked."""
    from cdred.demos import dataset, selection
    from cdred.learning.seeding import derive_seeds

    check_trusted(m["task"])
    params = documents.check(_Demonstrations, m["params"], f"{path}/{manifest.NAME}: params")
    recorded = dataset.read(root / path, m["task"], params.obs)
    every = params.only == "all" and params.min_return is None
    tried = derive_seeds(params.seed, selection.PURPOSE, params.episodes * selection.ROUNDS)
    seeds = [e.seed for e in recorded]
    follow = tried if every else [seed for seed in tried if seed in seeds]
    _agree(path, "episodes and seeds", seeds, follow[: params.episodes])
    again = selection.observe(m["task"], params.obs, recorded)
    pairs = zip(recorded, again, strict=True)
    same = all(np.array_equal(a.obs, b.obs) for a, b in pairs)
    return _returns(recorded), _returns(again), same


def _device(m: dict[str, Any]) -> Any:
    """The device on which an artifact is played again: the CPU if it was made there."""
    return select("cpu" if m["device"] == "cpu" else "auto", machine.take_gpu)


def _agree(path: str, what: str, recorded: Any, *follows: Any) -> None:
    if any(recorded != other for other in follows):
        raise CdredError(
            f"{path}: its {what} are not those that follow from its manifest and files"
        )


def _returns(episodes: list[Episode]) -> NDArray[Any]:
    return np.array([e.episode_return for e in episodes])


def verify(root: Path, path: str, tolerance: float) -> bool:
    """Check an artifact and tell what comes of it. Returns whether it reproduces."""
    manifests = chain(root, path)
    played = reproductions(path, manifests, root)
    for name in played:
        chain(root, name, manifests)
    for name, m in manifests.items():
        print(f"intact      {name}: {len(m['files'])} files, digest {m['digest'][:12]}")
    if not played:
        recorded = manifests[path]["stage"] == "demos"
        reason = "recorded by others" if recorded else "no evaluation of it is here"
        print(f"            {path}: {reason}, nothing to play again")
    good = True
    for name in played:
        m = manifests[name]
        play = partial(_demos if m["stage"] == "demos" else _evaluation, root, name, m)
        outcome = Reproduction(root, name, m, tolerance, play)
        for line in outcome.lines():
            print(line)
        good &= outcome.holds
    return good


def verify_pulled(where: str, revision: str | None, tolerance: float) -> bool:
    """Pull an agent from the Hub and play its evaluation again. Returns whether it reproduces."""
    import cdred
    from cdred.hub.pull import pull
    from cdred.learning.agent import Agent

    pulled = pull(where, "model", revision)
    name = f"{where}@{pulled.commit[:12]}"
    m = pulled.evaluation
    if m is None:
        raise CdredError(f"{name}: holds no evaluation to compare with")
    check_trusted(m["task"])
    print(f"intact      {name}: {len(pulled.publication.files)} files")
    agent = Agent.from_pretrained(pulled.folder)
    play = partial(_evaluate, name, agent, pulled.folder, m)
    outcome = Reproduction(Path(cdred.__file__).parents[1], name, m, tolerance, play)
    for line in outcome.lines():
        print(line)
    return outcome.holds
