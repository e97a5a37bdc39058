"""Reads licences as providers and manifests state them: whether there is one, and whether it allows changes.

A composite changes the image, and most of the images that carry a "no derivatives" licence may be copied but not that.
Names are those of Creative Commons, whose addresses hold them: ``https://creativecommons.org/licenses/by-sa/4.0/`` is
``CC BY-SA 4.0``.
"""

import re

_DEED = re.compile(
    r"(?:https?:)?//(?:www\.)?creativecommons\.org/"
    r"(?:licenses/(?P<code>[a-z+-]+)/(?P<version>\d\.\d)|(?:licenses/)?publicdomain(?:/(?P<tool>zero|mark))?)(?:/|$)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"(?:see\s+)?(?:https?:)?//", re.IGNORECASE)
#: ``nd`` as a word, and where the parts of a licence's name are written as one word (``CCBYNCND``).
_NO_CHANGES = re.compile(r"(?:^|-)(?:cc)?(?:by)?(?:nc)?nd(?:nc)?(?:-|\d|$)|no-?deriv|no-?modif")

#: What stands in a licence's place and is none: nothing known, no permission, or one that changing and publishing goes
#: beyond.
_NONE_AT_ALL = re.compile(
    r"(?:unknown|undefined|unspecified|unlicen[sc]ed|none|null|nil|nan|n a|na|tbd|no|yes|other|copyright(?:ed)?"
    r"|licen[sc]e)"
    r"|(?:no|without|unknown) (?:known )?(?:licen[sc]e|copyright information)"
    r"|(?:licen[sc]e )?(?:unknown|not (?:known|stated|specified|available|applicable))"
)
_RESERVED = re.compile(
    r"\b(?:all rights? (?:are )?reserved|fair (?:use|dealing)|editorial (?:use|purposes?)|non free)\b"
)
_NOTICE = re.compile(r"(?:©|\(c\)|copyright\b)", re.IGNORECASE)
#: A notice of who owns it names a licence only where one of these words follows.
_GRANTED = re.compile(
    r"\b(?:licen[sc]ed?|cc|cc0|creative commons|public domain|free|attribution|permi(?:ts?|tted|ssion)|gfdl)\b"
)


def licence_at(address: str) -> str:
    """The name of the licence whose terms are at ``address``; empty unless that is a deed of Creative Commons.

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
    """Whether a licence is stated: by a name, or by the address of one that is known. Any other address says nothing.

    "All rights reserved", "unknown", "n/a", "fair use", "© A. Person" and the like are no names of licences.
    """
    return _is_named(licence.strip()) or any(
        licence_at(re.sub(r"^see\s+", "", text.strip())) for text in (licence, licence_url)
    )


def _is_named(licence: str) -> bool:
    words = " ".join(re.findall(r"[^\W_]+", licence.lower()))
    if not any(sign.isalpha() for sign in words) or _ADDRESS.match(licence):
        return False
    if _NONE_AT_ALL.fullmatch(re.sub(r"(?: \d+)+$", "", words)) or _RESERVED.search(words):
        return False
    return not _NOTICE.match(licence) or _GRANTED.search(words) is not None


def forbids_changes(licence: str, licence_url: str = "") -> bool:
    """Whether the licence, by its name or its address, allows copies only (CC BY-ND, CC BY-NC-ND, "no derivatives")."""
    names = (licence, licence_at(licence), licence_at(licence_url))
    return any(_NO_CHANGES.search(re.sub(r"[^a-z0-9]+", "-", name.lower())) for name in names)
