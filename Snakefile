"""The paper as a graph of papermill runs: one rule a job of chairlib.build.plan.Plan, and one for the book.

`make paper` starts it (chairlib.build.snakemake). Records and the site are declared with update(): Snakemake deletes a
job's other outputs before it starts it, and a finished run must not be trained again because a figure's code changed,
nor a site vanish because its successor fails. Checkpoints are not declared at all, for the same reason.
"""

import json
import shlex
import sys
from pathlib import Path

from chairlib.build.plan import Plan

plan = Plan(
    config.get("profile", "quick"),
    config.get("data", "mini"),
    config.get("device", "auto"),
    config.get("photos", "stand-in"),
    config.get("coco"),
)
site = "_build/html/index.html"
# This very environment, whatever else is called chairlib on the PATH, or random.py in the current folder.
chairlib = f"{shlex.quote(sys.executable)} -P -m chairlib"


def verbatim(text):
    """As a function, because Snakemake takes braces in a parameter's text for wildcards."""
    return lambda wildcards: text


def execute(job):
    out, parameters = shlex.quote(str(job.out)), shlex.quote(json.dumps(job.parameters))
    return f"{chairlib} run {job.notebook} -P {parameters} -o {out}"


files = sorted(path for path in Path("book").glob("_*/**/*.*") if path.is_file())
assets = [str(path) for path in files if path.suffix != ".pyc"]
pages = [str(job.out) for job in plan.jobs]
records = [str(job.record) for job in plan.jobs if job.record]


localrules:
    everything,
    book,


# Snakemake makes a missing file only where it is asked for, or where something that needs it is out of date.
rule everything:
    input:
        site,
        pages,
        records,


rule book:
    input:
        pages=pages,
        prose=[str(path) for path in sorted(Path("book").glob("*.*"))],
        reference=[str(path) for path in sorted([*Path("book/api").glob("*"), *Path("chairlib").rglob("*.py")])],
        assets=assets,
        config=["_config.yml", "CITATION.cff"],
    output:
        update(site),
    shell:
        f"{chairlib} render-book"


# A rule's shell command is put together when it runs, after this loop has ended. What belongs to a job is in params.
for job in plan.jobs:
    if job.record:

        rule:
            name: f"run_{job.record.parent.name}"
            input:
                notebook=f"notebooks/{job.notebook}.ipynb",
                needs=[str(path) for path in job.needs],
            output:
                page=str(job.out),
                record=update(str(job.record)),
            params:
                command=verbatim(execute(job)),
                fingerprint=verbatim(plan.fingerprint(job)),
            threads: plan.threads_per_run(workflow.cores)
            # The longest first, so that no core is left waiting for it at the end.
            priority: job.parameters["resolution"]
            shell:
                "OMP_NUM_THREADS={threads} {params.command} && touch -c {output.record:q}"

    else:

        rule:
            name: f"chapter_{job.notebook}"
            input:
                notebook=f"notebooks/{job.notebook}.ipynb",
                needs=[str(path) for path in job.needs],
            output:
                str(job.out),
            params:
                command=verbatim(execute(job)),
                fingerprint=verbatim(plan.fingerprint(job)),
            shell:
                "{params.command}"
