"""The configuration's models without what is heavy, and their JSON schema for editors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jsonschema
import pytest
import yaml
from support.project import CHECKOUT

from cdred.config.json_schema import text

CONFIGURATIONS = sorted((CHECKOUT / "config").glob("*.yaml"))
HEAVY = ("torch", "numpy", "gymnasium", "huggingface_hub", "mlflow")


def test_parsing_every_configuration_loads_nothing_heavy() -> None:
    code = """
import sys
from pathlib import Path
from cdred import methods
from cdred.learning.display import display_of
from cdred.plan.overlays import resolve
for path in sorted(Path("config").glob("*.yaml")):
    if path.name != "base.yaml":
        resolve(path)
for method in methods.built_in():
    display_of(method)
print(*[name for name in sys.argv[1:] if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", code, *HEAVY], cwd=CHECKOUT, capture_output=True, text=True
    )
    assert (done.stdout.strip(), done.stderr) == ("", "")


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft7Validator:
    schema = json.loads(text())
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema)


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: path.stem)
def test_every_configuration_follows_the_schema(
    path: Path, validator: jsonschema.Draft7Validator
) -> None:
    assert path.read_text().startswith("# yaml-language-server: $schema=schema.json\n")
    data = yaml.safe_load(path.read_text())
    assert [error.message for error in validator.iter_errors(data)] == []


@pytest.mark.parametrize(
    "broken",
    [
        {"runs": {"a": {"method": "cdred", "zetta": 1}}},
        {"runs": {"a": {"method": "red", "zeta": 0.5}}},
        {"runs": {"a": {"method": "cdred", "zeta": 1.5}}},
        {"runs": {"a": {"method": "cdrd"}}},
        {"runs": {"a.b": {"method": "cdred"}}},
        {"demos": {"a": {"source": "minari", "expert": "x"}}},
        {"experts": {"a": {"source": "scripted", "steps": 5}}},
        {"compute": {"threads": 0}},
        {"evaluaton": {}},
    ],
)
def test_the_schema_refuses_what_the_parser_refuses(
    broken: dict, validator: jsonschema.Draft7Validator
) -> None:
    assert list(validator.iter_errors(broken))


def test_the_schema_lets_a_method_of_ones_own_have_any_settings(
    validator: jsonschema.Draft7Validator,
) -> None:
    own = {"runs": {"a": {"method": "my_module:Name", "demos": "x", "anything": 1}}}
    assert not list(validator.iter_errors(own))
