rule expert:
    output:
        touch(engine.marker_pattern("expert")),
    log:
        engine.log_pattern("expert", "{digest}.txt"),
    benchmark:
        engine.log_pattern("expert", "{digest}.tsv")
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "cdred expert --task {wildcards.task} --expert {wildcards.entry} --log {log}"
