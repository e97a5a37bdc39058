"""Chair families, in the order in which a collection goes through them."""

from chairmaker.chairs.design import (
    FAMILIES,
    Design,
    design_group,
    draw_design,
    family,
    with_dimension,
)

# Each import registers families. Their order decides which design a number draws, so it is fixed here.
from chairmaker.chairs.dining import DiningChair  # isort: skip
from chairmaker.chairs.armchair import Armchair  # isort: skip
from chairmaker.chairs.office import OfficeChair  # isort: skip
from chairmaker.chairs.shell import ShellChair  # isort: skip
from chairmaker.chairs.wingback import Wingback  # isort: skip
from chairmaker.chairs.bar_stool import BarStool  # isort: skip
from chairmaker.chairs.lounge import LoungeChair  # isort: skip
from chairmaker.chairs.rocking import RockingChair  # isort: skip
from chairmaker.chairs.folding import FoldingChair  # isort: skip
from chairmaker.chairs.gaming import GamingChair  # isort: skip
from chairmaker.chairs.cantilever import CantileverChair  # isort: skip
from chairmaker.chairs.directors import DirectorsChair  # isort: skip
from chairmaker.chairs.recliner import Recliner  # isort: skip
from chairmaker.chairs.egg import Egg  # isort: skip

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
