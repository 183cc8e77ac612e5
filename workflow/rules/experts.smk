rule expert:
    input:
        stamp=stamp("expert"),
    output:
        # `update`: the old artifact stays until the stage puts the new one in its place.
        update(artifact("expert")),
    log:
        logs("expert", "log.txt"),
    benchmark:
        logs("expert", "benchmark.tsv")
    threads: THREADS
    resources:
        gpu=GPU,
    shell:
        "cdred expert --task {wildcards.task} --expert {wildcards.entry} --log {log}"
