rule report:
    input:
        stamp=stamp("report"),
        sources=sources("report"),
    output:
        update(artifact("report")),
    log:
        logs("report", "log.txt"),
    benchmark:
        logs("report", "benchmark.tsv")
    shell:
        "cdred report --log {log}"
