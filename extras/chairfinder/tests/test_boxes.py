"""The box of an object."""

import numpy as np

from chairfinder.boxes import object_box


def test_the_box_of_the_object():
    opacity = np.zeros((20, 30), np.uint8)
    assert object_box(opacity) == (0, 0, 0, 0)
    opacity[3:9, 5:25] = 103
    opacity[0, 0] = 102
    assert object_box(opacity) == (5, 3, 25, 9)
