"""torchvision beside any torch, and without the wait for torch's compiler."""

import subprocess
import sys

import pytest

SCRIPT = """
import sys
from chairlib.core.vision import torchvision
assert not [name for name in sys.modules if name.startswith("torch._dynamo")], "the compiler was imported"
import torch
disable = torch.compiler.disable
{use}
assert "torch._dynamo" in sys.modules
import torch._dynamo.utils
assert torch._dynamo.utils.is_compile_supported("cpu") is roi_align.is_compile_supported("cpu")
assert torch.compiler.disable is disable and disable.__module__ == "torch.compiler"
"""
USES = {
    "asked whether it compiles": "roi_align = sys.modules['torchvision.ops.roi_align']; "
    "roi_align.is_compile_supported('cpu')",
    "a decorated function is called": "mask = torchvision.tv_tensors.Mask(torch.ones(1, 2, 2)); "
    "assert torchvision.tv_tensors.wrap(torch.zeros(1, 2, 2), like=mask).sum() == 0; "
    "roi_align = sys.modules['torchvision.ops.roi_align']",
}


@pytest.mark.parametrize("use", USES.values(), ids=USES.keys())
def test_torchs_compiler_is_imported_when_it_is_used_and_not_before(use):
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(use=use)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_another_torchvision_that_wants_more_of_the_compiler_gets_it(tmp_path):
    """A torchvision that imports another name of the compiler's module is given the real module."""
    package = tmp_path / "torchvision"
    (package / "transforms").mkdir(parents=True)
    (package / "__init__.py").write_text("from torch._dynamo.utils import is_compile_supported, counters\n")
    (package / "transforms" / "__init__.py").touch()
    (package / "transforms" / "v2.py").touch()
    script = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from chairlib.core.vision import torchvision\nimport torch._dynamo.utils as real\n"
        "assert torchvision.counters is real.counters"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
