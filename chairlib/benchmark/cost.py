"""What a model costs: parameters, operations an image, images a second, memory, seconds."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from chairlib.benchmark.models import count_parameters, evaluation_mode, forward
from chairlib.benchmark.training import Fit


def flops(model: nn.Module, resolution: int) -> int:
    """Floating point operations of scoring one image [3, d, d] in float32; a multiply-add counts as 2.

    Counted by ``torch.utils.flop_counter``: convolutions, products of matrices and attention. Not counted: biases of
    convolutions, norms, activations, pooling, resizing, sums, recurrent layers, and whatever is computed outside torch.
    So a method without layers has 0. The model stays as it was, BatchNorm's statistics too.
    """
    device = next(model.parameters(), torch.empty(0)).device
    fast, counter = torch.backends.mha.get_fastpath_enabled(), FlopCounterMode(display=False)
    # The counter doesn't know torch's fused layers of transformers, nor its attention for CPUs: they would count as 0.
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), counter, evaluation_mode(model):
            forward(model, torch.zeros(1, 3, resolution, resolution, device=device))
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)
    return counter.get_total_flops()


def reset_peak_memory(device: torch.device) -> None:
    """Let :func:`peak_memory` count from here on; on a CPU under Linux only, elsewhere from the process's start."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_memory(device: torch.device) -> int | None:
    """The most bytes in use since :func:`reset_peak_memory`; None where the system doesn't say (Windows).

    On CUDA: of torch's tensors on the GPU. On a CPU there is no such count, so it is the memory of the whole process:
    Python, the libraries (some hundred MB) and the data too. The two are no measure of each other.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    with suppress(ImportError):
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return None


def measure_cost(
    model: nn.Module, result: Fit | None, scored_images: int, scoring_seconds: float, resolution: int
) -> dict[str, Any]:
    """What a run cost, as its record keeps it; None for what wasn't measured.

    ``parameters``; ``flops`` of one image's forward pass (:func:`flops`); ``train_images_per_second``, as the recipe
    trains, validation left out; ``score_images_per_second``; ``peak_memory_bytes`` (:func:`peak_memory`), since the
    last start of a run that was interrupted; ``seconds`` of training and validation. ``result``: of the training, None
    where nothing was trained.
    """
    device = next(model.parameters(), torch.empty(0)).device
    memory = peak_memory(device)  # before operations are counted, which takes memory too
    training = result and result.seconds - result.history["scoring_seconds"].iloc[-1]
    return {
        "parameters": count_parameters(model),
        "flops": flops(model, resolution),
        "train_images_per_second": round(result.images_seen / training, 2) if result and training else None,
        "score_images_per_second": round(scored_images / scoring_seconds, 2) if scoring_seconds else None,
        "peak_memory_bytes": memory,
        "seconds": result and result.seconds,
    }
