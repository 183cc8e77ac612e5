rule report:
    input:
        stamp=stamp("report"),
        sources=sources("report"),
    output:
        update(artifact("report")),
        [
            report(
                update(report_file(shown.file)),
                caption=f"../report/{shown.caption}.rst",
                category=shown.category,
                labels=shown.labels,
            )
            for shown in contents.shown(PLAN.config)
        ],
    log:
        logs("report", "log.txt"),
    benchmark:
        logs("report", "benchmark.tsv")
    shell:
        "cdred report --log {log}"
