"""Trained models as ONNX, checked against PyTorch before the file is put in place."""

import io
import json
import logging
import textwrap
import warnings
from contextlib import redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from chairbridge.libraries import need
from chairlib import __version__
from chairlib.benchmark.comparison import load_model
from chairlib.benchmark.models import evaluation_mode, forward, name_of
from chairlib.compositing.blend import check_resolution
from chairlib.core.errors import ChairlibError, ParameterError
from chairlib.core.files import atomic_path
from chairlib.core.runs import Record

#: The largest difference of logits between ONNX Runtime and PyTorch, as a share of the largest logit.
LARGEST_DIFFERENCE = 1e-3
#: Sizes of the batches on which the two are compared.
_BATCHES = (1, 3)
#: Version of ONNX's operators: read by every ONNX Runtime since 1.14, of 2023.
_OPSET = 18


@dataclass(frozen=True)
class OnnxModel:
    """A model that was written, and how far its logits are from PyTorch's."""

    path: Path
    resolution: int
    difference: float
    """The largest difference of two logits."""
    relative: float
    """The same as a share of the largest logit."""

    def __str__(self) -> str:
        side = self.resolution
        return (
            f"{self.path}: images float32 [B, 3, {side}, {side}] in [0, 1] to logits [B, 1, {side}, {side}]\n"
            f"largest difference of logits from PyTorch's: {self.difference:.2g} ({self.relative:.2g} of the largest)"
        )


def export_onnx(model_or_record: nn.Module | Record, path: str | Path, resolution: int | None = None) -> OnnxModel:
    """Write a model, or that of a finished run, to the new file ``path`` as ONNX.

    model_or_record: a module that maps images [B, 3, d, d], float in [0, 1], to logits [B, 1, d, d]; or a record.
    resolution: the images' height and width d; that of the record by default, 64 for a module. B is free.

    The file takes the input ``images`` and gives the output ``logits``, and has as metadata ``run``, ``model``,
    ``data``, ``data_hash``, ``classes``, ``threshold`` (of logits: a pixel is chair above it), ``input_range``,
    ``resolution`` and ``chairlib``. ONNX Runtime computes random images with it, and the logits are compared.

    Raises :class:`ParameterError` where ``path`` exists, :class:`RecordError` for a record without weights, and
    :class:`ChairlibError` where a library is missing, the model cannot be exported, or a logit differs by more than
    0.001 of the largest. Then no file is left.
    """
    path = Path(path).expanduser()
    if path.exists():
        raise ParameterError(f"{path} exists; name a new file, or remove it first.")
    record: Record | None = None
    if isinstance(model_or_record, Record):
        record = model_or_record
        model = load_model(record)
    elif isinstance(model_or_record, nn.Module):
        model = model_or_record
    else:
        found = type(model_or_record).__name__
        raise ParameterError(f"a model to export is a torch.nn.Module or a run's record; found a {found}.")
    if resolution is None:
        resolution = record.settings.resolution if record else 64
    check_resolution(resolution)
    runtime = need("onnxruntime", "an ONNX model")
    for module in ("onnx", "onnxscript"):
        need(module, "an ONNX model")
    generator = torch.Generator().manual_seed(0)
    batches = [torch.rand(size, 3, resolution, resolution, generator=generator) for size in _BATCHES]
    device = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), torch.device("cpu"))
    with evaluation_mode(model), atomic_path(path) as temporary:
        # The batch's size is free, and torch takes a size of 1 for a constant.
        program = _convert(model, batches[-1].to(device))
        program.model.metadata_props.update(_metadata(model, record, resolution))
        program.save(temporary)
        difference, largest = _compare(runtime, temporary, model, batches, device)
        relative = difference / largest if largest else difference
        if not relative <= LARGEST_DIFFERENCE:  # NaN is not
            raise ChairlibError(
                f"the ONNX model of {name_of(model)} gives other logits than PyTorch: they differ by up to "
                f"{difference:.3g}, {relative:.2g} of the largest, more than {LARGEST_DIFFERENCE}; {path} was not "
                "written."
            )
    return OnnxModel(path, resolution, difference, relative)


def _convert(model: nn.Module, images: torch.Tensor) -> Any:
    disabled = logging.root.manager.disable
    try:
        logging.disable()  # where a model cannot be exported, torch logs and prints pages of code
        with warnings.catch_warnings(), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")  # of torch about itself
            return torch.onnx.export(
                model,
                (images,),
                dynamo=True,
                dynamic_shapes=({0: torch.export.Dim("batch")},),
                input_names=["images"],
                output_names=["logits"],
                opset_version=_OPSET,
                external_data=False,
                verbose=False,
            )
    except Exception as error:  # torch's exporter raises many classes, and pages of text
        reason = textwrap.shorten(str(error.__cause__ or error), 200, placeholder=" ...")
        raise ChairlibError(
            f"{name_of(model)} cannot be exported to ONNX ({type(error).__name__}: {reason}); write it without what "
            "depends on the values of images, or on the size of the batch."
        ) from error
    finally:
        logging.disable(disabled)


def _compare(
    runtime: Any, file: Path, model: nn.Module, batches: list[torch.Tensor], device: torch.device
) -> tuple[float, float]:
    """The largest difference of logits, and the largest of PyTorch's logits."""
    session = runtime.InferenceSession(file.read_bytes(), providers=["CPUExecutionProvider"])
    differences, sizes = [], []
    for images in batches:
        ours = forward(model, images.to(device)).cpu().numpy()
        (theirs,) = session.run(["logits"], {"images": images.numpy()})
        differences.append(np.abs(ours - theirs).max())
        sizes.append(np.abs(ours).max())
    return float(np.max(differences)), float(np.max(sizes))


def _metadata(model: nn.Module, record: Record | None, resolution: int) -> dict[str, str]:
    """What the file says of itself."""
    own = {
        "model": record.settings.model if record else name_of(model),
        "classes": json.dumps(["chair"]),
        "threshold": "0.0",
        "output": "logits; sigmoid gives probabilities, and 0.0 is a probability of 0.5",
        "input_range": "[0, 1]",
        "input_layout": "RGB, [B, 3, height, width], float32",
        "resolution": str(resolution),
        "chairlib": __version__,
    }
    if record:
        data = record.content["data"]
        own |= {"run": record.name, "data": str(data["name"]), "data_hash": str(data["hash"])}
        # What a photo's model marks is a category of its own.
        if category := getattr(record.settings, "category", None):
            own["classes"] = json.dumps([category])
    return own
