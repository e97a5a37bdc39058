"""The precision of training's forward passes: bfloat16 where the hardware is faster with it, float32 elsewhere.

Weights, gradients and scores are float32 everywhere. In bfloat16 the convolutions read and write numbers of 8
significant bits in the range of float32, so nothing has to be scaled.
"""

import json
import time
from typing import Any

import torch
from torch import nn

from chairlib.core import paths
from chairlib.core.checks import PRECISIONS, check_choice
from chairlib.core.devices import describe_hardware
from chairlib.core.files import write_json


def training_dtype(device: torch.device, precision: str = "auto") -> torch.dtype:
    """Of a training forward pass on ``device``: ``torch.float32`` or ``torch.bfloat16``.

    ``auto`` takes the faster one. x86 processors (AMX or AVX512_BF16) and CUDA say what they have. On other devices,
    such as Apple's and Arm's, both are timed once, and the answer is kept in ``paths.cache``.
    """
    check_choice("precision", precision, PRECISIONS)
    if precision != "auto":
        return getattr(torch, precision)
    has = _has_bfloat16(device)
    return torch.bfloat16 if (_is_faster(device) if has is None else has) else torch.float32


def forward_precision(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """The context of a training forward pass in ``dtype``, one of :func:`training_dtype`'s."""
    # Each weight is used once in a pass, so its copy in bfloat16 need not be kept; a CUDA graph must not keep any.
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16, cache_enabled=False)


def _has_bfloat16(device: torch.device) -> bool | None:
    """Whether the hardware has arithmetic in bfloat16; None where it does not tell."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        has: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        if has.get("architecture") == "x86_64":
            return bool(has.get("avx512_bf16") or has.get("amx_bf16"))
        # Versions of torch that cannot list them have functions for the two.
        names = ("_is_amx_tile_supported", "_is_avx512_bf16_supported")
        if not has and any(getattr(torch.cpu, name, bool)() for name in names):
            return True
    return None


def _is_faster(device: torch.device) -> bool:
    """Whether bfloat16 is at least a tenth faster on ``device``, from the cache, or timed now and kept there."""
    file = paths.cache / "precision.json"
    machine = f"{describe_hardware(device)}, {device.type}, torch {torch.__version__}"
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        answer = known.get(machine)
    except (OSError, ValueError, AttributeError):  # not there yet, or damaged: it can be measured again
        known, answer = {}, None
    if not isinstance(answer, bool):
        answer = _time_both(device)
        write_json(file, {**known, machine: answer})
    return answer


def _time_both(device: torch.device) -> bool:
    images = torch.rand(8, 32, 64, 64, device=device).to(memory_format=torch.channels_last)
    layer = nn.Conv2d(32, 32, 3, padding=1)
    layer.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    seconds = {}
    try:
        for dtype in (torch.float32, torch.bfloat16):
            times = []
            for _ in range(6):
                started = time.perf_counter()
                with forward_precision(device, dtype):
                    output = layer(images)
                output.float().sum().backward()
                layer.weight.grad.sum().item()  # type: ignore[union-attr]  # waits for the device
                times.append(time.perf_counter() - started)
            seconds[dtype] = min(times[1:])
    except RuntimeError:  # a device that has no bfloat16 at all
        return False
    return seconds[torch.bfloat16] < 0.9 * seconds[torch.float32]
