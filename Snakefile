# Snakemake's front end to the stages: `snakemake --cores all` makes the report of the experiment in
# params.yaml and whatever it needs. The jobs, their paths, inputs and digests come from cdred/plan.


include: "workflow/rules/common.smk"
include: "workflow/rules/experts.smk"
include: "workflow/rules/demos.smk"
include: "workflow/rules/agents.smk"
include: "workflow/rules/evaluations.smk"
include: "workflow/rules/report.smk"


rule all:
    default_target: True
    input:
        VIEW.markers(),
        files_of_report(),


# `snakemake artifacts/.../manifest.json`: an artifact and what it needs.
rule artifact:
    input:
        lambda w: waits_for([VIEW.of_artifact(w.artifact)]),
    output:
        engine.artifact_pattern(),
