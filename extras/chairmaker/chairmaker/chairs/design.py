"""What a chair family is: a dataclass of dimensions that draws itself at random and builds its parts.

To add a family, copy one of the modules beside this one. The class needs fields, a ``draw`` that fills them, ``slots``
with the materials that each part may be made of, and ``parts``. ``@family("name")`` registers it, and ``__init__`` must
import its module.

A *design* is a family with one value for each field. All images of a design share a group, whatever their materials,
camera and light; images of two designs never do.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import astuple, replace
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from chairlib.core.errors import ParameterError
from chairmaker.materials import Material, Part

Finish = Mapping[str, Material]
#: For each slot, the materials it may be made of, with weights.
Slots = Mapping[str, Mapping[str, float]]
#: Dimensions that a reader may change: field, lowest and highest value. "seat.width" is the width of the field
#: ``seat``.
Turns = tuple[tuple[str, float, float], ...]


class Design(Protocol):
    """One chair's dimensions (metres, degrees).

    A family that shows little of itself from behind may set ``behind``: how many of about 100 pictures show its back.
    """

    #: For each slot, the materials it may be made of, with weights.
    slots: ClassVar[Slots]
    #: The share of the image that its larger extent fills, on average: bulky chairs get wider margins.
    fill: ClassVar[float]
    #: Dimensions that a reader may change, a height first. Any value between the two limits gives a sound chair.
    turns: ClassVar[Turns]

    def parts(self, finish: Finish) -> list[Part]:
        """The chair, standing on z = 0 and facing -y, with a material for every slot."""
        ...


FAMILIES: dict[str, Callable[[np.random.Generator], Design]] = {}
Class = TypeVar("Class")


def family(name: str) -> Callable[[Class], Class]:
    """Register a design class under ``name``. Raises ParameterError where another class has that name."""

    def register(cls: Class) -> Class:
        taken = getattr(FAMILIES.get(name), "__self__", None)
        own_name = cls.__qualname__  # type: ignore[attr-defined]
        # A module that is reloaded registers its class again: that is allowed.
        if taken is not None and (taken.__module__, taken.__qualname__) != (cls.__module__, own_name):
            raise ParameterError(
                f"family {name!r} is {taken.__module__}.{taken.__qualname__}: give {own_name} a name of its own."
            )
        FAMILIES[name] = cls.draw  # type: ignore[attr-defined]
        return cls

    return register


def draw_design(rng: np.random.Generator, name: str) -> Design:
    """A random design of the family ``name``."""
    return FAMILIES[name](rng)


def with_dimension(design: Design, field: str, value: float) -> Design:
    """The design with another value of one of its ``turns``."""
    outer, _, inner = field.partition(".")
    changed = with_dimension(getattr(design, outer), inner, value) if inner else value
    return replace(design, **{outer: changed})  # type: ignore[type-var]


def design_group(name: str, design: Design) -> str:
    """The group of all images of a design: its family and a digest of its dimensions."""
    digest = hashlib.sha256(repr((name, astuple(design))).encode()).hexdigest()  # type: ignore[call-overload]
    return f"segment:{name}-{digest[:12]}"
