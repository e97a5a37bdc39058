"""Tensors on disk: safetensors only, written atomically. Nothing in this project is ever unpickled."""

import json
import math
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import safetensors
import torch
from safetensors.torch import save_file

from chairlib.core.errors import ChairlibError
from chairlib.core.files import atomic_path


def save_tensors(
    path: Path | str, tensors: Mapping[str, torch.Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors (copied to the CPU) and string metadata to one safetensors file, atomically."""
    # clone: safetensors refuses tensors that share memory, as tied weights or views do.
    on_cpu = {name: tensor.detach().to("cpu", copy=True).contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        mode = stat.S_IMODE(temporary.stat().st_mode)
        try:
            save_file(on_cpu, temporary, dict(metadata or {}))
        except safetensors.SafetensorError as error:
            raise ChairlibError(f"cannot write {path}: {error}. Free some space, then run it again.") from error
        temporary.chmod(mode)  # safetensors puts a file of its own in place, which its owner alone may read


def save_rows(path: Path | str, tensors: Mapping[str, tuple[tuple[int, ...], Iterable[np.ndarray]]]) -> None:
    """Write uint8 tensors row by row to one safetensors file, atomically: they may be larger than the memory.

    ``tensors`` gives for each name its shape and its rows in order, each an array uint8 of ``shape[1:]``.
    """
    header, end = {}, 0
    for name, (shape, _) in tensors.items():
        begin, end = end, end + math.prod(shape)
        header[name] = {"dtype": "U8", "shape": shape, "data_offsets": (begin, end)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
    with atomic_path(path) as temporary, open(temporary, "wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        for _, rows in tensors.values():
            stream.writelines(np.ascontiguousarray(row).data for row in rows)


def load_tensors(path: Path | str, prefix: str = "") -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """Read what :func:`save_tensors` wrote: ``(tensors, metadata)``; only tensors whose names begin with ``prefix``.

    They are on the CPU, mapped from the file: they take memory where they are read, and the system may take it back.

    Raises :class:`ChairlibError` when the file is missing, cut short or not a safetensors file.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
            return tensors, file.metadata() or {}
    except (OSError, safetensors.SafetensorError) as error:
        raise ChairlibError(
            f"cannot read {path} as safetensors: {error}. Where it is damaged, delete it and run it again."
        ) from error
