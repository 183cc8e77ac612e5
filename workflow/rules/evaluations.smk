rule evaluate:
    input:
        stamp=stamp("evaluate"),
        sources=sources("evaluate"),
    output:
        update(artifact("evaluate")),
    log:
        logs("evaluate", "log.txt"),
    benchmark:
        logs("evaluate", "benchmark.tsv")
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "cdred evaluate --task {wildcards.task} --run {wildcards.entry} --seed {wildcards.seed}"
        " --log {log}"
