"""The paper as a graph of papermill runs: one rule a job of the plan, and one for the book.

`make paper` makes the plan, writes it to a file (chairlib.build) and starts this. On a cluster each job reads this file
in a process of its own: it imports nothing but Python's own modules, and looks at nothing but the plan and the book.
Commands name the interpreter and the folders of the machine that made the plan: nodes must have both at the same paths.

Records and the site are declared with update(): Snakemake deletes a job's other outputs before it starts it, and a
finished run must not be trained again because a figure's code changed, nor a site vanish because its successor fails.
Checkpoints are not declared at all, for the same reason.
"""

import json
import shlex
from pathlib import Path

plan = json.loads(Path(".cache/plan.json").read_text(encoding="utf-8"))
site = "_build/html/index.html"
# This very environment, whatever else is called chairlib on the PATH, or random.py in the current folder.
chairlib = f"{shlex.quote(plan['python'])} -P -m chairlib"
# A queue that ends a job signals its shell too. Without this the shell would end at once, and the queue then kills what
# is left, before training has written its checkpoint. With it the shell waits for the run.
grace = "trap : TERM"
own_gpu = "--own-gpu" if plan["own_gpu"] else ""


def verbatim(text):
    """As a function, because Snakemake takes braces in a parameter's text for wildcards."""
    return lambda wildcards: text


def execute(job):
    out, parameters = shlex.quote(job["out"]), shlex.quote(json.dumps(job["parameters"]))
    if len(parameters) < 100_000:
        return f"{chairlib} run {job['notebook']} -P {parameters} -o {out}"
    # Linux takes no argument of 128 KiB, and a report names all its runs. The shell's own printf has no such limit.
    return f"printf %s {parameters} | {chairlib} run {job['notebook']} -P - -o {out}"


def asked(option):
    """What the profile of a cluster says: a mapping, or a list of name=value."""
    given = plan["cluster"].get(option) or {}
    return dict(given if isinstance(given, dict) else (str(one).split("=", 1) for one in given))


# Memory in MB and minutes, on a cluster. Snakemake's default-resources count only where a rule says nothing.
generous = {"mem_mb": 8000, "runtime": 720} if plan["cluster"] else {}
resources = {name: value for name, value in generous.items() if name not in asked("default-resources")}
gpu = {"gpu": 1} if plan["n_gpus"] else {}
threads = int(asked("default-resources").get("cpus_per_task", 1)) if plan["cluster"] else plan["threads"]


def group(job):
    """The kind of a run, where the profile of a cluster puts several into one job (group-components). Not an analysis
    of the landscape: what needs each other in a group is one job in any case, and these all would be."""
    kind = Path(job["record"]).parent.name.partition("-")[0]
    return kind if kind in asked("group-components") and kind != "landscape" else None


files = sorted(path for path in Path("book").glob("_*/**/*.*") if path.is_file())
assets = [str(path) for path in files if path.suffix != ".pyc"]
pages = [job["out"] for job in plan["jobs"]]
records = [job["record"] for job in plan["jobs"] if job["record"]]


# The book is rendered where the build was started, in a minute at most. Chapters take longer: they are jobs as runs.
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
        measured=[str(path) for path in sorted(Path("benchmarks/records").glob("*.*"))],
        config=["_config.yml", "CITATION.cff"],
    output:
        update(site),
    shell:
        f"{chairlib} render-book"


# A rule's shell command is put together when it runs, after this loop has ended. What belongs to a job is in params.
for job in plan["jobs"]:
    if job["record"]:

        rule:
            name: f"run_{Path(job['record']).parent.name}"
            input:
                notebook=f"notebooks/{job['notebook']}.ipynb",
                needs=job["needs"],
            output:
                page=job["out"],
                record=update(job["record"]),
            params:
                command=verbatim(execute(job)),
                fingerprint=verbatim(job["fingerprint"]),
            threads: threads
            # The longest first, so that no core is left waiting for it at the end.
            priority: job["parameters"]["resolution"]
            group: group(job)
            resources: **resources, **gpu
            shell:
                "{grace}; export OMP_NUM_THREADS={threads}; {params.command} {own_gpu} && touch -c {output.record:q}"

    else:

        rule:
            name: f"chapter_{job['notebook']}"
            input:
                notebook=f"notebooks/{job['notebook']}.ipynb",
                needs=job["needs"],
            output:
                job["out"],
            params:
                command=verbatim(execute(job)),
                fingerprint=verbatim(job["fingerprint"]),
            resources: **resources
            shell:
                "{grace}; {params.command}"
