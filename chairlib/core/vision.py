"""torchvision, importable beside a CPU build of torch.

PyPI's Linux wheels of torchvision are built for CUDA. Beside a CPU build of torch their compiled library cannot load,
and `import torchvision` then dies with "operator torchvision::nms does not exist": it registers fake kernels for two
operators that nobody defined. Defining the two schemas first is all that models, transforms, datasets and utils need;
`torchvision.ops.nms` itself still raises where there is no compiled library.

Every module of the package takes torchvision from here: `from chairlib.core.vision import torchvision`.
"""

import importlib.util
import sys
from pathlib import Path

import torch

__all__ = ["torchvision"]

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

import torchvision  # noqa: E402
import torchvision.transforms.v2  # noqa: E402 - without it, `torchvision.transforms` has no attribute `v2`
