"""Settings of runs. One frozen dataclass for each kind of run is the only place where its parameters are declared.

The profile of a build, the parameters cell of a notebook, the command line and the record of a run are all checked
against that dataclass, and code reads its attributes.
"""

import ast
import json
import os
import reprlib
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ClassVar, Self, get_args, get_origin, get_type_hints

from chairlib.core.errors import ParameterError

_CLASSES: dict[str, "type[Settings]"] = {}
#: By the type that a parameter is declared with: what is taken for it, and how an error calls that.
_TYPES: dict[Any, tuple[Any, str]] = {
    str: (str | Path, "text"),
    int: (Integral, "a whole number"),
    float: (Real, "a number"),
    bool: (bool, "True or False"),
    Mapping: (Mapping, "parameters by name"),
}


def parameter(default: Any, help: str, *, identity: bool = True, later: bool = False) -> Any:
    """A field of a settings dataclass: its default, and a sentence that the command line shows.

    ``identity``: whether another value makes another run. Where a run computes and where its data lies do not.
    ``later``: runs were made before there was this parameter, so at its default it makes no other run.
    """
    # A mapping, which has no hash, is left out of that of the settings.
    make = {"default_factory": default, "hash": False} if callable(default) else {"default": default}
    return field(**make, metadata={"help": help, "identity": identity, "later": later})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of the settings dataclasses: checks every value's type against its annotation, raising ParameterError.

    Afterwards a value has exactly the declared type, so that equal settings have one name: NumPy's numbers become
    Python's, a path becomes text. A subclass checks the values themselves in its ``__post_init__``, after this one.
    """

    kind: ClassVar[str]
    """The kind of run: the name of the chapter's folder in chairlib. What several kinds share has none."""

    def __init_subclass__(cls) -> None:
        if "kind" in vars(cls):
            _CLASSES[cls.kind] = cls

    def __post_init__(self) -> None:
        types = get_type_hints(type(self))
        for name in self.names():
            object.__setattr__(self, name, _in_type(name, getattr(self, name), types[name]))

    @classmethod
    def names(cls) -> list[str]:
        """The names of the parameters, in order."""
        return [field.name for field in fields(cls)]

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """The settings with these parameters, and defaults for all others.

        Raises ParameterError for a name that this kind of run does not have, and for an impossible value.
        """
        if unknown := sorted(map(str, parameters.keys() - set(cls.names()))):
            raise ParameterError(
                f"a {cls.kind} run has no parameter {', '.join(unknown)}; it has {', '.join(cls.names())}."
            )
        return cls(**parameters)

    def with_changes(self, **changes: Any) -> Self:
        """The same settings but for some parameters. Raises as :meth:`of` does."""
        return self.of({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """The parameters by name, as they stand in a record."""
        return asdict(self)

    def key(self, names: Iterable[str]) -> tuple[Any, ...]:
        """The values of these parameters, as a key of a dictionary: a mapping among them as text."""
        values = [getattr(self, name) for name in names]
        return tuple(json.dumps(value, sort_keys=True) if isinstance(value, dict) else value for value in values)

    def identity(self) -> dict[str, Any]:
        """The parameters that make this run another one than its neighbours.

        Names of runs are a hash of these. Those that came later are left out at their defaults: with them, every run
        made before would have another name, and its record would not be found.
        """
        values, defaults, told = self.to_dict(), type(self)().to_dict(), {f.name: f.metadata for f in fields(self)}
        kept = [name for name in values if not told[name]["later"] or values[name] != defaults[name]]
        return {name: values[name] for name in kept if told[name]["identity"]}


def _in_type(name: str, value: Any, declared: Any) -> Any:
    """``value`` in the type that the parameter is declared with; ParameterError for a value of another type."""
    kinds = get_args(declared) if isinstance(declared, UnionType) else (get_origin(declared) or declared,)
    if value is None and NoneType in kinds:
        return None
    if getattr(value, "ndim", None) == 0:  # a number of NumPy, or a tensor that is one
        value = value.item()
    # Without torch in memory there is no device, and importing it takes seconds.
    if isinstance(value, getattr(sys.modules.get("torch"), "device", ())):
        value = str(value)
    taken, wanted = _TYPES[kinds[0]]
    if not isinstance(value, taken) or (isinstance(value, bool) and bool not in kinds):
        shown = " ".join(reprlib.repr(value).split())
        none = ", or None" if NoneType in kinds else ""
        raise ParameterError(f"{name} {shown} must be {wanted}{none}; found the type {type(value).__name__}.")
    if isinstance(value, Path):  # absolute: as text, the path `mini` would be the collection of that name
        return os.path.abspath(value.expanduser())
    if kinds[0] is float:
        return float(value) + 0.0  # of -0.0, which would be another name for the same run
    return dict(value) if kinds[0] is Mapping else kinds[0](value)


def settings_class(kind: str) -> type[Settings] | None:
    """The dataclass of a kind of run, which its chapter declares; None for an unknown kind."""
    if kind not in _CLASSES:
        with suppress(ModuleNotFoundError):
            import_module(f"chairlib.{kind}.settings")
    return _CLASSES.get(kind)


def check_parameters(notebook: str, namespace: Mapping[str, Any], declared: Iterable[str]) -> dict[str, Any]:
    """The values of the parameters that a notebook ``declared``, from the ``globals()`` of its second cell.

    Raises ParameterError for a parameter that the notebook never declared, of which papermill only warns. Other
    variables, one's own or those of a start-up file, do no harm.
    """
    declared = list(declared)
    missing = [name for name in declared if name not in namespace]
    if missing:
        raise ParameterError(f"notebook {notebook} lacks the parameter {', '.join(missing)}; give it a value above.")
    if unknown := _injected(namespace.get("In", ())) - set(declared):
        raise ParameterError(
            f"parameter {', '.join(sorted(unknown))} is unknown to notebook {notebook}; it has {', '.join(declared)}."
        )
    return {name: namespace[name] for name in declared}


def _injected(cells: Iterable[str]) -> set[str]:
    """The names that papermill gave values to, from a session's cells: it marks the one that it adds in this way."""
    added = [cell for cell in cells if cell.startswith("# Parameters\n")][-1:]
    assigned = [node for cell in added for node in ast.parse(cell).body if isinstance(node, ast.Assign)]
    return {target.id for node in assigned for target in node.targets if isinstance(target, ast.Name)}
