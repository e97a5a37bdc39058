"""The Snakefile, with a plan of the test's own in place of a profile's, and jobs that only sleep."""

import itertools
import json
import os
import subprocess
import sys

import pytest

from chairlib.core import paths

pytest.importorskip("snakemake")

#: Stands for the interpreter of a build: -P -m chairlib run NOTEBOOK -P PARAMETERS -o OUT [--own-gpu]
PRETENDED = """#!{python}
import json, os, sys, time
from contextlib import nullcontext
from pathlib import Path
from chairlib.build import gpus
out = Path(sys.argv[sys.argv.index("-o") + 1]) if "-o" in sys.argv else Path("_build/html/index.html")
began = time.time()
if "-" in sys.argv:
    assert json.loads(sys.stdin.read())["runs"]
with gpus.claim() if "--own-gpu" in sys.argv else nullcontext():
    claimed = time.time()
    if Path("meeting").is_dir():
        Path("meeting", str(os.getpid())).touch()
        while len(os.listdir("meeting")) < 2 and time.time() < claimed + 60:
            time.sleep(0.05)
    time.sleep(0.3)
    told = [began, claimed, time.time(), os.environ.get("CUDA_VISIBLE_DEVICES"), os.environ.get("OMP_NUM_THREADS")]
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text(json.dumps(told))
if out.parent.name == "runs":
    record = Path("runs") / out.stem / "record.json"
    record.parent.mkdir(parents=True, exist_ok=True)
    record.write_text("{{}}")
"""

#: An executor of Snakemake that starts a process for each job, and writes down what the job asked for.
PLUGIN = """
import json, subprocess
from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False)


class Executor(RemoteExecutor):
    def run_job(self, job):
        rules = sorted(one.rule.name for one in (job.jobs if job.is_group() else [job]))
        asked = {name: value for name, value in job.resources.items() if isinstance(value, (int, str))}
        with open("submitted", "a") as file:
            file.write(json.dumps({"rules": rules, "resources": asked}) + "\\n")
        process = subprocess.Popen(self.format_job_exec(job), shell=True)
        info = SubmittedJobInfo(job=job, external_jobid=str(process.pid), aux={"process": process})
        self.report_job_submission(info)

    async def check_active_jobs(self, active_jobs):
        for job in active_jobs:
            status = job.aux["process"].poll()
            if status is None:
                yield job
            elif status == 0:
                self.report_job_success(job)
            else:
                self.report_job_error(job)

    def cancel_jobs(self, active_jobs):
        pass
"""


@pytest.fixture
def home(tmp_path):
    """A home with a plan of six runs and a chapter, which needs them all."""
    home = tmp_path / "it's a home"
    for folder in ("book/_assets", "notebooks", ".cache", "machine"):
        (home / folder).mkdir(parents=True)
    for file in ("_config.yml", "CITATION.cff", "book/intro.md", "notebooks/03.ipynb", "notebooks/04.ipynb"):
        (home / file).touch()
    python = home / "pretended python"
    python.write_text(PRETENDED.format(python=sys.executable))
    python.chmod(0o755)
    names = [f"{kind}-{letter}" for kind in ("benchmark", "transfer", "landscape") for letter in "ab"]
    runs = [job(home, "03", f"runs/{name}.ipynb", name) for name in names]
    chapter = job(home, "04", "04.ipynb") | {"needs": [run["record"] for run in runs]}
    chapter["parameters"] = {"runs": ["benchmark-of-a-long-name" * 4] * 2_000}  # more than one argument can hold
    plan = {"python": str(python), "cluster": {}, "n_gpus": 0, "own_gpu": False, "threads": 1, "jobs": [*runs, chapter]}
    (home / ".cache" / "plan.json").write_text(json.dumps(plan))
    return home


def job(home, notebook, page, name=None):
    return {
        "notebook": notebook,
        "parameters": {"resolution": 64, "text": "it's {braces}"},
        "out": str(home / "book" / "notebooks" / page),
        "record": str(home / "runs" / name / "record.json") if name else None,
        "needs": [],
        "fingerprint": '["{as it was}"]',
    }


def change(home, **changes):
    file = home / ".cache" / "plan.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def start(home, *options, **environment):
    snakefile = paths.package.parent / "Snakefile"
    command = [sys.executable, "-P", "-m", "snakemake", "--snakefile", snakefile, "--directory", home, *options]
    found = os.pathsep.join([str(paths.package.parent), environment.pop("PLUGINS", "")])
    environment |= {"TMPDIR": str(home / "machine"), "PYTHONPATH": found}
    done = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def told(home):
    files = (home / "book" / "notebooks" / "runs").glob("*.ipynb")
    return [json.loads(file.read_text()) for file in files]


def test_on_two_gpus_two_runs_go_on_at_a_time_each_on_one_of_its_own(home):
    change(home, n_gpus=2, own_gpu=True, threads=3)
    (home / "meeting").mkdir()  # the first two wait for each other: on a busy machine the second may start late
    start(home, "--cores", "8", "--resources", "gpu=2", CUDA_VISIBLE_DEVICES="x,y", PATH=os.defpath)
    runs = told(home)
    assert len(runs) == 6
    assert {run[3] for run in runs} == {"x", "y"}
    assert {run[4] for run in runs} == {"3"}
    assert max(sum(one[0] <= run[0] < one[2] for one in runs) for run in runs) == 2
    for gpu in ("x", "y"):
        held = sorted(run[1:3] for run in runs if run[3] == gpu)
        assert all(before[1] <= after[0] for before, after in itertools.pairwise(held))


def test_what_a_build_made_is_not_made_again_until_its_fingerprint_changes(home):
    assert "run_benchmark-a" in start(home, "--cores", "2")
    assert (home / "_build" / "html" / "index.html").exists()
    assert "Nothing to be done" in start(home, "--cores", "2", "--dry-run")
    plan = json.loads((home / ".cache" / "plan.json").read_text())
    plan["jobs"][0]["fingerprint"] = "another"
    change(home, jobs=plan["jobs"])
    said = start(home, "--cores", "2", "--dry-run")
    assert "rule run_benchmark-a" in said
    assert "rule run_benchmark-b" not in said
    # What a machine has decides no outcome.
    change(home, jobs=job_list_with_old_fingerprint(plan), n_gpus=2, own_gpu=True, threads=7)
    assert "Nothing to be done" in start(home, "--cores", "2", "--dry-run")


def job_list_with_old_fingerprint(plan):
    plan["jobs"][0]["fingerprint"] = plan["jobs"][1]["fingerprint"]
    return plan["jobs"]


def test_jobs_of_a_cluster_ask_for_what_its_profile_leaves_open(home):
    change(home, cluster={"executor": "slurm", "jobs": 5}, n_gpus=1)
    said = start(home, "--cores", "2", "--dry-run").split("rule ")
    run = next(part for part in said if part.startswith("run_benchmark-a:"))
    chapter = next(part for part in said if part.startswith("chapter_04:"))
    assert {"mem_mb=8000", "runtime=720", "gpu=1"} <= resources(run)
    assert {"mem_mb=8000", "runtime=720"} <= resources(chapter)
    assert not any(one.startswith("gpu=") for one in resources(chapter))
    for given in ({"runtime": 60, "cpus_per_task": 2}, ["runtime=60", "cpus_per_task=2"]):
        change(home, cluster={"jobs": 5, "default-resources": given})
        said = start(home, "--cores", "2", "--dry-run", "--default-resources", "runtime=60").split("rule ")
        run = next(part for part in said if part.startswith("run_benchmark-a:"))
        assert {"mem_mb=8000", "runtime=60"} <= resources(run)
        assert "threads: 2" in run


def resources(part):
    (line,) = [line for line in part.splitlines() if line.strip().startswith("resources:")]
    return {one.strip() for one in line.partition("resources:")[2].split(",")}


@pytest.mark.slow
def test_jobs_go_to_an_executor_in_the_groups_that_its_profile_counts(home, tmp_path):
    """Snakemake's own plugins for clusters look like this one, which only starts a process."""
    plugin = tmp_path / "plugins" / "snakemake_executor_plugin_pretended" / "__init__.py"
    plugin.parent.mkdir(parents=True)
    plugin.write_text(PLUGIN)
    profile = {
        "executor": "pretended",
        "jobs": 3,
        "seconds-between-status-checks": 1,
        "group-components": {"benchmark": 2, "landscape": 2},
        # A group asks for one GPU, and its runs go one after the other. Without this it asks for one a run.
        "resources": {"gpu": 1},
        "set-resource-scopes": {"gpu": "local"},
    }
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "config.yaml").write_text(json.dumps(profile))
    change(home, cluster=profile, n_gpus=1, own_gpu=True)
    start(home, "--profile", str(tmp_path / "there"), PLUGINS=str(tmp_path / "plugins"), CUDA_VISIBLE_DEVICES="x")
    submitted = [json.loads(line) for line in (home / "submitted").read_text().splitlines()]
    rules = sorted((*job["rules"], job["resources"]["runtime"], job["resources"].get("gpu")) for job in submitted)
    assert rules == [
        ("chapter_04", 720, None),
        ("run_benchmark-a", "run_benchmark-b", 1440, 1),
        ("run_landscape-a", 720, 1),
        ("run_landscape-b", 720, 1),
        ("run_transfer-a", 720, 1),
        ("run_transfer-b", 720, 1),
    ]
    assert {run[3] for run in told(home)} == {"x"}
    assert (home / "_build" / "html" / "index.html").exists()


def test_the_snakefile_imports_nothing_that_takes_long(home):
    """On a cluster every job reads it in a process of its own."""
    snakefile = (paths.package.parent / "Snakefile").read_text()
    imports = [line for line in snakefile.splitlines() if line.startswith(("import ", "from "))]
    assert imports == ["import json", "import shlex", "from pathlib import Path"]
    code = (
        "import sys; from snakemake.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "finally: print('loaded', sorted({'torch', 'chairlib', 'matplotlib'} & sys.modules.keys()))"
    )
    command = [sys.executable, "-P", "-c", code, "--snakefile", str(paths.package.parent / "Snakefile")]
    command += ["--directory", str(home), "--cores", "1", "--dry-run"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "loaded []" in said.stdout, said.stdout + said.stderr
