"""A rendered stand-in for the Object Discovery data set: airplanes, cars and horses out of doors, with exact masks."""

from chairmaker.stand_in.dataset import render_stand_in, render_subject
from chairmaker.stand_in.scenes import CATEGORIES

__all__ = ["CATEGORIES", "render_stand_in", "render_subject"]
