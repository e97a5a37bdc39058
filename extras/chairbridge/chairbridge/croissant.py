"""``croissant.json``: the files and tables of an export in Croissant 1.0, the format of MLCommons for data sets.

Record sets: ``splits``; ``composites``, the table of contents; ``images`` and ``masks``, a record for each file, which
the first two columns of ``composites`` name. The SHA-256 of all tables is here, and that of every image in them.

The vocabulary: https://docs.mlcommons.org/croissant/docs/croissant-spec.html
"""

import hashlib
import time
from pathlib import Path
from typing import Any

import pandas as pd

from chairbridge.card import PAPER, description, licence_ids
from chairbridge.composites import Composites
from chairlib import __version__
from chairlib.core.files import write_json

CROISSANT = "croissant.json"
#: The specification's own table of short names.
_CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    **{
        name: f"cr:{name}"
        for name in (
            "citeAs", "column", "equivalentProperty", "extract", "field", "fileProperty", "fileObject", "fileSet",
            "format", "includes", "isLiveDataset", "jsonPath", "key", "md5", "parentField", "path", "recordSet",
            "references", "regex", "repeated", "replace", "samplingRate", "separator", "source", "subField",
            "transform",
        )
    },
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "sc": "https://schema.org/",
}  # fmt: skip
#: Where the texts of Creative Commons' licences are.
_DEEDS = "https://creativecommons.org/"


def write_croissant(folder: Path, composites: Composites, table: pd.DataFrame, tables: list[str]) -> None:
    """Write ``croissant.json`` into ``folder``, over ``composites.csv`` and further ``tables``, which are there."""
    distribution = [_file_object(folder, "composites.csv", "text/csv")]
    distribution += [_file_object(folder, name, "application/jsonlines") for name in tables]
    distribution += [
        {
            "@type": "cr:FileSet",
            "@id": f"{kind}-files",
            "name": f"{kind}-files",
            "description": f"The {kind} of all splits.",
            "encodingFormat": "image/png",
            "includes": [f"{split}/{kind}/*.png" for split in composites.counts],
        }
        for kind in ("images", "masks")
    ]
    content = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "name": f"chair-segments-{composites.collection.name}-{composites.options.resolution}px",
        "description": description(composites),
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "citeAs": PAPER,
        "license": [_licence_address(name) for name in licence_ids(composites)],
        "url": "https://arxiv.org/abs/2012.01250",
        "version": f"{__version__}+{composites.collection.hash}",
        "datePublished": time.strftime("%Y-%m-%d", time.gmtime()),
        "creator": {"@type": "sc:Organization", "name": "whoever made the collection: see composites.csv"},
        "isLiveDataset": False,
        "distribution": distribution,
        "recordSet": [
            _splits(composites),
            _contents(table),
            *(_pictures(kind) for kind in ("images", "masks")),
        ],
    }
    write_json(folder / CROISSANT, content)


def _licence_address(identity: str) -> str:
    """The address of a Creative Commons licence's text; other licences by their names."""
    if identity == "cc0-1.0":
        return f"{_DEEDS}publicdomain/zero/1.0/"
    code, _, version = identity.removeprefix("cc-").rpartition("-")
    return f"{_DEEDS}licenses/{code}/{version}/" if identity.startswith("cc-") else identity


def _file_object(folder: Path, name: str, encoding: str) -> dict[str, Any]:
    data = (folder / name).read_bytes()
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "contentSize": f"{len(data)} B",
        "encodingFormat": encoding,
        "sha256": hashlib.sha256(data).hexdigest(),
    }


def _splits(composites: Composites) -> dict[str, Any]:
    names = {"train": "TrainingSplit", "val": "ValidationSplit", "test": "TestSplit"}
    fields = (("name", "sc:Text"), ("url", "sc:URL"))
    return {
        "@type": "cr:RecordSet",
        "@id": "splits",
        "name": "splits",
        "dataType": "cr:Split",
        "key": {"@id": "splits/name"},
        "field": [
            {"@type": "cr:Field", "@id": f"splits/{name}", "name": name, "dataType": kind} for name, kind in fields
        ],
        "data": [
            {"splits/name": split, "splits/url": f"http://mlcommons.org/croissant/{names[split]}"}
            for split in composites.counts
        ],
    }


def _contents(table: pd.DataFrame) -> dict[str, Any]:
    """The table of contents. Its split and files are keys of the other record sets."""
    references = {"split": "splits/name", "file": "images/path", "mask_file": "masks/path"}
    fields = []
    for name in table.columns:
        is_number = pd.api.types.is_numeric_dtype(table[name])
        own: dict[str, Any] = {
            "@type": "cr:Field",
            "@id": f"composites/{name}",
            "name": name,
            "dataType": "sc:Float" if is_number else "sc:Text",
            "source": {"fileObject": {"@id": "composites.csv"}, "extract": {"column": name}},
        }
        if name in references:
            own["references"] = {"field": {"@id": references[name]}}
        fields.append(own)
    return {
        "@type": "cr:RecordSet",
        "@id": "composites",
        "name": "composites",
        "description": "What each composite is made of, and whose that is.",
        "key": {"@id": "composites/file"},
        "field": fields,
    }


def _pictures(kind: str) -> dict[str, Any]:
    of = {"fileSet": {"@id": f"{kind}-files"}}
    return {
        "@type": "cr:RecordSet",
        "@id": kind,
        "name": kind,
        "key": {"@id": f"{kind}/path"},
        "field": [
            {
                "@type": "cr:Field",
                "@id": f"{kind}/{name}",
                "name": name,
                "dataType": data_type,
                "source": {**of, "extract": {"fileProperty": extract}},
            }
            for name, data_type, extract in (
                ("path", "sc:Text", "fullpath"),
                ("content", "sc:ImageObject", "content"),
            )
        ],
    }
