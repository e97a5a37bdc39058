"""One dataclass a kind of run: names, defaults and values are checked against it."""

import json
import subprocess
import sys

import numpy as np
import pytest

from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core import settings
from chairlib.core.errors import ParameterError
from chairlib.core.settings import check_parameters, settings_class
from chairlib.landscape.settings import LandscapeSettings
from chairlib.transfer.settings import TransferSettings

ALL = [BenchmarkSettings, TransferSettings, LandscapeSettings]


@pytest.mark.parametrize("kind", ALL)
def test_settings_go_to_json_and_back(kind):
    made = kind.of({"resolution": 32, "device": "cpu"})
    assert kind.of(json.loads(json.dumps(made.to_dict()))) == made
    assert (made.resolution, made.device) == (32, "cpu")
    assert settings_class(kind.kind) is kind
    assert list(made.to_dict()) == kind.names()


@pytest.mark.parametrize("kind", ALL)
def test_unknown_names(kind):
    with pytest.raises(ParameterError, match=f"a {kind.kind} run has no parameter imags; it has .*images"):
        kind.of({"imags": 3})
    with pytest.raises(ParameterError, match="has no parameter imags"):
        kind().with_changes(imags=3)


@pytest.mark.parametrize("kind", ALL)
def test_every_parameter_has_help_that_is_a_sentence(kind):
    for field in settings.fields(kind):
        assert field.metadata["help"].endswith("."), field.name


def test_a_record_is_read_whatever_was_imported_before():
    code = (
        "import sys\nfrom chairlib.core.settings import settings_class\n"
        "assert 'chairlib.benchmark' not in sys.modules\n"
        "print(settings_class('benchmark').__name__, settings_class('nonsense'))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "BenchmarkSettings None\n"


def test_changes_leave_the_rest():
    before = BenchmarkSettings(width=8, seed=3)
    after = before.with_changes(seed=4)
    assert (after.width, after.seed, before.seed) == (8, 4, 3)
    with pytest.raises(AttributeError):
        before.seed = 4


def test_numpys_whole_numbers_are_taken():
    made = BenchmarkSettings.of({"seed": np.int64(3), "images": np.uint8(7)})
    assert (type(made.seed), type(made.images)) == (int, int)
    json.dumps(made.to_dict())


def test_where_a_run_computes_and_where_its_data_lies_are_not_its_identity():
    assert BenchmarkSettings().identity().keys() == set(BenchmarkSettings.names()) - {"data", "device"}
    assert LandscapeSettings().identity().keys() == set(LandscapeSettings.names()) - {"data", "photos", "device"}


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (BenchmarkSettings, {"width": 0}, "width 0 must be a whole number of at least 1, or None"),
        (BenchmarkSettings, {"test_images": -3}, "test_images -3"),
        (BenchmarkSettings, {"seed": 2**32}, "seed 4294967296"),
        (BenchmarkSettings, {"images": True}, "images True"),
        (TransferSettings, {"pretraining": "sofas"}, "pretraining 'sofas' is unknown; use one of none, chair_segments"),
        (TransferSettings, {"share": 101}, "share 101"),
        (TransferSettings, {"init_seed": -1}, "init_seed -1"),
        (LandscapeSettings, {"n_seeds": 1}, "n_seeds 1"),
        (LandscapeSettings, {"plane": 1}, "plane 1"),
        (LandscapeSettings, {"beyond_ends": 3}, "beyond_ends 3 must be a number from 0 to 2"),
        (LandscapeSettings, {"beyond": 1}, "beyond 1 must be True or False"),
        (LandscapeSettings, {"pretrain": [3]}, r"pretrain \[3\] must be parameters"),
        (LandscapeSettings, {"pretrain": {"width": 3}}, "pretrain takes width from the run itself"),
    ],
)
def test_impossible_values(kind, parameters, message):
    with pytest.raises(ParameterError, match=message):
        kind.of(parameters)


# -- parameters of notebooks ------------------------------------------------------------------------------------------


def namespace(*cells: str, **more) -> dict:
    """The globals of a notebook after these cells."""
    of_ipython = {"In": ["", "data = 'mini'", *cells], "Out": {}, "_i": "x", "__name__": "__main__"}
    return {**of_ipython, "settings": settings, "data": "mini", "width": None, **more}


def test_declared_parameters_are_given_back():
    given = namespace("# Parameters\nwidth = None\n")
    assert check_parameters("n", given, ["data", "width"]) == {"data": "mini", "width": None}
    assert check_parameters("n", given, {"data": 1}.keys() | {"width"}) == {"data": "mini", "width": None}


def test_parameter_that_was_never_declared():
    given = namespace("# Parameters\nwidth = None\ndta = ['x']\n", dta=["x"])
    for _ in range(2):  # running the cell again doesn't help
        with pytest.raises(ParameterError, match="parameter dta is unknown to notebook n; it has data, width"):
            check_parameters("n", given, ["data", "width"])
    mended = namespace("# Parameters\ndta = 3\n", "# Parameters\ndata = 3\n")  # corrected by hand and run again
    assert check_parameters("n", mended, ["data"]) == {"data": "mini"}


def test_papermill_marks_what_it_adds():
    translators = pytest.importorskip("papermill.translators")
    given = {"data": "own", "dta": 3, "dpth": None, "nme": [1]}
    cell = translators.papermill_translators.find_translator("python3", "python").codify(given)
    with pytest.raises(ParameterError, match="parameter dpth, dta, nme is unknown to notebook n; it has data"):
        check_parameters("n", namespace(cell), ["data"])


@pytest.mark.parametrize("value", [1, "x", None, [1]])
def test_variables_of_ones_own_do_no_harm(value):
    """Of a start-up file, say, or of a cell that was added in JupyterLab."""
    given = namespace("mine = 3", mine=value)
    assert check_parameters("n", given, ["data", "width"]) == {"data": "mini", "width": None}


def test_parameter_that_is_gone():
    with pytest.raises(ParameterError, match="notebook n lacks the parameter resolution; give it a value"):
        check_parameters("n", namespace(), ["data", "width", "resolution"])
