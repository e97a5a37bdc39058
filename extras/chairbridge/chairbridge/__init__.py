"""Other people's formats: a collection's composites as files that other libraries read, trained models as ONNX.

The names below are imported on first use: the command line registers this package's commands without loading torch.
"""

from chairlib.core.lazy import lazy_names

_MODULES = {
    "export": "chairbridge.exporting",
    "export_onnx": "chairbridge.onnx_models",
}
__all__ = [*_MODULES]
__getattr__ = lazy_names(__name__, _MODULES)


def __dir__() -> list[str]:
    return __all__
