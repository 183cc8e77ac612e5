"""The conditions under which a result becomes an artifact."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, cast

import pytest
from support.project import CHECKOUT

from cdred.errors import CdredError
from cdred.plan.code import Code
from cdred.run.artifact import check_loaded


class Planned:
    """As much of a job and its plan as is asked for."""

    def __init__(self) -> None:
        self.path = Path("artifacts/demos/cup-catch/expert-5")
        self.code: Any = {}


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
