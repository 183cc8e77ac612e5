rule evaluate:
    input:
        sources("evaluate"),
    output:
        touch(engine.marker_pattern("evaluate")),
    log:
        engine.log_pattern("evaluate", "{digest}.txt"),
    benchmark:
        engine.log_pattern("evaluate", "{digest}.tsv")
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "cdred evaluate --task {wildcards.task} --run {wildcards.entry} --seed {wildcards.seed}"
        " --log {log}"
