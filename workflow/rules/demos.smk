rule demos:
    input:
        stamp=stamp("demos"),
        sources=sources("demos"),
    output:
        update(artifact("demos")),
    log:
        logs("demos", "log.txt"),
    benchmark:
        logs("demos", "benchmark.tsv")
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "cdred demos --task {wildcards.task} --demos {wildcards.entry} --log {log}"
