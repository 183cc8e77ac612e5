"""Methods are found by name, say all about themselves without torch, and may be one's own."""

from __future__ import annotations

import importlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from support.learning import TASK, demonstrations, toy, train, weights
from support.project import CHECKOUT

from cdred import methods
from cdred.errors import CdredError
from cdred.learning.agent import Agent
from cdred.learning.display import display_of
from cdred.learning.settings import PRESETS, Settings, Use, WorldModelSettings
from cdred.learning.train import train as train_agent

NAMES = methods.folders()


def test_they_are_the_folders() -> None:
    imitating = ["bc", "cdred", "cfil", "gail", "hype", "iqlearn", "iqmpc", "red", "sail"]
    assert (*imitating, "true_reward") == NAMES
    assert methods.names() == imitating
    assert methods.find("expert") is methods.find("expert")
    assert methods.find("expert").name == "true_reward"  # its name in earlier results


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_says_all_about_its_method(name: str) -> None:
    method = methods.find(name)
    assert (method.name, method.module) == (name, f"cdred.methods.{name}.method")
    assert set(method.modules) >= {method.module}
    display = display_of(method)
    assert display.label and display.summary and display.losses
    for figure in display.figures:
        assert (CHECKOUT / "workflow/report" / f"{figure.caption}.rst").exists()
    _, history = train(name)
    columns = history.metrics[-1].keys()
    shown = {line.column for figure in display.figures for line in figure.lines}
    assert shown | set(display.losses) <= columns
    assert ("reward_behaviour" in columns) == method.interacts
    assert ("reward_expert" in columns) == (method.interacts and method.uses_demonstrations)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_named_by_a_module_is_not_loaded(name: str) -> None:
    """The code that the digest of a job follows is all that its training loads of methods and learner."""
    code = f"""
import sys, ast, importlib.util
from pathlib import Path
from cdred import methods
method = methods.find({name!r})
light = {{m for m in sys.modules if m.startswith("cdred")}}
assert not {{"torch", "numpy"}} & set(sys.modules)
from cdred.learning import train
for part in (method.reward_model, method.networks, method.trainer):
    methods.load(part)
loaded = {{m for m in sys.modules if m.startswith("cdred")}} - light
seen, todo = set(), ["cdred.learning.train", *method.modules]
while todo:
    module = todo.pop()
    if module in seen or importlib.util.find_spec(module) is None:
        continue
    seen.add(module)
    todo += [module.rpartition(".")[0]] if "." in module else []
    for node in ast.walk(ast.parse(Path(importlib.util.find_spec(module).origin).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("cdred"):
            names = [f"{{node.module}}.{{alias.name}}" for alias in node.names]
            todo += [node.module, *(n for n in names if n in sys.modules)]
print(*sorted(loaded - seen))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.mark.parametrize("name", NAMES)
def test_presets_are_valid_settings(name: str) -> None:
    settings = methods.find(name).settings
    for preset in PRESETS:
        chosen = settings.preset(preset)
        planless = chosen.model_copy(update={"mpc": False, "symlog_max": 10.0})
        assert not list(planless.problems(Use("state", 500)))
        assert settings(**chosen.model_dump()) == chosen
        assert hash(chosen) == hash(settings.preset(preset))
    assert settings.preset("paper") == settings()
    with pytest.raises(ValueError, match="frozen"):
        settings().steps = 1  # type: ignore[misc]
    with pytest.raises(ValueError, match="less than or equal to"):
        settings().replace(grad_clip=1e13)


def test_red_is_cdred_without_the_coupling() -> None:
    assert methods.find("red").settings.model_fields.keys() == (
        methods.find("cdred").settings.model_fields.keys() - {"zeta", "zeta_end"}
    )
    coupled, _ = train("cdred", zeta=1.0)
    assert weights(coupled) == weights(train("red")[0])


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The reference of the example, copied into the working directory."""
    for file in (CHECKOUT / "examples").glob("discriminator*.py"):
        shutil.copy(file, tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    for name in ("discriminator", "discriminator_reward"):
        sys.modules.pop(name, None)
    return "discriminator:METHOD"


def test_a_reloaded_method_of_ones_own_is_the_new_one(own: str, tmp_path: Path) -> None:
    assert methods.find(own).samples
    file = tmp_path / "discriminator.py"
    text = file.read_text()
    assert "Method(" in text
    file.write_text(text.replace("Method(", "Method(samples=False, "))
    importlib.reload(sys.modules["discriminator"])
    assert not methods.find(own).samples


def test_a_method_of_ones_own_is_one_like_any_other(own: str, tmp_path: Path) -> None:
    method = methods.find(own)
    assert "discriminator_reward" not in sys.modules  # which imports torch
    assert (method.name, method.module) == (own, "discriminator")
    assert method.modules == (
        "discriminator", "discriminator_reward", "cdred.learning.online_trainer",
    )  # fmt: skip
    assert display_of(method).label == "Discriminator" and method.imitates
    assert method.settings.all_asks() == {"penalty", "model_free"}
    values = {k: v for k, v in toy().model_dump().items() if k in method.settings.model_fields}
    settings = method.settings(**values, penalty=2.0)
    agent, history = train_agent(TASK, own, settings, 3, demonstrations(), torch.device("cpu"))
    assert 0.5 < history.metrics[-1]["discriminator_accuracy"] <= 1
    agent.save(tmp_path / "saved")
    again = Agent.from_pretrained(tmp_path / "saved")
    assert again.method == own and weights(again) == weights(agent)
    assert again.settings == settings

    # What a file says must not choose what is imported.
    del sys.modules["discriminator"]
    with pytest.raises(CdredError, match="import discriminator first, if you trust it"):
        Agent.from_pretrained(tmp_path / "saved")


def test_what_is_no_method_is_refused(own: str, tmp_path: Path) -> None:
    (tmp_path / "broken_method.py").write_text("import nothing_like_it\n")
    for name, reason in (
        ("cdrd", "no method is called 'cdrd'; did you mean 'cdred'?"),
        ("discriminator:Line", "expected a cdred.methods.Method, got type"),
        ("discriminator:METHD", "discriminator has no 'METHD'; did you mean 'METHOD'?"),
        ("broken_method:X", "broken_method cannot be imported: No module named 'nothing_like_it'"),
    ):
        with pytest.raises(CdredError) as caught:
            methods.find(name)
        assert reason in str(caught.value)


FIGURES = """
from cdred.learning.display import Display, Figure, Line
from cdred.methods import Method, find
def figure(name): return Figure(name, "A title", (Line("reward_loss", "loss"),))
def method(*figures, **losses):
    return Method(find("cdred").settings, display=Display("A", "b", **losses, figures=figures))
"""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        ("figure('reward')", "a figure called 'reward': every run has one of that name"),
        ("figure('Gradients')", "a figure called 'Gradients': every run has one of that name"),
        ("figure('a b')", "a figure called 'a b': not a valid name: letters, digits and _, joined"),
        ("figure('a/b')", "a figure called 'a/b': not a valid name"),
        ("figure('{task}')", "a figure called '{task}': not a valid name"),
        ("figure('a--b')", "a figure called 'a--b': not a valid name"),
        ("figure('')", "a figure called '': not a valid name"),
        ("figure('x' * 61)", "x': longer than 60 letters"),
        ("figure('one'), figure('One')", "two figures called 'One': each needs a name of its own"),
        ("losses={'a/b': 'A'}", "a loss called 'a/b': not a valid name"),
        ("losses={'a': 'A', 'A': 'A'}", "two losses called 'A': each needs a name of its own"),
    ],
)
def test_what_cannot_be_a_file_of_the_report_is_refused(
    own: str, tmp_path: Path, arguments: str, reason: str
) -> None:
    (tmp_path / "figures.py").write_text(f"{FIGURES}METHOD = method({arguments})\n")
    sys.modules.pop("figures", None)
    with pytest.raises(CdredError) as caught:
        methods.find("figures:METHOD")
    assert reason in str(caught.value) and "\n" not in str(caught.value)


def test_settings_without_a_world_model_are_a_smaller_class() -> None:
    assert not issubclass(methods.find("bc").settings, WorldModelSettings)
    assert issubclass(methods.find("bc").settings, Settings)
