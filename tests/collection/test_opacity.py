"""The mask rule of 0.4 in levels."""

import numpy as np

from chairlib.collection.opacity import MASK_OPACITY, MASK_THRESHOLD


def test_levels_above_the_limit_are_opacities_above_two_fifths():
    levels = np.arange(256)
    assert ((levels > MASK_OPACITY) == (levels / 255 > MASK_THRESHOLD)).all()
