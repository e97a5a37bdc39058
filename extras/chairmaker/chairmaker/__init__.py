"""Rendered chairs and rooms: a collection without photographs, network or licence question, with exact opacity."""

from chairmaker.catalogue import render_chair, render_collection, render_room

__all__ = ["render_chair", "render_collection", "render_room"]
