"""The conditions under which a result becomes an artifact."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import pytest
from support.project import CHECKOUT

from cdred import manifest
from cdred.errors import CdredError
from cdred.plan.code import Code
from cdred.run.artifact import check_loaded, make_aside, put_in_place
from cdred.run.resume import ResumeState


class Planned:
    """As much of a job and its plan as is asked for."""

    def __init__(self) -> None:
        self.path = Path("artifacts/demos/cup-catch/expert-5")
        self.code: Any = {}
        self.digest = "d" * 64


def test_what_loaded_code_outside_of_its_digest_is_not_written() -> None:
    plan, job = Planned(), Planned()
    plan.code = Code(CHECKOUT)
    job.code = plan.code.table(["cdred.demos.selection"])
    check_loaded(cast(Any, plan), cast(Any, job))
    importlib.import_module("cdred.demos.selection")  # listed, with all that it imports
    report = importlib.import_module("cdred.report.catalogue")
    plan.code.loaded_before -= {report.__name__}  # as if it had come after the plan
    with pytest.raises(CdredError) as caught:
        check_loaded(cast(Any, plan), cast(Any, job))
    assert str(caught.value) == (
        f"{job.path}: not written: cdred/report/catalogue.py was loaded to make it, but its digest "
        "does not cover it; import it by a statement, or name it in cdred/plan/entries.py"
    )


def test_a_state_goes_on_with_the_inputs_that_it_was_saved_with_alone(tmp_path: Path) -> None:
    job, origin = cast(Any, Planned()), {"time": "now", "devices": ["cpu"], "machines": ["here"]}
    ResumeState(tmp_path, job, {"demos": "1" * 64}).save({"step": 1}, origin)
    assert ResumeState(tmp_path, job, {"demos": "1" * 64}).load() == ({"step": 1}, origin)
    with pytest.raises(CdredError, match=r"that read another demos, .* move it away"):
        ResumeState(tmp_path, job, {"demos": "2" * 64}).load()


def made_aside(target: Path, text: str) -> Path:
    aside = make_aside(target)
    (aside / "data.txt").write_text(text)
    fields = {
        "stage": "demos", "task": "cup-catch", "entry": "expert-5", "seed": 0, "digest": "d" * 64,
        "params": {}, "code": {}, "inputs": {}, "packages": {}, "device": "cpu", "machine": "here",
    }  # fmt: skip
    manifest.write(aside, fields)
    return aside


def test_a_link_in_an_artifact_s_place_is_replaced_and_what_it_leads_to_stays(
    tmp_path: Path,
) -> None:
    path, store = Planned().path, tmp_path / "store"
    put_in_place(tmp_path, path, made_aside(tmp_path / path, "first"))
    (tmp_path / path).rename(store)
    (tmp_path / path).symlink_to(store)
    for text in ("second", "third"):
        put_in_place(tmp_path, path, made_aside(tmp_path / path, text))
        assert (tmp_path / path / "data.txt").read_text() == text
    assert (store / "data.txt").read_text() == "first"
    assert [left.name for left in (tmp_path / path).parent.iterdir()] == [path.name]
