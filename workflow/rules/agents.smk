rule imitate:
    input:
        sources("imitate"),
    output:
        touch(engine.marker_pattern("imitate")),
    log:
        engine.log_pattern("imitate", "{digest}.txt"),
    benchmark:
        engine.log_pattern("imitate", "{digest}.tsv")
    # The longest first: short ones fill the gaps.
    priority: lambda w: VIEW.priority(w)
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "cdred imitate --task {wildcards.task} --run {wildcards.entry} --seed {wildcards.seed}"
        " --log {log}"
