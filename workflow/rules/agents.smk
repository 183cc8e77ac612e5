rule imitate:
    input:
        stamp=stamp("imitate"),
        sources=sources("imitate"),
    output:
        update(artifact("imitate")),
    log:
        logs("imitate", "log.txt"),
    benchmark:
        logs("imitate", "benchmark.tsv")
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "cdred imitate --task {wildcards.task} --run {wildcards.entry} --seed {wildcards.seed}"
        " --log {log}"
