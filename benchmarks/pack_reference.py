"""Pack the records of finished runs into one small archive that ships with the library: a reference build.

For each run it holds the record and the tables, and neither weights nor images. Numbers in tables are rounded to five
digits, and folders are named without the path to them. The same records give the same bytes. Reports show the newest
archive in `chairlib/assets/reference` below the build's own tables.

    python benchmarks/pack_reference.py [--profile evening] [--data mini] [--photos stand-in] [--coco FOLDER] \
        [--out FILE] [--all] [--note TEXT]

The runs are those that the reports of the profile show, with `--all` every finished run in the folder of runs. Without
`--out`, the archive is `chairlib/assets/reference/<profile>-<date>.zip`, with the date of the newest record. A note
says what the records do not, in the sentence that the reports print.
"""

import argparse
import json
import re
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chairlib.build.plan import Plan
from chairlib.core import paths
from chairlib.core.errors import RecordError
from chairlib.core.files import atomic_path
from chairlib.core.runs import KINDS, Record, load_records
from chairlib.transfer.settings import STAND_IN

#: A whole cell of a table that is a number with decimals.
_NUMBER = re.compile(r"(?<![^,\n])-?\d+\.\d+(?:e[+-]?\d+)?(?![^,\r\n])")


def rounded(table: str) -> str:
    """The text of a CSV file with numbers that have decimals rounded to five digits; other cells stay as they are."""
    return _NUMBER.sub(lambda number: min(number[0], f"{float(number[0]):.5g}", key=len), table)


def finished_runs(arguments: argparse.Namespace) -> list[Record]:
    """The records of every finished run, or of the runs that the profile's reports show; all of them must be there."""
    names: dict[str, list[str] | None] = dict.fromkeys(KINDS)
    if not arguments.all:
        plan = Plan(arguments.profile, arguments.data, photos=arguments.photos, coco=arguments.coco)
        shown = [*plan.benchmark_runs, *plan.transfer_runs, *plan.landscape_runs]
        names = {kind: [run.name for run in shown if run.kind == kind] for kind in KINDS}
    records = []
    for kind, chosen in names.items():
        found, left_out = load_records(kind, None, chosen) if chosen != [] else ([], [])
        records += found
        print(*(f"left out: {reason}" for reason in left_out), sep="\n", end="\n" if left_out else "")
    if not records:
        raise RecordError(f"there is no finished run in {paths.runs}; make paper PROFILE={arguments.profile} first.")
    return sorted(records, key=lambda record: record.name)


def describe(records: Sequence[Record], profile: str) -> str:
    """When, by which code, on what and from which data the records were made, in a sentence."""
    contents = [record.content for record in records]
    facts = [(one["code"].get("commit") or "unknown", one["hardware"], one["data"]["name"]) for one in contents]
    commits, hardware, data = (", ".join(sorted(set(values))) for values in zip(*facts, strict=True))
    return f"Made on {date(records)} at commit {commits} on {hardware}; profile {profile}; data: {data}."


def date(records: Sequence[Record]) -> str:
    """The day on which the last run ended."""
    return max(record.content["finished"] for record in records)[:10]


def shipped(record: Record, sentence: str) -> dict[str, Any]:
    """A record's content as it ships: with the sentence about the build, and names in place of paths."""
    parameters = record.content["parameters"]
    named = {name: Path(parameters[name]).name for name in ("data", "photos") if name in parameters}
    return {**record.content, "parameters": {**parameters, **named}, "reference": sentence}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--profile", default="evening")
    parser.add_argument("--data", default="mini")
    parser.add_argument("--photos", default=STAND_IN)
    parser.add_argument("--coco")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()

    records = finished_runs(arguments)
    profile = Path(arguments.profile).stem
    sentence = f"{describe(records, profile)} {arguments.note}".strip()
    out = arguments.out or paths.assets / "reference" / f"{profile}-{date(records)}.zip"
    with atomic_path(out) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for record in records:
            texts = {"record.json": json.dumps(shipped(record, sentence), sort_keys=True)}
            texts |= {path.name: rounded(path.read_text()) for path in sorted(Path(record.folder).glob("*.csv"))}
            for name, text in texts.items():
                # An entry made by hand has a fixed time, and says itself how it is compressed.
                entry = zipfile.ZipInfo(f"{record.name}/{name}")
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, text)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB, {len(records)} runs. {sentence}")


if __name__ == "__main__":
    main()
