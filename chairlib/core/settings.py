"""Settings of runs. One frozen dataclass for each kind of run is the only place where its parameters are declared.

The profile of a build, the parameters cell of a notebook, the command line and the record of a run are all checked
against that dataclass, and code reads its attributes.
"""

import ast
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields
from importlib import import_module
from typing import Any, ClassVar, Self

from chairlib.core.checks import is_whole
from chairlib.core.errors import ParameterError

__all__ = ["Settings", "check_parameters", "parameter", "settings_class"]

_CLASSES: dict[str, "type[Settings]"] = {}


def parameter(default: Any, help: str, *, identity: bool = True) -> Any:
    """A field of a settings dataclass: its default, and a sentence that the command line shows.

    ``identity``: whether another value makes another run. Where a run computes and where its data lies do not.
    """
    make = {"default_factory": default} if callable(default) else {"default": default}
    return field(**make, metadata={"help": help, "identity": identity})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of the settings dataclasses, which check their values in ``__post_init__``, raising ParameterError."""

    kind: ClassVar[str]
    """The kind of run: the name of the chapter's folder in chairlib."""

    def __init_subclass__(cls) -> None:
        _CLASSES[cls.kind] = cls

    @classmethod
    def names(cls) -> list[str]:
        """The names of the parameters, in order."""
        return [field.name for field in fields(cls)]

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Self:
        """The settings with these parameters, and defaults for all others.

        Raises ParameterError for a name that this kind of run does not have, and for an impossible value.
        """
        if unknown := parameters.keys() - set(cls.names()):
            raise ParameterError(
                f"a {cls.kind} run has no parameter {', '.join(sorted(unknown))}; it has {', '.join(cls.names())}."
            )
        # NumPy's whole numbers are as good as Python's, but JSON has none.
        return cls(**{name: int(value) if is_whole(value) else value for name, value in parameters.items()})

    def with_changes(self, **changes: Any) -> Self:
        """The same settings but for some parameters. Raises as :meth:`of` does."""
        return self.of({**self.to_dict(), **changes})

    def to_dict(self) -> dict[str, Any]:
        """The parameters by name, as they stand in a record."""
        return asdict(self)

    def identity(self) -> dict[str, Any]:
        """The parameters that make this run another one than its neighbours."""
        values = self.to_dict()
        return {field.name: values[field.name] for field in fields(self) if field.metadata.get("identity", True)}


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
