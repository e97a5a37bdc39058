"""Chair families, in the order in which a collection goes through them."""

from chairlib.collection.procedural.chairs.design import (
    FAMILIES,
    Design,
    design_group,
    draw_design,
    family,
    with_dimension,
)

# Each import registers families. Their order decides which design a number draws, so it is fixed here.
from chairlib.collection.procedural.chairs.dining import DiningChair  # isort: skip
from chairlib.collection.procedural.chairs.armchair import Armchair  # isort: skip
from chairlib.collection.procedural.chairs.office import OfficeChair  # isort: skip
from chairlib.collection.procedural.chairs.shell import ShellChair  # isort: skip
from chairlib.collection.procedural.chairs.wingback import Wingback  # isort: skip
from chairlib.collection.procedural.chairs.bar_stool import BarStool  # isort: skip
from chairlib.collection.procedural.chairs.lounge import LoungeChair  # isort: skip
from chairlib.collection.procedural.chairs.rocking import RockingChair  # isort: skip
from chairlib.collection.procedural.chairs.folding import FoldingChair  # isort: skip
from chairlib.collection.procedural.chairs.gaming import GamingChair  # isort: skip
from chairlib.collection.procedural.chairs.cantilever import CantileverChair  # isort: skip
from chairlib.collection.procedural.chairs.directors import DirectorsChair  # isort: skip
from chairlib.collection.procedural.chairs.recliner import Recliner  # isort: skip
from chairlib.collection.procedural.chairs.egg import Egg  # isort: skip

__all__ = [
    "FAMILIES",
    "Armchair",
    "BarStool",
    "CantileverChair",
    "Design",
    "DiningChair",
    "DirectorsChair",
    "Egg",
    "FoldingChair",
    "GamingChair",
    "LoungeChair",
    "OfficeChair",
    "Recliner",
    "RockingChair",
    "ShellChair",
    "Wingback",
    "design_group",
    "draw_design",
    "family",
    "with_dimension",
]
