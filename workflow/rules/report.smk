rule report:
    input:
        stamp=stamp("report"),
        sources=sources("report"),
    output:
        update(artifact("report")),
        [
            report(
                update(report_file(item.file)),
                caption=f"../report/{item.caption}.rst",
                category=item.category,
                labels=item.labels,
            )
            for item in catalogue.files(describe(PLAN))
        ],
    log:
        logs("report", "log.txt"),
    benchmark:
        logs("report", "benchmark.tsv")
    shell:
        "cdred report --log {log}"
