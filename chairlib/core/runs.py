"""Runs and their records.

A run trains or analyses something, and leaves a folder ``runs/<name>/`` with ``record.json`` (parameters, metrics,
seconds, images seen, data, code, packages, hardware), ``history.csv`` and tensors as safetensors. ``record.json`` is
written last and atomically: where it is, the run is complete. Its name is made from what the run was asked and the
content of its data, so another question never meets an old answer.

Reports read records and nothing else. :func:`load_records` refuses those made from other data or by other code.
"""

import difflib
import hashlib
import io
import json
import platform
import re
import secrets
import shutil
import subprocess
import time
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Generic, TypeVar

import pandas as pd

from chairlib import __version__
from chairlib.core import code, paths
from chairlib.core.errors import ChairlibError, ParameterError, RecordError, one_line
from chairlib.core.files import atomic_path, check_writable, disk_errors, file_digest, write_json
from chairlib.core.locks import Lock, alone
from chairlib.core.settings import Settings, settings_class

S = TypeVar("S", bound=Settings)

#: Raise when the layout of ``record.json`` changes.
FORMAT = 1
#: What the error about a record of a newer format calls its maker: such a record is not stale.
NEWER = "a newer chairlib"
#: Kinds of runs. Each is the name of the chapter's folder, whose module ``run`` makes them.
KINDS = ("benchmark", "transfer", "landscape")
#: Folders that decide no number: what they hold may change without making a record stale.
DECIDES_NOTHING = ("chairlib.core", "chairlib.show")
#: The seed, where a run computes, and what the hash of its data or its other settings say too.
_NO_CONFIGURATION = ("data", "device", "protocol", "seed")
PACKAGES = ("numpy", "pillow", "safetensors", "torch", "torchvision")


@cache
def code_hash(kind: str) -> str:
    """16 hexadecimal digits over the code that decides the numbers of a run (:mod:`chairlib.core.code`)."""
    return code.code_hash(f"chairlib.{kind}.run", DECIDES_NOTHING)


def commit() -> str | None:
    """The checkout's commit, with a ``+`` where files differ from it; None outside a checkout."""
    checkout = paths.package.parent
    if not (checkout / ".git").exists():  # an installed package may lie inside a repository of something else
        return None
    git = ["git", "-C", str(checkout), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        return subprocess.run(git, capture_output=True, text=True, timeout=10, check=True).stdout.strip() or None
    except (OSError, subprocess.SubprocessError):
        return None


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


@dataclass(frozen=True)
class Record:
    """A finished run, as its ``record.json`` tells it."""

    folder: Path | zipfile.Path
    content: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def kind(self) -> str:
        return self.content["kind"]

    @property
    def settings(self) -> Any:
        """The parameters, as the dataclass of this kind of run. Raises RecordError where they no longer fit it."""
        settings = settings_class(self.kind)
        if settings is None:
            raise RecordError(f"{self.folder} is of the unknown kind {self.kind!r}; delete it.")
        try:
            return settings.of(self.content["parameters"])
        except ParameterError as error:
            raise RecordError(f"{self.folder} cannot be used: {error} Delete it and run it again.") from error

    @property
    def metrics(self) -> dict[str, Any]:
        return self.content["metrics"]

    def history(self) -> pd.DataFrame:
        """The run's ``history.csv``."""
        return self.table("history")

    def table(self, name: str) -> pd.DataFrame:
        """``<name>.csv`` of the run's folder. Raises as :meth:`tensors`."""
        content = self.file(f"{name}.csv").read_bytes()
        with self._damaged(f"{name}.csv"):
            if not content.endswith(b"\n"):
                raise ValueError("its last line has no end")
            return pd.read_csv(io.BytesIO(content))

    def tensors(self, name: str) -> dict[str, Any]:
        """The tensors in a file of the run's folder; :class:`RecordError` where it is missing or damaged."""
        from chairlib.core.tensors import load_tensors  # with PyTorch, which reading a record alone does without

        file = self.file(name)
        with self._damaged(name):
            return load_tensors(file)[0]

    @contextmanager
    def _damaged(self, name: str) -> Iterator[None]:
        try:
            yield
        except (ChairlibError, ValueError) as error:
            reason = one_line(error)
            raise RecordError(
                f"{self.folder / name} is damaged ({reason}); delete {self.folder} and run it again."
            ) from error

    def file(self, name: str) -> Any:
        """The path of a file of the run's folder; :class:`RecordError` where it is missing."""
        path = self.folder / name
        if not path.is_file():
            raise RecordError(f"{path} is missing although the run is recorded; delete {self.folder} and run it again.")
        return path

    def mismatch(self, data_hash: str | None = None) -> str | None:
        """Why a report must not use this record: other data, other code, another format. None where it may."""
        if self.content.get("format") != FORMAT:
            return f"it has format {self.content.get('format')!r}, expected {FORMAT}"
        if self.kind not in KINDS:
            return f"its kind {self.kind!r} is unknown"
        if self.content["code"]["hash"] != code_hash(self.kind):
            return f"it was made by other code ({self.content['code']['hash']}, now {code_hash(self.kind)})"
        if data_hash is not None and self.content["data"]["hash"] != data_hash:
            return f"it was made from other data ({self.content['data']['name']}, {self.content['data']['hash']})"
        for name, weights in self.content.get("made_from", {}).items():
            if weights != weights_hash(name):
                return f"it was made from other weights than those that {name} holds now"
        return None


def weights_hash(name: str) -> str | None:
    """16 hexadecimal digits over the weights of the run of this name; None where it has none."""
    try:
        return file_digest(paths.runs / name / "weights.safetensors").hex()[:16]
    except OSError:
        return None


def _is_record(content: Any) -> bool:
    if not isinstance(content, dict) or not isinstance(content.get("kind"), str):
        return False
    parts = {"data": {"name", "hash"}, "code": {"hash"}, "parameters": set(), "metrics": set()}
    return all(isinstance(content.get(part), dict) and keys <= content[part].keys() for part, keys in parts.items())


def read_record(folder: Path | zipfile.Path) -> Record:
    """The record in a run's folder; :class:`RecordError` where it is missing, damaged, or of a newer format."""
    file = folder / "record.json"
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise RecordError(f"{file} does not exist; make the run first.") from error
    except (OSError, ValueError) as error:
        raise RecordError(f"{file} cannot be read ({error}); delete {folder} and run it again.") from error
    found = content.get("format") if isinstance(content, dict) else None
    if isinstance(found, int) and found > FORMAT:  # so that no run of this version takes its place
        raise RecordError(f"{file} has format {found}, of {NEWER}; this one reads {FORMAT}: update chairlib.")
    if not _is_record(content):
        raise RecordError(f"{file} is not a run record; delete {folder} and run it again.")
    return Record(folder, content)


@dataclass(frozen=True)
class Run(Generic[S]):
    """What was asked for, and the folder of the answer. :attr:`record` tells whether it is there."""

    settings: S
    data: dict[str, str]
    """``name`` and ``hash`` of the data."""
    folder: Path

    @property
    def kind(self) -> str:
        return self.settings.kind

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def checkpoint(self) -> Path:
        # The code's hash is part of the name: a checkpoint of other code is never gone on with.
        return self.folder / f"checkpoint-{code_hash(self.kind)}.safetensors"

    @property
    def record(self) -> Record | None:
        """The finished run; None where it isn't finished, or was made by other code."""
        record = read_record(self.folder) if (self.folder / "record.json").is_file() else None
        return None if record is None or record.mismatch(self.data["hash"]) else record

    def alone(self) -> AbstractContextManager[Lock]:
        """Within it no other process works on this run: it waits, and reads the record once there is one.

        Raises ChairlibError where the run's folder cannot be written, which would else be found out after the work.
        """
        check_writable(self.folder)
        return alone(self.name)

    def write_table(self, name: str, table: pd.DataFrame) -> None:
        """Write ``<name>.csv`` into the run's folder, atomically."""
        with atomic_path(self.folder / f"{name}.csv") as path:
            table.to_csv(path, index=False)

    def finish(
        self, metrics: Mapping[str, Any], *, seconds: float, images_seen: int, hardware: str, **more: Any
    ) -> Record:
        """Write the record, last of all files, and drop the checkpoints, and what killed processes left of files."""
        content = {
            "format": FORMAT,
            "name": self.name,
            "kind": self.kind,
            "parameters": self.settings.to_dict(),
            "data": self.data,
            "code": {"version": __version__, "hash": code_hash(self.kind), "commit": commit()},
            "packages": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
            "hardware": hardware,
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": round(seconds, 2),
            "images_seen": images_seen,
            **more,
            "metrics": dict(metrics),
        }
        write_json(self.folder / "record.json", content)
        for pattern in ("checkpoint-*.safetensors", ".*.tmp"):
            for file in self.folder.glob(pattern):
                file.unlink(missing_ok=True)
        return read_record(self.folder)


def run_name(settings: Settings, data_hash: str, **contents: str | None) -> str:
    """``<kind>-<some of the settings>-<8 digits>``; the digits are a hash of all that makes this run another one."""
    identity = settings.identity()
    whole = {"kind": settings.kind, "data": data_hash, **identity}
    whole |= {name: content for name, content in contents.items() if content}
    forms = {"category": "{}", "model": "{}", "width": "w{}", "resolution": "{}px"}
    forms |= {"pretraining": "{}", "recipe": "{}", "seed": "seed{}"}
    told = {name: str(value).partition(":{")[0] for name, value in identity.items() if value is not None}
    parts = [form.format(told[name]) for name, form in forms.items() if name in told]
    slug = re.sub(r"[^A-Za-z0-9_.]+", "-", "-".join([settings.kind, *parts])).strip("-.")
    return f"{slug}-{hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:8]}"


def open_run(settings: S, data_name: str, data_hash: str, **contents: str | None) -> Run[S]:
    """The run with these settings on this data, done or not.

    ``contents``: what stands behind a setting that only names it, as a hash of the code of a model of one's own.
    """
    folder = paths.runs / run_name(settings, data_hash, **contents)
    return Run(settings, {"name": data_name, "hash": data_hash}, folder)


def record_file(name: str) -> Path:
    """Where the record of a run is, or will be."""
    return paths.runs / name / "record.json"


def finished(kind: str | None = None) -> list[str]:
    """The names of all finished runs of a kind (None: of every kind), usable or not, sorted."""
    found = (file.parent.name for file in paths.runs.glob(f"{kind or '*'}*/record.json"))
    return sorted(name for name in found if name.partition("-")[0] in ((kind,) if kind else KINDS))


def configuration(record: Record) -> str:
    """Runs with the same of this repeat each other with other seeds, and so do the pretrainings they were made from."""
    values = {name: value for name, value in record.content["parameters"].items() if name not in _NO_CONFIGURATION}
    if values.get("pretrained"):
        values["pretrained"] = re.sub(r"-seed\d+-\w+$", "", values["pretrained"])
    code = record.content["code"]["hash"], record.content.get("model_code")
    return json.dumps([record.kind, record.content["data"]["hash"], *code, values])


def find_record(name: str, any_seed: bool = False) -> Record:
    """The record of a finished run by its name, or a beginning of it (the kind may be left out) that no other has.

    ``any_seed``: several runs may have it that differ in nothing but their seed; the newest of them is returned. Raises
    :class:`RecordError`, which names similar or all such runs, unless that is one run.
    """
    known = finished()
    found = [one for one in known if name and (one.startswith(name) or one.partition("-")[2].startswith(name))]
    if name in found or len(found) == 1:
        return read_record(paths.runs / (name if name in found else found[0]))
    if found and any_seed:
        records = [read_record(paths.runs / one) for one in found]
        if len(set(map(configuration, records))) == 1:
            return max(records, key=lambda one: one.content["finished"])
    near = found or difflib.get_close_matches(name, known, n=3, cutoff=0.5) or ["none"]
    shown = ", ".join(near[:4]) + (f" and {len(near) - 4} more" if len(near) > 4 else "")
    what = f"{len(found)} runs have names that begin with" if found else "no finished run is called"
    raise RecordError(f"{what} {name!r} (similar: {shown}); `chairlib runs list` lists all.")


def readable_records(kind: str | None = None) -> list[Record]:
    """The records of :func:`finished` runs, usable or not, without those that cannot be read."""
    found = []
    for name in finished(kind):
        with suppress(RecordError):
            found.append(read_record(paths.runs / name))
    return found


def remove_run(name: str) -> None:
    """Delete a run. Killed at any moment, it leaves the whole run, or a hidden folder that nothing takes for a run."""
    folder = paths.runs / name
    with disk_errors(folder):
        folder.rename(folder.with_name(f".{name}.{secrets.token_hex(4)}.tmp"))
    for hidden in paths.runs.glob(".*.tmp"):  # those of earlier, killed calls too
        shutil.rmtree(hidden, ignore_errors=True)


def load_records(kind: str, data_hash: str | None, names: list[str] | None = None) -> tuple[list[Record], list[str]]:
    """The finished runs of ``kind`` on this data, sorted by name, and why others were left out: ``(records, reasons)``.

    ``data_hash``: None for any data. With ``names``, exactly those; :class:`RecordError` where one is missing, damaged
    or doesn't match the data or the code.
    """
    records, reasons = [], []
    for name in names or finished(kind):
        try:
            record = read_record(paths.runs / name)
            reason = record.mismatch(data_hash)
        except RecordError as error:
            if names:
                raise
            reason = str(error)
        if reason and names:
            raise RecordError(f"record {name} is refused: {reason}; run it again.")
        if reason:
            reasons.append(f"{name}: {reason}")
        else:
            records.append(record)
    return records, reasons


def reference_records(kind: str) -> list[Record]:
    """The runs of ``kind`` in the newest archive ``assets/reference/<profile>-<date>.zip``; none where none ships.

    They have neither weights nor images, and are read whatever the code is now; the entry ``reference`` says what they
    are. ``benchmarks/pack_reference.py`` makes such an archive.
    """
    archives = sorted((paths.assets / "reference").glob("*.zip"), key=lambda file: file.stem[-10:])
    records = [read_record(folder) for file in archives[-1:] for folder in zipfile.Path(file).iterdir()]
    return [record for record in records if record.kind == kind]
