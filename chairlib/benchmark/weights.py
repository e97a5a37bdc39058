"""Weights that were trained elsewhere: files of safetensors, or of PyTorch."""

from pathlib import Path

import torch
from torch import nn

from chairlib.core.errors import ChairlibError, ParameterError, RecordError
from chairlib.core.files import file_digest
from chairlib.core.runs import Record
from chairlib.core.tensors import load_tensors

#: Stands for weights in the place of a file: those that the model is built with.
AS_BUILT = "built"
#: What a wrapper puts before every name: ``DataParallel``, ``torch.compile``, and our own adapter.
_PREFIXES = ("module.", "_orig_mod.", "model.")


def weights_digest(weights: str | None) -> str | None:
    """16 hexadecimal digits over a file of weights; None where there is no file to load."""
    if weights in (None, AS_BUILT):
        return None
    try:
        return file_digest(Path(weights)).hex()[:16]
    except OSError as error:
        raise ParameterError(f"weights {weights} cannot be read ({error.strerror}); name a file.") from error


def load_weights(model: nn.Module, weights: str) -> None:
    """Load a file of weights into ``model``: a ``state_dict``, alone or as an entry ``state_dict`` or ``model``.

    Files that do not end in ``.safetensors`` are read as PyTorch's, tensors only: no code in them is run. Prefixes that
    wrappers put before names are taken off. Raises :class:`ParameterError` where the file cannot be read or does not
    fit the model.
    """
    if weights == AS_BUILT:
        return
    if weights.endswith(".safetensors"):
        found = load_tensors(weights)[0]
    else:
        try:
            found = torch.load(weights, map_location="cpu", weights_only=True)
        except Exception as error:  # whatever pickle, zipfile and torch raise for a file that is none of theirs
            reason = " ".join(str(error).split())[:200]
            raise ParameterError(f"weights {weights} cannot be read as PyTorch's tensors ({reason}).") from error
        found = next((found[name] for name in ("state_dict", "model") if name in found), found)
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise ParameterError(f"weights {weights} hold no tensors by name: save model.state_dict().")
    wanted, bare = set(model.state_dict()), {_bare(name): value for name, value in found.items()}
    state = {name: bare[_bare(name)] for name in wanted if _bare(name) in bare}
    missing, more = sorted(wanted - state.keys()), sorted(bare.keys() - set(map(_bare, wanted)))
    if missing or more:
        what = f"lack {missing[0]}" if missing else f"have {more[0]}, which the model lacks"
        raise ParameterError(
            f"weights {weights} do not fit the model: they {what} ({len(missing)} missing, {len(more)} unknown)."
        )
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:300]
        raise ParameterError(f"weights {weights} do not fit the model ({reason}).") from error


def load_recorded(model: nn.Module, record: Record) -> None:
    """Load a record's weights; :class:`RecordError` where they are missing, damaged, or not those of ``model``."""
    try:
        load_weights(model, str(record.file("weights.safetensors")))
    except ChairlibError as error:
        raise RecordError(f"record {record.name} cannot be used: {error}") from error


def _bare(name: str) -> str:
    """A weight's name without what wrappers put before it."""
    prefix = next((prefix for prefix in _PREFIXES if name.startswith(prefix)), None)
    return name if prefix is None else _bare(name.removeprefix(prefix))
