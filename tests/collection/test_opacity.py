"""The mask rule of 0.4 in levels, and the box of an object."""

import numpy as np

from chairlib.collection.opacity import MASK_OPACITY, MASK_THRESHOLD, object_box


def test_levels_above_the_limit_are_opacities_above_two_fifths():
    levels = np.arange(256)
    assert ((levels > MASK_OPACITY) == (levels / 255 > MASK_THRESHOLD)).all()


def test_the_box_of_the_object():
    opacity = np.zeros((20, 30), np.uint8)
    assert object_box(opacity) == (0, 0, 0, 0)
    opacity[3:9, 5:25] = 103
    opacity[0, 0] = 102
    assert object_box(opacity) == (5, 3, 25, 9)
