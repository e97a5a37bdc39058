"""Files by the names that tables and annotations give them."""

import os
import unicodedata
from pathlib import Path


def find_file(folder: Path, name: str) -> Path:
    """The file that ``name`` means in ``folder``; ``folder / name`` where there is none.

    Other systems write ``\\`` between folders, and store the accents of a letter with it or after it.
    """
    named = [folder / name]
    for written in (name, name.replace("\\", "/")):
        named += [folder / unicodedata.normalize(form, written) for form in ("NFC", "NFD")]
    return next(filter(os.path.isfile, named), named[0])
