"""Chapter 07: the space of weights between trained models (section 6; Table 5, Figure 7)."""

from chairlib.landscape.run import analyse, examples, open_run

__all__ = ["analyse", "examples", "open_run"]
