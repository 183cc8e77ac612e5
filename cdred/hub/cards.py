"""Cards: the README of a published repository, with results in the Hub's model index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cdred import methods
from cdred.envs.tasks import file_name, find
from cdred.errors import counted
from cdred.hub.pull import REPLAY, TABLE
from cdred.learning import results
from cdred.learning.display import display_of
from cdred.learning.results import Results
from cdred.plan import Job, Plan
from cdred.plan.description import describe
from cdred.report.rows import read_demonstrations
from cdred.report.statistics import bootstrap_interval
from cdred.report.svg import is_nothing

PAPER = (
    "[Coupled Distributional Random Expert Distillation for World Model Online Imitation Learning]"
    "(https://arxiv.org/abs/2505.02228)"
)
ACTS = {
    "sample": "samples of its policy", "mean": "the mean of its policy",
    "plan": "planning with its world model (MPPI)", "scripted": "its script",
    "checkpoint": "what its config.json says", "hub": "what its config.json says",
}  # fmt: skip
CITATION = """
## Citation

```bibtex
@article{li2025coupled,
  title   = {Coupled Distributional Random Expert Distillation for World Model Online
             Imitation Learning},
  author  = {Li, Shangzhe and Huang, Zhiao and Su, Hao},
  journal = {arXiv preprint arXiv:2505.02228},
  year    = {2025},
}
```

Trained by cdred, an independent implementation.
"""


def card(plan: Plan, job: Job, publication: dict[str, Any], folder: Path) -> str:
    """The card of the repository written to `folder`."""
    if job.stage == "demos":
        return _dataset(plan, job, publication, folder)
    return _model(plan, job, publication, folder)


def metrics(evaluation: Results) -> dict[str, Any]:
    """The metrics of an evaluation, by the names of the model index."""
    returns = evaluation.returns
    low, high = bootstrap_interval([returns])
    mean = float(np.mean(returns))
    values = {
        # As the Hub's leaderboards read it.
        "mean_reward": f"{mean:.2f} +/- {_deviation(returns):.2f}",
        "mean_return": mean, "mean_return_95_low": low, "mean_return_95_high": high,
        "episodes": float(len(returns)),
    }  # fmt: skip
    known = evaluation.successes
    return values | ({"success_rate": float(np.mean(known))} if known else {})


def _dataset_name(url: str) -> str:
    """The name of a dataset's repository, by its address on the Hub."""
    return url.split("/datasets/")[1].split("/tree/")[0]


def _model(plan: Plan, job: Job, publication: dict[str, Any], folder: Path) -> str:
    from huggingface_hub import EvalResult, ModelCardData

    spec = find(job.task)
    evaluation = results.read(folder)
    method, measured = evaluation.method, metrics(evaluation)
    names = {
        "mean_reward": "mean return and its standard deviation",
        "mean_return": "mean return", "mean_return_95_low": "mean return, 95 % interval, low",
        "mean_return_95_high": "mean return, 95 % interval, high", "episodes": "episodes",
        "success_rate": "success rate",
    }  # fmt: skip
    repository = publication["repository"]
    # An expert's link to demonstrations is to those that it made.
    links = publication["links"] if job.stage == "imitate" else {}
    demonstrations = links.get("demonstrations", "")
    data = ModelCardData(
        license=plan.config.hub.license, library_name="cdred",
        pipeline_tag="reinforcement-learning", tags=_tags(job, method),
        model_name=repository.split("/")[1],
        datasets=[_dataset_name(demonstrations)] if demonstrations else None,
        eval_results=[
            EvalResult(
                task_type="reinforcement-learning", task_name="reinforcement learning",
                dataset_type=job.task, dataset_name=f"{job.task} ({spec.suite})",
                metric_type=key, metric_name=names[key], metric_value=_rounded(value),
            )
            for key, value in measured.items()
        ],
    )  # fmt: skip
    interval = _interval(measured["mean_return_95_low"], measured["mean_return_95_high"])
    summary = display_of(methods.find(method)).summary
    film = f"\n\n[A film of its median episode]({REPLAY})." if (folder / REPLAY).exists() else ""
    return f"""---
{data.to_yaml()}
---

# {repository.split("/")[1]}

An agent for **{job.task}** ({spec.suite}): {summary}. {PAPER}.

Mean return {measured["mean_return"]:.1f}, standard deviation {_deviation(evaluation.returns):.1f},
over {counted(len(evaluation.episodes), "seeded episode")} ({interval}); {_failures(evaluation)}.
Each episode with its seed is in [evaluation.json](evaluation.json).{film}

```python
{_imports(job.task, method)}from cdred import Agent, film

agent = Agent.from_pretrained("{repository}", revision="{publication["release"]}")
episode = film(agent, seed=0, path="episode.mp4")
print(episode.episode_return)
```

`cdred evaluate --checkpoint {repository}@{publication["release"]}` plays the episodes of its
evaluation again and compares them with the numbers above.

## How it acts, and where its limits are

{_acting(plan, job)} It was trained for this task alone, from one random seed, and evaluated in the
simulator that it was trained in: the numbers say nothing about other tasks, other dynamics or a
real robot. Another seed may do better or worse.

{_settings(plan, job)}
{_provenance(publication)}{_figures(folder, job)}
{CITATION}"""


def _imports(*references: str) -> str:
    """The imports that a reader needs first: modules of a task and a method that are not ours."""
    modules = dict.fromkeys(r.split(":")[0] for r in references if ":" in r)
    return "".join(f"import {name}  # in a checkout that has it\n" for name in modules)


def _deviation(returns: list[float]) -> float:
    """The standard deviation of a sample, 0 of one episode."""
    return float(np.std(returns, ddof=min(1, len(returns) - 1)))


def _rounded(value: float | str) -> float | str:
    return value if isinstance(value, str) else round(value, 4)


def _failures(evaluation: Results) -> str:
    """The number of failed episodes, or the worst one where the suite does not know success."""
    known = evaluation.successes
    if known:
        return f"it fails in {known.count(False)} of {len(known)}"
    return f"the worst has {min(evaluation.returns):.1f}, the best {max(evaluation.returns):.1f}"


def _acting(plan: Plan, job: Job) -> str:
    described = describe(plan).entries.get(job.entry)
    if described is None:  # of an expert that no run of this experiment uses
        return ""
    sees = {"state": "the simulator's state", "rgb": "pixels of a camera"}[described.obs]
    return f"It sees {sees} and acts by {ACTS[described.way]}."


def _settings(plan: Plan, job: Job) -> str:
    """All settings of the training, folded."""
    config = plan.config
    entry = config.runs[job.entry] if job.stage == "imitate" else config.experts[job.entry]
    if entry.settings is None:
        return ""
    values = {"seed": job.seed} | entry.settings.model_dump()
    rows = "\n".join(f"| `{name}` | `{value}` |" for name, value in values.items())
    return f"""<details><summary>Settings of its training</summary>

| setting | value |
| --- | --- |
{rows}

</details>
"""


def _dataset(plan: Plan, job: Job, publication: dict[str, Any], folder: Path) -> str:
    from huggingface_hub import DatasetCardData

    spec = find(job.task)
    returns = [episode.episode_return for episode in read_demonstrations(folder)]
    repository, release = publication["repository"], publication["release"]
    data = DatasetCardData(
        configs=[{"config_name": "default", "data_files": TABLE}],
        license=plan.config.hub.license, task_categories=["reinforcement-learning"],
        tags=["minari", *_tags(job, "demonstrations")], pretty_name=repository.split("/")[1],
    )  # fmt: skip
    obs = plan.config.demos[job.entry].obs
    return f"""---
{data.to_yaml()}
---

# {repository.split("/")[1]}

{counted(len(returns), "demonstration")} of **{job.task}** ({spec.suite}): full episodes with {obs}
observations as a [Minari](https://minari.farama.org) dataset, for imitation without rewards.
{PAPER}.

{_returns(returns)}
Each episode with its seed is in [episodes.csv](episodes.csv).

```python
from cdred import pull
from minari import MinariDataset

dataset = MinariDataset(pull("{repository}", "dataset", "{release}").folder / "data")
```

[{TABLE}]({TABLE}) holds the same steps as a table, which the viewer above shows.

{_provenance(publication)}{_figures(folder, job)}
{CITATION}"""


def _returns(returns: list[float | None]) -> str:
    known = [value for value in returns if value is not None]
    if len(known) < len(returns):
        return "Their returns are unknown, as rewards were not recorded."
    mean = f"Mean return {np.mean(known):.1f} ({_interval(*bootstrap_interval([known]))})"
    return f"{mean}, from {min(known):.1f} to\n{max(known):.1f}."


def _interval(low: float, high: float) -> str:
    return f"95 % interval of the mean {low:.1f} to {high:.1f}"


def _tags(job: Job, method: str) -> list[str]:
    tags = [
        "imitation-learning",
        "reinforcement-learning",
        "world-model",
        "cdred",
        "arxiv:2505.02228",
    ]
    return list(dict.fromkeys([*tags, method, find(job.task).suite, job.task]))


def _provenance(publication: dict[str, Any]) -> str:
    links = "".join(f"- {name}: {url}\n" for name, url in publication["links"].items())
    return f"""## Where it comes from

`{publication["artifact"]}` of the experiment `{publication["experiment"]}`, digest
`{publication["digest"][:12]}`. With this params.yaml and requirements.lock, in a checkout of cdred:

```
{publication["command"]}
```

[manifest.json](manifest.json) has the hash of every file, the settings, code and packages that made
it; [lineage](lineage) those of all that it was made from; [publication.json](publication.json) the
hash of every file here.

{links}"""


def _figures(folder: Path, job: Job) -> str:
    """The task's learning curves and the agent's own figures; the others are linked by nothing."""
    files = [
        f.name
        for f in sorted(folder.glob("figures/*.svg"))
        if not is_nothing(f.read_text(encoding="utf-8"))
    ]
    task = file_name(job.task)
    own = f"--{task}--{job.entry}.svg"
    own_files = [n for n in files if n == f"learning_curves--{task}.svg" or n.endswith(own)]
    if not own_files:
        return ""
    lines = "\n".join(f"![{n.removesuffix('.svg').split('--')[0]}](figures/{n})" for n in own_files)
    return f"\n## Of the experiment's report\n\n{lines}\n"
