"""Bad configurations are one clear line with file, line, key and the nearest valid name."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest
from support.configurations import write
from support.project import CHECKOUT

from cdred.config import load
from cdred.errors import CdredError


def test_settings_stand_over_the_preset_over_the_papers(tmp_path: Path) -> None:
    config = load(write(tmp_path))
    settings = config.runs["cdred"].settings
    assert settings.zeta == 0.7  # the entry's own
    assert settings.latent_dim == 64  # the preset's
    assert settings.alpha == 0.9  # the paper's
    assert config.evaluation.episodes == 20


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{preset: small, steps: 3000}", "{source: scripted}", "params.yaml:7: experts.expert.source: cup-catch has no scripted policy; `cdred tasks` tells which do"),
        ("{preset: small, steps: 3000}", "{source: checkpoint}", "params.yaml:7: experts.expert.checkpoint: missing: a directory, with source: checkpoint"),
        ("{preset: small, steps: 3000}", "{checkpoint: mine}", "params.yaml:7: experts.expert.checkpoint: has no meaning with source: train"),
        ("{expert: expert, episodes: 5}", "{episodes: 5}", "params.yaml:9: demos.expert-5.expert: missing: an entry of experts, with source: expert"),
        ("{expert: expert, episodes: 5}", "{source: minari, episodes: 5}", "params.yaml:9: demos.expert-5.path: missing: a file, a directory, or a dataset's id, with source: minari"),
        ("{expert: expert, episodes: 5}", "{expert: expert, episodes: 5, path: x}", "params.yaml:9: demos.expert-5.path: has no meaning with source: expert"),
        ("{expert: expert, episodes: 5}", "{expert: expert, episodes: 5, obs: rbg}", "params.yaml:9: demos.expert-5.obs: no obs is called 'rbg'; did you mean 'rgb'?"),
        ("experiment:", "expert:\n  threshold: {cup-cach: 3}\nexperiment:", "params.yaml:2: expert.threshold.cup-cach: no task is called 'cup-cach'; did you mean 'cup-catch'?"),
        ("zeta: 0.7", "zetta: 0.7", "params.yaml:15: runs.cdred.zetta: unknown key; did you mean 'zeta'?"),
        ("zeta: 0.7", "zeta: high", "params.yaml:15: runs.cdred.zeta: expected a number, got text ('high')"),
        ("zeta: 0.7", "zeta: 1.7", "params.yaml:15: runs.cdred.zeta: 1.7 is outside of 0 to 1"),
        ("[cup-catch]", "[cup-catc]", "params.yaml:3: experiment.tasks.0: no task is called 'cup-catc'; did you mean 'cup-catch'?"),
        ("method: cdred", "method: cdrd", "params.yaml:12: runs.cdred.method: no method is called 'cdrd'; did you mean 'cdred'? valid: bc, cdred, cfil, gail, hype, iqlearn, iqmpc, red, sail"),
        ("seeds: [0]", "seeds: [0, 1, 0]", "params.yaml:5: experiment.seeds.2: 0 stands here twice"),
        ("seeds: [0]", "seeds: [true]", "params.yaml:5: experiment.seeds.0: expected a whole number, got true or false (True)"),
        ("seeds: [0]", "seeds: 0", "params.yaml:5: experiment.seeds: expected a list, got a whole number (0)"),
        ("    demos: expert-5\n", "", "params.yaml:11: runs.cdred.demos: missing: an entry of demos"),
        ("demos: expert-5", "demos: expert5", "params.yaml:14: runs.cdred.demos: no demos entry is called 'expert5'; did you mean 'expert-5'?"),
        ("demos: expert-5", "demos: expert-5\n    demo_episodes: 6", "params.yaml:15: runs.cdred.demo_episodes: 6 episodes asked for, demos.expert-5 has 5"),
        ("preset: small\n", "preset: smal\n", "params.yaml:13: runs.cdred.preset: no preset is called 'smal'; did you mean 'small'?"),
        ("    zeta: 0.7", "    plan_elites: 600", "params.yaml:15: runs.cdred.plan_elites: larger than plan_samples"),
        ("zeta: 0.7", "model_free: true\n    mpc: true", "params.yaml:15: runs.cdred.model_free: nothing to plan in; set mpc: false and no eval_policy: plan"),
        ("zeta: 0.7", "reward_space: observation\n    eval_policy: plan", "params.yaml:15: runs.cdred.reward_space: plans are latent, this reward is not; set mpc: false and no eval_policy: plan"),
        ("expert: expert, episodes: 5}\nruns:\n  cdred:", "expert: expert, episodes: 5, obs: rgb}\nruns:\n  cdred:\n    reward_space: observation", "params.yaml:12: runs.cdred.reward_space: pixels have no density of their own here"),
        ("method: cdred\n    preset: small\n    demos: expert-5\n    zeta: 0.7", "method: cfil\n    preset: small\n    demos: expert-5\n    symlog_max: 6.3", "params.yaml:15: runs.cdred.symlog_max: 6.3 holds returns up to 544, those of cfil reach 600; set at least 6.4"),
        ("method: cdred\n    preset: small\n    demos: expert-5\n    zeta: 0.7", "method: cfil\n    preset: small\n    demos: expert-5\n    mpc: true", "params.yaml:12: runs.cdred.method: plans are latent, this reward is not; set mpc: false and no eval_policy: plan"),
        ("method: cdred", "method: red", "params.yaml:15: runs.cdred.zeta: has no meaning with method: red; a setting of cdred"),
        ("method: cdred\n    preset: small\n    demos: expert-5\n    zeta: 0.7", "method: bc\n    preset: small\n    demos: expert-5\n    model_free: true", "params.yaml:15: runs.cdred.model_free: has no meaning with method: bc; a setting of cdred, cfil, gail, hype, iqlearn, iqmpc, red, sail"),
        ("preset: small\n", "preset: [small]\n", "params.yaml:13: runs.cdred.preset: no preset is called \"['small']\"; did you mean 'small'?"),
        ("zeta: 0.7", "keep: best", "params.yaml:15: runs.cdred.keep: 'best' is for experts: the environment's reward must not choose an imitating agent"),
        ("runs: [cdred]", "runs: [bc]", "params.yaml:4: experiment.runs.0: no run is called 'bc'; valid: cdred"),
        ("runs: [cdred]", "runs: []", "params.yaml:4: experiment.runs: empty; name at least one"),
        ("  cdred:\n", "  cdred:\n    zeta: 0.5\n", "params.yaml:16: runs.cdred.zeta: this key stands here twice"),
        ("{expert: expert,", "{expert: exprt,", "params.yaml:9: demos.expert-5.expert: no expert is called 'exprt'; did you mean 'expert'?"),
        ("  cdred:\n", "  cdred.5:\n", "params.yaml:11: runs.cdred.5: 'cdred.5': not a valid name: lower-case letters and digits, joined by single - or _, as it names files"),
        ("runs:\n  cdred:", "runs:\n  expert:", "params.yaml:11: runs.expert: an expert has this name too; their results would collide"),
        ("experiment:\n", "experimnt:\n", "params.yaml:1: experimnt: unknown key; did you mean 'experiment'?"),
        ("seeds: [0]", "seeds: [0", "params.yaml:6: not valid YAML: expected ',' or ']', but got ':'"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(CdredError) as caught:
        load(write(tmp_path, old, new))
    assert str(caught.value) == f"{tmp_path}/{expected}"


def test_no_message_repeats_a_long_value(tmp_path: Path) -> None:
    for old, new in (
        ("zeta: 0.7", f"zeta: {'x' * 9000}"),
        ("zeta: 0.7", f"{'z' * 9000}: 1"),
        ("method: cdred", f"method: {'m' * 9000}"),
        ("seeds: [0]", f"seeds: {'9' * 5000}"),
        ("seeds: [0]", f"seeds: [{'9' * 5000}]"),
        ("[cup-catch]", f"[{'c' * 9000}]"),
        ("preset: small\n", f"preset: {'p' * 9000}\n"),
        ("{preset: small, steps: 3000}", f"{{source: {'s' * 9000}}}"),
    ):
        with pytest.raises(CdredError) as caught:
            load(write(tmp_path, old, new))
        assert len(str(caught.value)) < len(str(tmp_path)) + 400, str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("{preset: small, steps: 3000}", "{source: scripted, steps: 3000}", "7: experts.expert.steps: has no meaning with source: scripted"),
        ("{preset: small, steps: 3000}", "{preset: small, zeta: 0.5}", "7: experts.expert.zeta: has no meaning with source: train; a setting of cdred"),
        ("{preset: small, steps: 3000}", "{source: hub, checkpoint: a/b}", "7: experts.expert.revision: missing: a commit's 40 hexadecimal digits, which `cdred pull` prints: branches and tags move, with source: hub"),
        ("{preset: small, steps: 3000}", "{source: trian}", "7: experts.expert.source: no source is called 'trian'; did you mean 'train'?"),
        ("{expert: expert, episodes: 5}", "{expert: expert, episodes: 5, stride: 2}", "9: demos.expert-5.stride: has no meaning with source: expert"),
        ("{expert: expert, episodes: 5}", f"{{source: hub, path: a/b, revision: {40 * 'a'}, episodes: 5, stride: 2}}", "9: demos.expert-5.stride: has no meaning with source: hub"),
        ("{expert: expert, episodes: 5}", "{source: minari, path: x, episodes: 5, expert: expert}", "9: demos.expert-5.expert: has no meaning with source: minari"),
        ("{expert: expert, episodes: 5}", "{expert: expert, episodes: 0}", "9: demos.expert-5.episodes: 0 is outside of 1 to 10000"),
        ("{expert: expert, episodes: 5}", "{expert: expert}", "9: demos.expert-5.episodes: missing: how many episodes, with source: expert"),
        ("    method: cdred\n", "", "11: runs.cdred.method: missing"),
        ("method: cdred", "method: true_reward", "12: runs.cdred.method: no method is called 'true_reward'; valid: bc, cdred, cfil, gail, hype, iqlearn, iqmpc, red, sail"),
        ("method: cdred", "method: expert", "12: runs.cdred.method: no method is called 'expert'; valid: bc, cdred, cfil, gail, hype, iqlearn, iqmpc, red, sail"),
        ("method: cdred", "method: absent:Method", "12: runs.cdred.method: absent:Method: absent cannot be imported: No module named 'absent'"),
        ("method: cdred", "method: json:loads", "12: runs.cdred.method: json:loads: expected a cdred.methods.Method, got function"),
        ("zeta: 0.7", "num_targets: 1", "15: runs.cdred.num_targets: 1 is outside of 2 to 1000"),
        ("zeta: 0.7", "num_targets: 2.5", "15: runs.cdred.num_targets: expected a whole number, got a number (2.5)"),
        ("zeta: 0.7", "zeta: .nan", "15: runs.cdred.zeta: expected a number, got a number (nan)"),
        ("zeta: 0.7", "zeta_end: 2", "15: runs.cdred.zeta_end: 2 is outside of 0 to 1"),
        ("zeta: 0.7", "seed_steps: 0", "15: runs.cdred.seed_steps: 0 is outside of 1 to 1e+12"),
        ("zeta: 0.7", "transform: log", "15: runs.cdred.transform: no transform is called 'log'; valid: exp, identity"),
        ("  cdred:\n", f"  {'c' * 61}:\n", f"11: runs.{'c' * 61}: longer than 60 letters, and it names files"),
        ("experiment:", "expert: {threshold: {cup-catch: high}}\nexperiment:", "1: expert.threshold.cup-catch: expected a number, got text ('high')"),
        ("experiment:", "compute: {threads: 0}\nexperiment:", "1: compute.threads: 0 is outside of 1 to 1024"),
        *(
            ("experiment:", f"hub: {{namespace: {name!r}}}\nexperiment:", f"1: hub.namespace: {name!r}: not a user or organisation of the Hub: letters, digits and '_', joined by single '-' or '.', 42 at most")
            for name in ("../x", "a/b", "", "a--b", "-a", "a.", "a b", "C:", "x" * 43, "<b>")
        ),
        ("  cdred:\n", "  nul:\n", "11: runs.nul: not a valid name: a device has it on some systems"),
        ("experiment:", "compute: [1]\nexperiment:", "1: compute: expected a mapping of keys, got a list"),
        ("experiment:", "evaluation: {episodes: 1000000000}\nexperiment:", "1: evaluation.episodes: 1000000000 is outside of 1 to 10000"),
        ("experiment:", "evaluation: {episodes: '5'}\nexperiment:", "1: evaluation.episodes: expected a whole number, got text ('5')"),
        ("experiment:", "hub: {license: 'x: y'}\nexperiment:", "1: hub.license: 'x: y': expected a license's identifier on the Hugging Face Hub"),
        ("{preset: small, steps: 3000}", "{source: checkpoint, checkpoint: ''}", "7: experts.expert.checkpoint: '': expected a directory"),
        ("{expert: expert, episodes: 5}", f"{{source: hub, episodes: 5, path: a/b, revision: {'1' * 40}}}", f"9: demos.expert-5.revision: expected text, got a whole number ({'1' * 40}); put it in quotes"),
        ("name: small", f"name: {'a' * 250}", "2: experiment.name: longer than 60 letters, and it names files"),
        ("seeds: [0]", f"seeds: {[*range(5001)]}", "1: experiment: 5001 agents (tasks x runs x seeds); split it into experiments of 5000 at most"),
        ("seeds: [0]", "sedes: [0]", "5: experiment.sedes: unknown key; did you mean 'seeds'?"),
        ("episodes: 5}", "epsiodes: 5}", "9: demos.expert-5.epsiodes: unknown key; did you mean 'episodes'?"),
        ("[cup-catch]", f"[{'m' * 70}:make]", "3: experiment.tasks.0: no task is called '" + f"{'m' * 70}:make"),
    ],
)  # fmt: skip
def test_each_table_knows_its_own_keys(tmp_path: Path, old: str, new: str, expected: str) -> None:
    with pytest.raises(CdredError) as caught:
        load(write(tmp_path, old, new))
    assert str(caught.value).startswith(f"{tmp_path}/params.yaml:{expected}")


def test_a_method_of_ones_own_is_named_by_its_module(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(CHECKOUT / "examples"))
    shutil.copy(CHECKOUT / "examples/discriminator.py", tmp_path)
    hint = "no method is called 'discriminator'; did you mean 'discriminator:METHOD'?"
    with pytest.raises(CdredError, match=re.escape(f"method: {hint}")):
        load(write(tmp_path, "method: cdred", "method: discriminator"))
    shutil.copy(CHECKOUT / "examples/discriminator.py", tmp_path / "gail.py")
    built_in = load(
        write(tmp_path, "zeta: 0.7\n", "zeta: 0.7\n  g: {method: gail, demos: expert-5}\n")
    )
    assert built_in.runs["g"].definition.module == "cdred.methods.gail.method"
    other = "  own: {method: 'discriminator:METHOD', demos: expert-5}\n"
    message = "penalty: has no meaning with method: cdred; a setting of discriminator:METHOD"
    with pytest.raises(CdredError, match=re.escape(message)):
        load(write(tmp_path, "    zeta: 0.7\n", f"    penalty: 5\n{other}"))


def test_a_setting_of_ones_own_is_not_called_as_a_key_of_every_entry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    text = (CHECKOUT / "examples/discriminator.py").read_text()
    assert "    penalty:" in text
    (tmp_path / "clashing.py").write_text(text.replace("    penalty:", "    demos:"))
    message = "method: it has a setting called 'demos', as entries have a key"
    with pytest.raises(CdredError, match=re.escape(message)):
        load(write(tmp_path, "method: cdred", "method: 'clashing:METHOD'"))


def test_sizes_of_another_method_are_ignored(tmp_path: Path) -> None:
    """So that runs of several methods may share them by an anchor."""
    path = write(tmp_path, "method: cdred\n    preset: small\n    demos: expert-5\n    zeta: 0.7",
                 "method: bc\n    preset: small\n    demos: expert-5\n    rnd_dim: 8\n    buffer_size: 9")  # fmt: skip
    params = load(path).runs["cdred"].params()
    assert not {"rnd_dim", "buffer_size", "mpc", "zeta"} & params.keys()
    assert params["latent_dim"] == 64
