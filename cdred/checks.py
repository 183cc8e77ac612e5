"""What the keys and entries of a configuration must agree on, beyond their types."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, NoReturn

from cdred import suites
from cdred.envs.tasks import find, lookup, names
from cdred.errors import CdredError, nearest
from cdred.learning.settings import Settings, discount

if TYPE_CHECKING:
    from cdred.config import Config, Demos, Expert, Run

COMMIT = re.compile(r"[0-9a-f]{40}")
NAME = re.compile(r"[a-z0-9]+([_-][a-z0-9]+)*")
NAME_RULE = "lower-case letters and digits, joined by single - or _, as it names files"
CFIL_REWARD = 6.0  # at most, of a step: `CoupledFlow.squash`
Place = dict[tuple[str, ...], str]  # key path -> "file:line"

# Settings that ask something of one kind of reward.
_OF_METHODS: dict[tuple[str, ...], tuple[str, ...]] = {
    ("cdred",): ("zeta", "zeta_end"),  # red is zeta 1
    ("cdred", "red"): ("alpha", "num_targets", "transform", "reward_space"),
    ("iqmpc",): ("iq_alpha", "gradient_penalty"),
    ("cfil",): ("flow_transforms", "flow_noise", "flow_likelihood_coef"),
    ("cdred", "red", "iqmpc", "cfil"): ("model_free",),
}


class Checks:
    """Raises CdredError with the place of what is wrong. `places` are those of the keys of
    `source`."""

    def __init__(self, places: Place, source: str) -> None:
        self.places, self.source = places, source

    def fail(self, path: tuple[str, ...], message: str) -> NoReturn:
        known = path
        while known not in self.places and known:
            known = known[:-1]
        where = self.places.get(known, self.source)
        raise CdredError(f"{where}: {'.'.join(path) or 'configuration'}: {message}")

    def unknown(self, path: tuple[str, ...], kind: str, name: str, valid: list[str]) -> NoReturn:
        self.fail(path, f"no {kind} is called {name!r}; {nearest(name, valid)}")

    def check_names(self, c: Config) -> None:
        """Every name refers to something that exists, once."""
        for name, demos in c.demos.items():
            self.check_demos(name, demos, list(c.experts))
        for task in c.expert.threshold:
            if lookup(task) is None:
                self.unknown(("expert", "threshold", task), "task", task, names())
        for name, run in c.runs.items():
            if name in c.experts:
                self.fail(
                    ("runs", name), "an expert has this name too; their results would collide"
                )
            if run.demos not in c.demos:
                self.unknown(("runs", name, "demos"), "demos entry", run.demos, list(c.demos))
            available = c.demos[run.demos].episodes
            if run.demo_episodes is not None and run.demo_episodes > available:
                self.fail(
                    ("runs", name, "demo_episodes"),
                    f"{run.demo_episodes} episodes asked for, demos.{run.demos} has {available}",
                )
            if run.settings.keep == "best":
                reason = "the environment's reward must not choose an imitating agent"
                self.fail(("runs", name, "keep"), f"'best' is for experts: {reason}")
            self.check_reward_space(name, run, c.demos[run.demos].obs)
            self.check_bins(name, run, c.experiment.tasks)
        e = c.experiment
        if not NAME.fullmatch(e.name):
            self.fail(("experiment", "name"), f"{e.name!r}: {NAME_RULE}")
        for k, task in enumerate(e.tasks):
            if lookup(task) is None:
                self.unknown(("experiment", "tasks", str(k)), "task", task, names())
        for k, name in enumerate(e.runs):
            if name not in c.runs:
                self.unknown(("experiment", "runs", str(k)), "run", name, list(c.runs))
        for key, items in (("tasks", e.tasks), ("runs", e.runs), ("seeds", e.seeds)):
            if not items:
                self.fail(("experiment", key), "empty; name at least one")
            for k, item in enumerate(items):
                if item in items[:k]:
                    self.fail(("experiment", key, str(k)), f"{item} stands here twice")
        used = {c.demos[c.runs[run].demos].expert for run in e.runs}  # None: others' recordings
        for name, expert in c.experts.items():
            self.check_expert(name, expert, e.tasks if name in used else [])

    def check_reward_space(self, name: str, run: Run, obs: str) -> None:
        """Rewards on observations: of states, and not where plans are made of latents."""
        if run.method == "cfil":
            path = ("runs", name, "method")
        elif run.settings.reward_space == "observation":
            path = ("runs", name, "reward_space")
        else:
            return
        if obs == "rgb":
            self.fail(path, "pixels have no density of their own here")
        if run.settings.plans:
            reason = "plans are latent, this reward is not"
            self.fail(path, f"{reason}; set mpc: false and no eval_policy: plan")
        if run.settings.compile and run.method == "cfil":
            self.fail(path, "its flows cannot be compiled; set compile: false")

    def check_bins(self, name: str, run: Run, tasks: list[str]) -> None:
        """The critic's bins hold every return of CFIL's bounded reward."""
        if run.method != "cfil" or not tasks:
            return
        known = [spec.episode_length for task in tasks if (spec := lookup(task)) and spec.sized]
        longest = max(known, default=1)
        most, end = CFIL_REWARD / (1 - discount(longest, run.settings)), run.settings.symlog_max
        if math.expm1(end) < most:
            self.fail(
                ("runs", name, "symlog_max"),
                f"{end:g} holds returns up to {math.expm1(end):.0f}, those of cfil reach "
                f"{most:.0f}; set at least {math.ceil(10 * math.log1p(most)) / 10:g}",
            )

    def check_demos(self, name: str, demos: Demos, experts: list[str]) -> None:
        """Demonstrations come from an expert here, or from what others recorded."""
        path = ("demos", name)
        own = demos.source == "expert"
        needed, other = ("expert", "path") if own else ("path", "expert")
        if getattr(demos, needed) is None:
            self.fail((*path, needed), f"missing, with source: {demos.source}")
        if getattr(demos, other) is not None:
            self.fail((*path, other), f"has no meaning with source: {demos.source}")
        if demos.source == "hub":
            self.check_commit(path, demos.revision)
        elif demos.revision is not None:
            self.fail((*path, "revision"), f"has no meaning with source: {demos.source}")
        if own and demos.stride != 1:
            self.fail((*path, "stride"), "is for what others recorded")
        if own and demos.expert not in experts:
            self.unknown((*path, "expert"), "expert", str(demos.expert), experts)

    def check_commit(self, path: tuple[str, ...], revision: str | None) -> None:
        """What a result depends on must not move, as branches and tags do."""
        if revision is None or not COMMIT.fullmatch(revision):
            self.fail(
                (*path, "revision"),
                f"{revision or 'missing'}: the 40 hexadecimal digits of a commit; `cdred pull` "
                f"prints them",
            )

    def check_expert(self, name: str, expert: Expert, tasks: list[str]) -> None:
        """What an expert's source asks for is there, and nothing else."""
        path = ("experts", name)
        wanted = expert.source in ("checkpoint", "hub")
        if wanted and expert.checkpoint is None:
            self.fail((*path, "checkpoint"), "missing: a directory, or a model on the Hub")
        for key in ("checkpoint", "revision"):
            if not wanted and getattr(expert, key) is not None:
                self.fail((*path, key), f"has no meaning with source: {expert.source}")
        if expert.source == "hub":
            self.check_commit(path, expert.revision)
        if expert.source == "scripted":
            if expert.obs != "state":
                self.fail((*path, "obs"), "scripted policies look at state alone")
            for task in tasks:
                if not suites.suite(find(task).suite).scripted:
                    known = (suites.suite(name) for name in suites.NAMES)
                    others = " and ".join(f"{suite.label}'s" for suite in known if suite.scripted)
                    self.fail((*path, "source"), f"{task} has no scripted policy; {others} do")

    def check_meaning(self, given: dict[str, Any], method: str, path: tuple[str, ...]) -> None:
        """What a run says of its method's reward, its reward has: else it would be an experiment
        that never happened."""
        for methods, keys in _OF_METHODS.items():
            for key in keys:
                if key in given and method not in methods:
                    self.fail((*path, key), f"has no meaning with method: {method}")

    def check_settings(self, s: Settings, path: tuple[str, ...]) -> None:
        if s.latent_dim % s.simnorm_dim:
            self.fail((*path, "latent_dim"), f"{s.latent_dim} is not a multiple of {s.simnorm_dim}")
        for low, high in (
            ("discount_min", "discount_max"),
            ("log_std_min", "log_std_max"),
            ("plan_min_std", "plan_max_std"),
            ("plan_elites", "plan_samples"),
            ("plan_policy_samples", "plan_samples"),
        ):
            if getattr(s, low) > getattr(s, high):
                self.fail((*path, low), f"larger than {high}")
        if s.plans and s.model_free:
            self.fail(
                (*path, "model_free"), "nothing to plan in; set mpc: false and no eval_policy: plan"
            )
        if s.compile and s.gradient_penalty:
            self.fail((*path, "gradient_penalty"), "torch.compile has no second derivatives")
