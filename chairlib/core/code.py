"""Which code a result came from: a hash over the syntax of a module and of every module that it imports.

Only what the interpreter acts on counts. Comments, docstrings, blank lines and the wording of errors may change, and
the hash stays; a constant, a condition or an import may not. Python's version plays no part.
"""

import ast
import hashlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_INSTALLED = {"site-packages", "dist-packages"}
#: Methods that only describe an object to a person.
_DESCRIPTIONS = {"__repr__", "__str__", "_repr_html_"}


def code_hash(module: str, skip: tuple[str, ...] = (), parents: bool = False) -> str:
    """16 hexadecimal digits over the syntax of the :func:`imported_modules`. Raises as that does, and SyntaxError."""
    digest = hashlib.sha256()
    for name, file in sorted(imported_modules(module, skip, parents).items()):
        digest.update(repr((name, _syntax(ast.parse(file.read_bytes())))).encode())
    return digest.hexdigest()[:16]


def imported_modules(module: str, skip: tuple[str, ...] = (), parents: bool = False) -> dict[str, Path]:
    """``module`` and what it imports of the same project, directly or through others: files by dotted name.

    The project is the folder that holds the top-level package or file of ``module``, without packages that are
    installed there (``site-packages``); for an installed package it is the package alone. An import counts wherever it
    stands, in functions too. ``skip``: dotted names that are left out, with all below them. ``parents``: the packages
    that a module lies in count too, whose ``__init__`` Python runs first. Nothing is imported to find out.

    Raises ModuleNotFoundError where ``module`` has no source file.
    """
    root = project_folder(module.partition(".")[0])
    found: dict[str, Path] = {}
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in found or any(f"{name}.".startswith(f"{prefix}.") for prefix in skip):
            continue
        file = _file(root, name)
        if file is not None:
            found[name] = file
            waiting += _imports(name, file, root)
            waiting += [name.rpartition(".")[0]] if parents and "." in name else []
    if module not in found:
        raise ModuleNotFoundError(f"no source file of module {module!r} was found", name=module)
    return found


def project_folder(top: str) -> Path:
    """The folder that a top-level module or package lies in."""
    spec = importlib.util.find_spec(top)
    place = [*(spec.submodule_search_locations or ()), spec.origin][0] if spec else None
    if place is None:
        raise ModuleNotFoundError(f"no source file of module {top!r} was found", name=top)
    return Path(place).resolve().parent


def _file(root: Path, name: str) -> Path | None:
    """The source file of the module ``name`` below ``root``; None where there is none."""
    path = root.joinpath(*name.split("."))
    return next((file for file in (path.with_suffix(".py"), path / "__init__.py") if file.is_file()), None)


def _imports(module: str, file: Path, root: Path) -> Iterator[str]:
    """Dotted names that ``module`` imports from its project, those of attributes among them: they have no file."""
    package = module if file.name == "__init__.py" else module.rpartition(".")[0]
    top = module.partition(".")[0]
    installed = _INSTALLED & set(root.parts)
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            # What is imported is the module of that name, or the one (or the package) that defines it.
            modules = [f"{base}.{alias.name}" for alias in node.names]
            names = [name if _file(root, name) else base for name in modules]
        else:
            continue
        yield from (name for name in names if not installed or name.partition(".")[0] == top)


def _syntax(node: Any) -> Any:
    """A tree as nested tuples without positions, empty fields, raised errors and what :func:`_is_text` finds."""
    if isinstance(node, list):
        return tuple(_syntax(item) for item in node if not _is_text(item))
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Raise):
        return ("Raise",)
    fields = [(name, value) for name, value in ast.iter_fields(node) if value is not None and value != []]
    return (type(node).__name__, *((name, _syntax(value)) for name, value in fields))


def _is_text(node: Any) -> bool:
    """Whether a node is for people only: a docstring, a keyword ``help``, a method that describes an object."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    if isinstance(node, ast.keyword):
        return node.arg == "help"
    return isinstance(node, ast.FunctionDef) and node.name in _DESCRIPTIONS


def look_for_modules_in(*folders: Path) -> None:
    """Have Python find modules of one's own there too, here and in every process that is started from here.

    The environment variable ``CHAIRLIB_MODULES`` names such folders. They come last: a ``random.py`` in one of them
    must not take the place of Python's own.
    """
    known = os.environ.get("CHAIRLIB_MODULES", "").split(os.pathsep)
    names = dict.fromkeys(str(Path(name).absolute()) for name in [*known, *map(str, folders)] if name)
    os.environ["CHAIRLIB_MODULES"] = os.pathsep.join(names)
    sys.path += [name for name in names if name not in sys.path]


look_for_modules_in()
