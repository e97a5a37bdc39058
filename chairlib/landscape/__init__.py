"""Chapter 07: the space of weights between trained models (section 6; Table 5, Figure 7)."""

from chairlib.core.lazy import lazy_names

__all__ = ["LandscapeSettings", "analyse", "examples", "open_run"]
__getattr__ = lazy_names(
    __name__,
    {
        "LandscapeSettings": "chairlib.landscape.settings",
        **dict.fromkeys(("analyse", "examples", "open_run"), "chairlib.landscape.run"),
    },
)
