"""What a licence, as a provider or a manifest states it, says about an image: whether it is one, and whether it allows changes.

A composite changes the image, and most of the images that carry a "no derivatives" licence may be copied but not that. Names are
those of Creative Commons, whose addresses hold them: ``https://creativecommons.org/licenses/by-sa/4.0/`` is ``CC BY-SA 4.0``.
"""

import re

__all__ = ["forbids_changes", "is_stated", "licence_at"]

_DEED = re.compile(
    r"(?:https?:)?//(?:www\.)?creativecommons\.org/"
    r"(?:licenses/(?P<code>[a-z+-]+)/(?P<version>\d\.\d)|(?:licenses/)?publicdomain(?:/(?P<tool>zero|mark))?)(?:/|$)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:see\s+)?(?:https?:)?//", re.IGNORECASE)
#: ``nd`` as a word, and where the parts of a licence's name are written as one word (``CCBYNCND``).
_NO_CHANGES = re.compile(r"(?:^|-)(?:cc)?(?:by)?(?:nc)?nd(?:nc)?(?:-|\d|$)|no-?deriv|no-?modif")


def licence_at(address: str) -> str:
    """The name of the licence whose terms are at ``address``; empty for an address that is not one of Creative Commons' deeds.

    >>> licence_at("https://creativecommons.org/licenses/by-sa/4.0/deed.en")
    'CC BY-SA 4.0'
    """
    found = _DEED.match(address.strip())
    if found is None:
        return ""
    if found["code"]:
        return f"CC {found['code'].upper()} {found['version']}"
    return "CC0" if (found["tool"] or "").lower() == "zero" else "PDM"


def is_stated(licence: str, licence_url: str = "") -> bool:
    """Whether a licence is stated: by a name, or by the address of one that is known. Any other address says nothing."""
    named = bool(licence.strip()) and _ADDRESS.match(licence.strip()) is None
    return named or any(licence_at(re.sub(r"^see\s+", "", text.strip())) for text in (licence, licence_url))


def forbids_changes(licence: str, licence_url: str = "") -> bool:
    """Whether the licence, by its name or its address, allows copies only (CC BY-ND, CC BY-NC-ND, "no derivatives")."""
    names = (licence, licence_at(licence), licence_at(licence_url))
    return any(_NO_CHANGES.search(re.sub(r"[^a-z0-9]+", "-", name.lower())) for name in names)
