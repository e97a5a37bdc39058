"""The profile for Kubernetes, on a stand-in for its command kubectl: there is no Kubernetes to run it on."""

import json
import os
import subprocess

import pytest
import yaml

from chairlib.core import paths

PROFILE = paths.package.parent / "profiles" / "kubernetes"


@pytest.fixture
def pods(tmp_path):
    """Calls profiles/kubernetes/pods where kubectl keeps what it is given, and gives ``answer``, or fails with it."""

    def call(*arguments: str, answer: str = "job", fails: bool = False, **variables: str) -> str:
        stand_in = tmp_path / "bin" / "kubectl"
        stand_in.parent.mkdir(exist_ok=True)
        script = 'echo "$@" >arguments\n[ -t 0 ] || cat >input\n'
        script += f"echo {answer!r} >&2; exit 1\n" if fails else f"echo {answer!r}\n"
        stand_in.write_text(f"#!/bin/sh\n{script}")
        stand_in.chmod(0o755)
        environment = {**os.environ, "PATH": f"{stand_in.parent}{os.pathsep}{os.environ['PATH']}", **variables}
        command = [PROFILE / "pods", *arguments]
        done = subprocess.run(command, env=environment, cwd=tmp_path, check=True, text=True, stdout=subprocess.PIPE)
        return done.stdout.strip()

    return call


def test_a_job_runs_the_script_once_on_the_shared_volume(pods, tmp_path):
    script = "/shared/a folder/.snakemake/tmp.1/snakejob.run_a.5.sh"
    assert pods("submit", script, answer="job.batch/chairs-x7") == "job.batch/chairs-x7"
    assert (tmp_path / "arguments").read_text().split() == ["create", "-o", "name", "-f", "-"]
    job = json.loads((tmp_path / "input").read_text())
    pod = job["spec"]["template"]["spec"]
    (container,), (volume,) = pod["containers"], pod["volumes"]
    assert container["command"] == ["bash", script]
    assert container["workingDir"] == str(tmp_path)
    assert "nvidia.com/gpu" not in container["resources"]["limits"]
    assert container["volumeMounts"] == [{"name": volume["name"], "mountPath": "/shared"}]
    assert volume["persistentVolumeClaim"] == {"claimName": "chairs"}
    assert pods("submit", script, CHAIRLIB_GPUS="1", CHAIRLIB_HOME="/shared/a home") == "job"
    (container,) = json.loads((tmp_path / "input").read_text())["spec"]["template"]["spec"]["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"name": "CHAIRLIB_HOME", "value": "/shared/a home"} in container["env"]
    assert (pod["restartPolicy"], job["spec"]["backoffLimit"]) == ("Never", 0)  # or two pods would do one run


@pytest.mark.parametrize(
    ("answer", "fails", "status"),
    [
        ("", False, "running"),
        ("Complete", False, "success"),
        ("SuccessCriteriaMet Complete", False, "success"),
        ("Failed", False, "failed"),
        ('Error from server (NotFound): jobs.batch "chairs-x7" not found', True, "failed"),
        ("Unable to connect to the server: net/http: TLS handshake timeout", True, "running"),
    ],
)
def test_the_status_of_a_job_in_snakemake_s_words(pods, answer, fails, status):
    assert pods("status", "job.batch/chairs-x7", answer=answer, fails=fails) == status


def test_the_profile_s_commands_are_files_of_the_checkout():
    profile = yaml.safe_load((PROFILE / "config.yaml").read_text())
    commands = [value.split()[0] for name, value in profile.items() if name.endswith("-cmd")]
    assert len(commands) == 3
    for command in commands:
        assert os.access(paths.package.parent / command, os.X_OK)
