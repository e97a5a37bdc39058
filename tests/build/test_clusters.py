import pytest

from chairlib.build import clusters
from chairlib.core import paths
from chairlib.core.errors import ParameterError

pytest.importorskip("snakemake")


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with two clusters."""
    monkeypatch.setattr(paths, "home", tmp_path / "home")
    for name in ("small", "large"):
        add(paths.home / "profiles" / name, "jobs: 4\n")
    (paths.home / "profiles" / "quick.yaml").write_text("description: no cluster")
    return paths.home


def add(folder, text, name="config.yaml"):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)
    return folder


def test_a_name_and_a_folder(home, tmp_path, monkeypatch):
    assert clusters.find_cluster("small") == (home / "profiles" / "small", {"jobs": 4})
    own = add(tmp_path / "own", "jobs: 2\nkeep-going: true\n")
    assert clusters.find_cluster(str(own)) == (own, {"jobs": 2, "keep-going": True})
    monkeypatch.chdir(tmp_path)
    assert clusters.find_cluster("own")[0] == own
    add(tmp_path / "small", "jobs: 3\n")  # a name is that of the home, whatever folders are here
    assert clusters.find_cluster("small")[1] == {"jobs": 4}


def test_the_file_is_the_one_that_snakemake_reads(home):
    add(home / "profiles" / "small", "jobs: 8\n", "config.v8+.yaml")
    add(home / "profiles" / "small", "jobs: 99\n", "config.v99+.yaml")
    assert clusters.find_cluster("small")[1] == {"jobs": 8}


@pytest.mark.parametrize("name", ["nope", "quick", ".", "/nonexistent"])
def test_what_is_no_cluster_is_told_with_the_names_that_there_are(home, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ParameterError, match=r"cluster '.*' does not exist; use large, small, a folder with a profile"):
        clusters.find_cluster(name)


@pytest.mark.parametrize(("text", "message"), [("jobs: [", "is not YAML"), ("- jobs", "must be a mapping of options")])
def test_a_file_that_snakemake_could_not_read(home, text, message):
    with pytest.raises(ParameterError, match=rf"small/config.yaml {message}"):
        clusters.find_cluster(str(add(home / "profiles" / "small", text)))


def test_an_executor_that_is_missing_is_told_with_what_brings_it(home, monkeypatch):
    monkeypatch.setattr(clusters, "find_spec", lambda name: None)
    own = home / "profiles" / "small"
    add(own, "executor: slurm\njobs: 4\n")
    with pytest.raises(
        ParameterError, match=r"the executor 'slurm', which is missing; pip install 'chairlib\[cluster\]'"
    ):
        clusters.find_cluster("small")
    add(own, "executor: aws-batch\njobs: 4\n")
    with pytest.raises(ParameterError, match="pip install snakemake-executor-plugin-aws-batch"):
        clusters.find_cluster("small")
    add(own, "executor: local\njobs: 4\n")
    assert clusters.find_cluster("small")[1]["executor"] == "local"


def test_an_executor_that_is_there(home, tmp_path, monkeypatch):
    (tmp_path / "snakemake_executor_plugin_of_a_test.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    add(home / "profiles" / "small", "executor: of-a-test\njobs: 4\n")
    assert clusters.find_cluster("small")[1]["executor"] == "of-a-test"
