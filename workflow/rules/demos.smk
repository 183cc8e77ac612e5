rule demos:
    input:
        sources("demos"),
    output:
        touch(engine.marker_pattern("demos")),
    log:
        engine.log_pattern("demos", "{digest}.txt"),
    benchmark:
        engine.log_pattern("demos", "{digest}.tsv")
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "cdred demos --task {wildcards.task} --demos {wildcards.entry} --log {log}"
