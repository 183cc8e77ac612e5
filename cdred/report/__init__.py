"""The report of an experiment."""


def write(plan, job, out):
    (out / "report.md").write_text("x")
