rule report:
    input:
        sources("report"),
    output:
        touch(engine.marker_pattern("report")),
    log:
        engine.log_pattern("report", "{digest}.txt"),
    benchmark:
        engine.log_pattern("report", "{digest}.tsv")
    shell:
        "cdred report --log {log}"


# Nothing to run: the report's files as files, so that `snakemake --report` shows them.
rule report_files:
    input:
        waits_for([VIEW.of_artifact(str(PLAN.report.path))]),
    output:
        [
            report(
                file,
                caption=f"../report/{item.caption}.rst",
                category=item.category,
                labels=item.labels,
            )
            for file, item in zip(files_of_report(), REPORT, strict=True)
        ],
