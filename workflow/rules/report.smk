rule report:
    input:
        stamp=stamp("report"),
        sources=sources("report"),
    output:
        update(artifact("report")),
        report(
            update(report_file("report.html")),
            caption="../report/page.rst",
            category="Report",
            labels={"what": "the whole page"},
        ),
        report(
            update(report_file("runs.csv")),
            caption="../report/runs.rst",
            category="Report",
            labels={"what": "final returns, stability and cost of each run"},
        ),
        [
            report(
                update(report_file(f"learning_curves--{task}.svg")),
                caption="../report/learning_curves.rst",
                category="Learning curves",
                labels={"what": task},
            )
            for task in PLAN.config.experiment.tasks
        ],
    log:
        logs("report", "log.txt"),
    benchmark:
        logs("report", "benchmark.tsv")
    shell:
        "cdred report --log {log}"
