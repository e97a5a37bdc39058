"""One dataclass a kind of run: names, defaults and values are checked against it."""

import json
import re
import subprocess
import sys
from dataclasses import fields
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from chairlib import benchmark, transfer
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.core import settings
from chairlib.core.errors import ParameterError
from chairlib.core.runs import run_name
from chairlib.core.settings import check_parameters, settings_class
from chairlib.landscape.settings import LandscapeSettings
from chairlib.transfer.settings import PRETRAININGS, TransferSettings

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


def test_the_help_of_a_pretraining_names_every_one_there_is():
    (field,) = (field for field in settings.fields(TransferSettings) if field.name == "pretraining")
    for pretraining in PRETRAININGS:
        assert TransferSettings(pretraining=pretraining).pretraining == pretraining
        assert f" {pretraining}" in field.metadata["help"]


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


#: Values of a setting that mean the same: a run must have one name, however it was asked.
ALIKE = [
    (LandscapeSettings, "plane", [3, np.int64(3), np.uint8(3), np.array(3), torch.tensor(3)]),
    (BenchmarkSettings, "width", [None]),
    (LandscapeSettings, "beyond_ends", [1.0, 1, np.float32(1), np.int8(1), torch.tensor(1.0), Fraction(1)]),
    (LandscapeSettings, "beyond_ends", [0.0, -0.0, 0]),
    (LandscapeSettings, "beyond", [True, np.True_, torch.tensor(True)]),
    (BenchmarkSettings, "model", ["unet", np.str_("unet")]),
    (BenchmarkSettings, "device", ["cpu", torch.device("cpu")]),
    (TransferSettings, "data", [str(Path("photos").absolute()), Path("photos")]),
    (
        LandscapeSettings,
        "pretrain",
        [{"seed": 3, "images": None}, MappingProxyType({"images": None, "seed": np.int16(3)})],
    ),
]


@pytest.mark.parametrize(("kind", "name", "values"), ALIKE)
def test_values_that_mean_the_same_make_the_same_run(kind, name, values):
    made = [kind.of({name: value}) for value in values] + [kind(**{name: value}) for value in values]
    assert {run_name(settings, "hash") for settings in made} == {run_name(made[0], "hash")}
    assert len({json.dumps(settings.to_dict(), sort_keys=True) for settings in made}) == 1


def test_names_of_runs_stay():
    """Records are found by these names. Where one changes, every record made so far is lost."""
    of_landscape = {"beyond_ends": 0.25, "plane": 7, "beyond": True, "pretrain": {"recipe": "fast", "seed": 1}}
    made = [*(kind() for kind in ALL), LandscapeSettings(**of_landscape)]
    assert [run_name(settings, "hash") for settings in made] == [
        "benchmark-unet-64px-fast-seed0-43c3c43f",
        "transfer-car-unet-64px-none-fast-seed0-a059cea5",
        "landscape-car-unet-64px-fast-ec6257b2",
        "landscape-car-unet-64px-fast-3308ee64",
    ]


#: (kind, name, declared type) of every parameter.
FIELDS = [
    (kind, field.name, str(getattr(field.type, "__name__", field.type)))
    for kind in ALL
    for field in settings.fields(kind)
]

VALUES = st.one_of(
    st.text(),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.binary(),
    st.lists(st.integers(), max_size=3),
    st.tuples(st.integers()),
    st.dictionaries(st.text() | st.integers(), st.integers(), max_size=2),
)


@given(st.data())
def test_a_value_of_any_type_is_taken_as_declared_or_named_in_one_line(data):
    kind, name, declared = data.draw(st.sampled_from(FIELDS))
    value = data.draw(VALUES)
    found = type(value).__name__
    fits = {"int | None": {"int", "NoneType"}, "str | None": {"str", "NoneType"}, "float": {"float", "int"}}
    fits["float | None"] = {"float", "int", "NoneType"}
    is_right = found in fits.get(declared, {declared.replace("Mapping", "dict")})
    try:
        made, refused = getattr(kind.of({name: value}), name), ""
    except ParameterError as error:
        made, refused = None, str(error)
    if refused:
        assert name in refused
        assert "\n" not in refused
        assert is_right or f"found the type {found}" in refused
    else:
        assert is_right
        assert made == (value.lower() if name == "category" else value)  # a folder's name in lower case
        json.dumps(made)


def test_where_a_run_computes_and_where_its_data_lies_are_not_its_identity():
    later = {
        "model_args",
        "normalise",
        "outputs",
        "learning_rate",
        "swept",
        "batch_size",
        "weights",
        "deterministic",
    }  # at their defaults, see below
    assert (
        BenchmarkSettings().identity().keys() == set(BenchmarkSettings.names()) - {"data", "device", "protocol"} - later
    )
    assert (
        LandscapeSettings().identity().keys() == set(LandscapeSettings.names()) - {"data", "photos", "device"} - later
    )


@pytest.mark.parametrize("kind", ALL)
def test_what_came_later_makes_another_run_where_it_is_not_at_its_default(kind):
    changes = [{}, {"model_args": {"classes": 1}}, {"normalise": "imagenet"}, {"outputs": "probabilities"}]
    changes.append({"deterministic": True})
    assert len({run_name(kind(**change), "hash") for change in changes}) == len(changes)
    at_default = {"model_args": {}, "normalise": None, "outputs": "logits", "deterministic": False}
    assert run_name(kind(**at_default), "hash") == run_name(kind(), "hash")


def test_values_as_a_key_of_a_dictionary():
    names = ["model", "model_args"]
    made = [BenchmarkSettings(model_args=args).key(names) for args in ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {"a": 1})]
    assert len({made[0]: 0, made[1]: 1, made[2]: 2}) == 2
    assert made[0][0] == "unet"


def test_arguments_of_a_model_are_json():
    made = BenchmarkSettings(model_args={"depths": (1, 2), "block": {"norm": None}})
    assert made.model_args == {"depths": [1, 2], "block": {"norm": None}}  # as a record gives them back


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        (BenchmarkSettings, {"width": 0}, "width 0 must be a whole number of at least 1, or None"),
        (BenchmarkSettings, {"test_images": -3}, "test_images -3"),
        (BenchmarkSettings, {"seed": 2**32}, "seed 4294967296"),
        (BenchmarkSettings, {"images": True}, "images True"),
        (TransferSettings, {"pretraining": "sofas"}, "pretraining 'sofas' is unknown; use one of none, none_equal"),
        (TransferSettings, {"share": 101}, "share 101"),
        (TransferSettings, {"init_seed": -1}, "init_seed -1"),
        (LandscapeSettings, {"n_seeds": 1}, "n_seeds 1"),
        (LandscapeSettings, {"plane": 1}, "plane 1"),
        (LandscapeSettings, {"beyond_ends": 3}, "beyond_ends 3.0 must be a number from 0 to 2"),
        (LandscapeSettings, {"beyond_ends": float("nan")}, "beyond_ends nan must be a number from 0 to 2"),
        (LandscapeSettings, {"beyond_ends": True}, "beyond_ends True must be a number; found the type bool"),
        (LandscapeSettings, {"plane": 0.0}, "plane 0.0 must be a whole number; found the type float"),
        (BenchmarkSettings, {"data": 5}, "data 5 must be text; found the type int"),
        (BenchmarkSettings, {"width": "8"}, "width '8' must be a whole number, or None; found the type str"),
        (BenchmarkSettings, {"seed": np.zeros((9, 9))}, "seed array.* must be a whole number; found the type ndarray"),
        (TransferSettings, {"fold": None}, "fold None must be a whole number; found the type NoneType"),
        (BenchmarkSettings, {5: 5, "imags": 3}, "has no parameter 5, imags; it has"),
        (LandscapeSettings, {"beyond": 1}, "beyond 1 must be True or False"),
        (LandscapeSettings, {"pretrain": [3]}, r"pretrain \[3\] must be parameters"),
        (LandscapeSettings, {"pretrain": {"model_args": {"a": 3}}}, "pretrain takes model_args from the run itself"),
        (BenchmarkSettings, {"model_args": {"act": torch.relu}}, "model_args .* must be JSON"),
        (BenchmarkSettings, {"model_args": {"rate": float("nan")}}, "model_args .* must be JSON"),
        (TransferSettings, {"model_args": {5: 3}}, "model_args {5: 3} must have names of arguments as keys"),
        (TransferSettings, {"model_args": "classes=1"}, "model_args 'classes=1' must be parameters by name"),
        (TransferSettings, {"normalise": "cifar"}, "normalise 'cifar' is unknown; use 'imagenet', or None"),
        (LandscapeSettings, {"outputs": "masks"}, "outputs 'masks' is unknown; use one of logits, probabilities"),
        (LandscapeSettings, {"pretrain": {"width": 3}}, "pretrain takes width from the run itself"),
        (LandscapeSettings, {"pretrain": {"seed": 0.0}}, "pretrain: seed 0.0 must be a whole number; found .* float"),
    ],
)
def test_impossible_values(kind, parameters, message):
    with pytest.raises(ParameterError, match=f"^.*{message}[^\\n]*$"):
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


def limits(help: str) -> list[int]:
    """The numbers in a help text."""
    return [int(number) for number in re.findall(r"\d+", help)]


def test_help_states_the_resolutions_that_are_taken(collection, photos):
    ways = {
        "benchmark": lambda resolution: benchmark.open_run(data=collection.root, resolution=resolution),
        "transfer": lambda resolution: transfer.open_run(data=photos, resolution=resolution),
    }
    for kind, way in ways.items():
        (field,) = (field for field in fields(settings_class(kind)) if field.name == "resolution")
        least, *most = limits(field.metadata["help"])
        way(least)
        for value in [least - 1, *(limit + 1 for limit in most)]:
            with pytest.raises(ParameterError, match="resolution"):
                way(value)


@pytest.mark.parametrize(
    ("kind", "name", "limit", "wrong"),
    [
        ("transfer", "share", 100, 101),
        ("landscape", "n_seeds", 2, 1),
        ("landscape", "n_alphas", 2, 1),
        ("landscape", "plane", 2, 1),
        ("landscape", "n_early", 2, 1),
        ("landscape", "beyond_ends", 2, 3),
    ],
)
def test_help_states_the_limit_of_a_count(kind, name, limit, wrong):
    kind = settings_class(kind)
    (field,) = (field for field in fields(kind) if field.name == name)
    assert limit in limits(field.metadata["help"])
    kind(**{name: limit})
    with pytest.raises(ParameterError, match=name):
        kind(**{name: wrong})
