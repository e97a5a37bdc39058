"""The setting ``deterministic``: CUDA adds numbers in a fixed order too, so that one seed gives the same bits."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from chairlib.core.errors import ParameterError, one_line

#: cuBLAS reads this variable when it is first used. With this value its results repeat, and with ``:16:8``.
WORKSPACE, SIZES = "CUBLAS_WORKSPACE_CONFIG", ":4096:8"


@contextmanager
def deterministic_mode(device: torch.device, on: bool = True) -> Iterator[None]:
    """Train and score with torch's deterministic algorithms. Nothing changes on the CPU, or where not ``on``.

    Afterwards torch's switches and the environment are as before; cuBLAS keeps its workspace. Raises ParameterError
    where cuBLAS was used before with another one, and for an operation that has no deterministic algorithm.
    """
    if not on or device.type == "cpu":
        yield
        return
    cudnn = torch.backends.cudnn
    mode = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    flags, found = (cudnn.deterministic, cudnn.benchmark), os.environ.get(WORKSPACE)
    try:
        torch.use_deterministic_algorithms(True)
        cudnn.deterministic, cudnn.benchmark = True, False
        os.environ.setdefault(WORKSPACE, SIZES)
        # torch looks at the variable once, at the first product: this one fails where that was too early.
        torch.mm(torch.ones(1, 1, device=device), torch.ones(1, 1, device=device))
        yield
    except RuntimeError as error:
        if "deterministic" not in str(error):
            raise
        early = f"cuBLAS was used without a fixed workspace ({WORKSPACE} was {found}); start Python with {SIZES} in it"
        words = early if WORKSPACE in str(error) else f"{one_line(error)}; turn it off, or change the model"
        raise ParameterError(f"deterministic: {words}.") from error
    finally:
        torch.use_deterministic_algorithms(mode[0], warn_only=mode[1])
        cudnn.deterministic, cudnn.benchmark = flags
        if found is None:
            os.environ.pop(WORKSPACE, None)
