"""Builds on Slurm: on a real one, with a controller and two nodes on this machine, set up by .ci/slurm."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import _builds
import pytest

from chairlib.build.slurm import endings
from chairlib.core import paths

SCRIPT = paths.package.parent / ".ci" / "slurm"
#: A run that trains for some seconds, so that a node can die in it.
TOY = {
    "model": "unet",
    "width": 4,
    "resolution": 32,
    "images": 10_000,
    "evaluations": 20,
    "val_images": 40,
    "test_images": 40,
}
#: Jobs of tests are short, and the fewer seconds are waited for their end.
ASK_OFTEN = ("--slurm-init-seconds-before-status-checks", "2")
#: As `chairlib run` does upon SIGTERM: some seconds later it leaves a checkpoint, and the next start needs no time.
CHECKPOINTED = """
import pathlib, signal, sys, time
checkpoint = pathlib.Path("checkpoint")
def stop(*signal): time.sleep(2); checkpoint.touch(); sys.exit(1)
signal.signal(signal.SIGTERM, stop)
pathlib.Path("started").touch()
time.sleep(0 if checkpoint.exists() else 300)
pathlib.Path("limited.txt").touch()
"""


@pytest.fixture
def logs(tmp_path):
    """Logs of Slurm as a build leaves them: a function of a job, its number there and a log's text adds one."""

    def add(job: str, number: int, text: str, written: float = 1000) -> Path:
        log = tmp_path / f"rule_{job}" / f"{number}.log"
        log.parent.mkdir(exist_ok=True)
        log.write_text(text)
        os.utime(log, (written, written))
        return log

    return add


@pytest.mark.parametrize(
    ("text", "meaning"),
    [
        (
            "slurmstepd-n7: error: *** JOB 12 ON n7 CANCELLED AT 2026-01-31T22:34:24 DUE TO TIME LIMIT ***\n",
            " on n7: its time was up; start the build again, or raise runtime in the cluster's config.yaml",
        ),
        (
            "slurmstepd: error: *** JOB 12 ON n7 CANCELLED AT 2026-01-31T22:34:24 DUE TO NODE FAILURE, SEE SLURMCTLD "
            "LOG FOR DETAILS ***\n",
            " on n7: its node died; start the build again",
        ),
        (
            "slurmstepd: error: *** JOB 12 ON n7 CANCELLED AT 2026-01-31T22:34:24 DUE TO PREEMPTION ***\n",
            " on n7: it had to make room for another job; start the build again",
        ),
        (
            "slurmstepd: error: Detected 1 oom_kill event in StepId=12.0. Some of the step tasks have been OOM Killed.",
            "it needed more memory than it asked for; raise mem_mb in the cluster's config.yaml",
        ),
        ("chairlib: first\nmore\nchairlib: the disk is full.\nWorkflowError:\n", "the disk is full."),
        ("", "it failed"),
    ],
)
def test_a_log_of_slurm_becomes_one_line(logs, tmp_path, text, meaning):
    log = logs("run_a", 12, text)
    node, _, what = meaning.rpartition(": ")
    assert list(endings(tmp_path, since=999)) == [f"a (job 12 of Slurm{node}): {what} (log: {log})"]


def test_of_each_job_the_last_log_of_this_build_counts_and_none_of_finished_jobs(logs, tmp_path):
    logs("run_a", 1, "DUE TO TIME LIMIT", written=1000)
    logs("run_a", 2, "DUE TO NODE FAILURE", written=1001)
    logs("run_b", 3, "DUE TO TIME LIMIT", written=900)
    logs("run_c", 4, "DUE TO TIME LIMIT", written=1000)
    logs("chapter_d", 5, "DUE TO TIME LIMIT", written=1000)
    (line,) = endings(tmp_path, since=950, finished={"c", "d"})
    assert line.startswith("a (job 2 of Slurm): its node died")
    assert list(endings(tmp_path / "none", since=0)) == []


# -- on a real Slurm ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """The environment of processes that use a Slurm of our own, and its folder."""
    pytest.importorskip("snakemake_executor_plugin_slurm")
    search = os.pathsep.join([os.environ["PATH"], "/usr/sbin", "/sbin"])
    if missing := [name for name in ("munged", "slurmctld", "slurmd") if not shutil.which(name, path=search)]:
        pytest.skip(f"slurm cannot be installed here: {', '.join(missing)} is missing")
    folder = tmp_path_factory.mktemp("slurm")
    subprocess.run([SCRIPT, "start", folder], check=True)
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    try:
        yield {**os.environ, "SLURM_CONF": str(folder / "slurm.conf"), "PATH": path}, folder
    finally:
        subprocess.run([SCRIPT, "stop", folder], check=True)


def asked(environment: dict[str, str], *command: str) -> str:
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout


def wait_for(what: Callable[[], Any], seconds: float = 300) -> Any:
    end = time.monotonic() + seconds
    while not (found := what()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.3)
    return found


@pytest.fixture
def two_cores():
    """As many as the nodes have together: with more, runs of a local build get several threads, and other bits."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:2])
    yield
    os.sched_setaffinity(0, before)


@pytest.mark.slow
def test_a_build_on_slurm_leaves_the_records_of_a_local_one(slurm, two_cores, tmp_path):
    environment, _ = slurm
    local, cluster = _builds.copy_sources(tmp_path / "local"), _builds.copy_sources(tmp_path / "cluster")
    profile = cluster / "profiles" / "slurm" / "config.yaml"
    profile.write_text(re.sub(r"(?m)^(slurm-init-seconds-before-status-checks:) \d+", r"\1 2", profile.read_text()))
    command = ("paper", "--profile", "smoke", "--device", "cpu")
    process = _builds.start(cluster, *command, "--cluster", "slurm", **environment)
    log, _ = process.communicate()
    print(log)
    assert process.returncode == 0, log
    jobs = set(re.findall(r"slurm_logs/rule_(\S+)/\d+\.log", log))
    assert len(jobs) == 16  # all but the book
    assert _builds.complete(cluster)
    process = _builds.start(local, *command)
    log, _ = process.communicate()
    assert process.returncode == 0, log
    assert len(_builds.records(cluster)) == 10
    assert _builds.differences(cluster, local) == []


@pytest.fixture
def start(slurm, tmp_path):
    """Starts Snakemake with the profile for Slurm on two jobs: a toy run, and one that needs longer than its time."""
    environment, _ = slurm
    shutil.copytree(paths.package.parent / "notebooks", tmp_path / "notebooks")
    toy = f"-m chairlib run 03_benchmark -P '{json.dumps(TOY)}' -o page.ipynb"
    text = "rule all:\n    input: 'page.ipynb', 'limited.txt'\n"
    for name, minutes, output, arguments in (
        ("run_toy", 30, "page.ipynb", toy),
        ("run_limited", 1, "limited.txt", "limited.py"),
    ):
        # The shell waits for what it runs, as in the project's Snakefile.
        command = f"trap : TERM; {sys.executable} -P {arguments}".replace("{", "{{").replace("}", "}}")
        text += f"rule {name}:\n    output: {output!r}\n    resources: runtime={minutes}\n    shell: {command!r}\n"
    (tmp_path / "Snakefile").write_text(text)
    (tmp_path / "limited.py").write_text(CHECKPOINTED)
    command = [sys.executable, "-P", "-m", "snakemake", "--quiet", "host", "reason"]
    command += ["--profile", str(paths.package.parent / "profiles" / "slurm"), *ASK_OFTEN]
    started = []

    def begin(*options: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*command, *options],
            env={**environment, "CHAIRLIB_HOME": str(tmp_path)},
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            process.wait()
    subprocess.run(["scancel", "--me"], env=environment, check=False)


@pytest.mark.slow
def test_a_time_limit_and_a_dead_node_cost_nothing_but_a_new_start(slurm, start, tmp_path):
    environment, folder = slurm
    began = time.time()
    process = start("--retries", "0")

    def running(rule: str) -> list[str]:
        """Number in Slurm and node of a job that runs."""
        lines = asked(environment, "squeue", "-h", "-t", "running", "-o", "%k %i %N").splitlines()
        return next((line.split()[1:] for line in lines if line.startswith(f"rule_{rule} ")), [])

    wait_for(lambda: running("run_toy") and list(tmp_path.glob("runs/*/*checkpoint*")))
    number, node = running("run_toy")
    subprocess.run([SCRIPT, "kill", folder, node], check=True)
    wait_for(lambda: f"{number} PENDING" in asked(environment, "squeue", "-h", "-o", "%i %T"))
    assert not list(tmp_path.glob("runs/*/record.json"))
    # Slurm waits for two minutes before it starts the job of a dead node again. The test does not.
    asked(environment, "scontrol", "update", f"JobId={number}", "StartTime=now")
    wait_for(lambda: running("run_toy"))
    assert running("run_toy") == [number, "node2" if node == "node1" else "node1"]
    subprocess.run([SCRIPT, "node", folder, node], check=True)

    log, _ = process.communicate(timeout=400)
    assert process.returncode != 0
    assert "TIMEOUT" in log
    (line,) = endings(tmp_path / ".snakemake" / "slurm_logs", began, finished={"toy"})
    assert re.match(r"limited \(job \d+ of Slurm on node[12]\): its time was up", line)
    assert (tmp_path / "checkpoint").is_file()
    assert not (tmp_path / "limited.txt").exists()

    process = start()
    log, _ = process.communicate(timeout=200)
    assert process.returncode == 0, log
    undisturbed = tmp_path / "undisturbed"
    shutil.copytree(tmp_path / "notebooks", undisturbed / "notebooks")
    process = _builds.start(
        undisturbed, "run", "03_benchmark", "-P", json.dumps(TOY), "-o", str(tmp_path / "one.ipynb")
    )
    log, _ = process.communicate(timeout=400)
    assert process.returncode == 0, log
    assert len(_builds.records(undisturbed)) == 1
    assert _builds.differences(tmp_path, undisturbed) == []
