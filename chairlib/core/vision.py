"""torchvision, importable beside a CPU build of torch.

PyPI's Linux wheels of torchvision are built for CUDA. Beside a CPU build of torch their compiled library cannot load,
and `import torchvision` then dies with "operator torchvision::nms does not exist": it registers fake kernels for two
operators that nobody defined. Defining the two schemas first is all that models, transforms, datasets and utils need;
`torchvision.ops.nms` itself still raises where there is no compiled library.

It also imports torch's compiler, for a question that only detectors ask and for a decorator. That takes as long as
importing torch itself, so it is put off until one of the two is called.

Every module of the package takes torchvision from here: `from chairlib.core.vision import torchvision`.
"""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

_SCHEMA = "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor"


def _compiled_library_loads() -> bool:
    """Whether torchvision's own operators can be loaded; `find_spec` locates the package without importing it."""
    spec = importlib.util.find_spec("torchvision")
    libraries = list(Path(spec.origin).parent.glob("_C*.so")) if spec and spec.origin else []
    try:
        for path in libraries:
            torch.ops.load_library(str(path))
    except OSError:
        return False
    return bool(libraries)


def _define_missing_operators() -> torch.library.Library | None:
    # Other systems' wheels match their torch, and defining what a library later defines again would itself be an error.
    if sys.platform != "linux" or "torchvision" in sys.modules or _compiled_library_loads():
        return None
    library = torch.library.Library("torchvision", "FRAGMENT")
    for name in ("nms", "qnms"):
        library.define(name + _SCHEMA)
    return library


# The definitions vanish with the Library object, so the module keeps it.
_library = _define_missing_operators()

_COMPILER = "torch._dynamo.utils"


def _is_compile_supported(device_type: Any) -> Any:
    return import_module(_COMPILER).is_compile_supported(device_type)


def _disable(fn: Any = None, recursive: Any = True, *, reason: Any = None) -> Any:
    """As torch.compiler.disable, which imports the compiler to decorate; this imports it at the first call."""
    return torch._disable_dynamo(fn, recursive)


@contextmanager
def _compiler_left_out() -> Iterator[None]:
    """What torchvision takes from torch's compiler, within it, are functions that import the compiler when called."""
    if _COMPILER in sys.modules:
        yield
        return

    def other_name(name: str) -> Any:
        # torch asks every module for its __file__. Another torchvision may want more: then all is imported as ever.
        if name.startswith("__"):
            raise AttributeError(f"module {_COMPILER!r} has no attribute {name!r}")
        sys.modules.pop(_COMPILER, None)
        return getattr(import_module(_COMPILER), name)

    stand_in, disable = ModuleType(_COMPILER), torch.compiler.disable
    vars(stand_in).update(is_compile_supported=_is_compile_supported, __getattr__=other_name)
    sys.modules[_COMPILER], torch.compiler.disable = stand_in, _disable
    try:
        yield
    finally:
        torch.compiler.disable = disable
        if sys.modules.get(_COMPILER) is stand_in:
            del sys.modules[_COMPILER]


with _compiler_left_out():
    import torchvision
    import torchvision.transforms.v2  # noqa: F401  # without it, `torchvision.transforms` has no attribute `v2`
