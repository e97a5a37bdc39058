"""Which device to compute on, and what to call it in a record."""

import math
import os
import platform

import torch

from chairlib.core.errors import ParameterError


def pick_device(name: str | torch.device = "auto") -> torch.device:
    """Resolve ``"auto"`` (CUDA where there is one, else the CPU) or any name that torch knows.

    Raises :class:`ParameterError` for a name torch doesn't know and for a device this machine doesn't have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device).item()  # reading a value back proves that it computes: "meta" only pretends
    except (RuntimeError, AssertionError, ImportError, TypeError) as error:
        reason = str(error).split("\n")[0]
        usable = "'auto', 'cpu' or 'cuda'" if torch.cuda.is_available() else "'auto' or 'cpu'"
        raise ParameterError(f"device {str(name)!r} cannot be used here ({reason}); use {usable}.") from error
    return device


def free_memory(device: torch.device) -> float:
    """Bytes that can still be used on ``device``; infinite where the system doesn't say."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    available = _system_says("meminfo", "MemAvailable") if device.type == "cpu" else None
    return 1024 * int(available.split()[0]) if available else math.inf


def _system_says(file: str, name: str) -> str | None:
    """The first value of this name in a file of Linux's ``/proc``; None where there is none."""
    try:
        with open(f"/proc/{file}", encoding="utf-8") as stream:
            return next(line.split(":", 1)[1].strip() for line in stream if line.startswith(name))
    except (OSError, StopIteration):
        return None


def describe_hardware(device: torch.device) -> str:
    """One line for people, e.g. ``"Intel(R) Xeon(R) Processor, 1 of 2 cores"`` or ``"NVIDIA H200"``."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    used = min(torch.get_num_threads(), cores)
    model = _system_says("cpuinfo", "model name") or platform.processor() or platform.machine()
    return f"{model}, {used} of {cores} cores"
