"""The leaderboard: models on a protocol, each in a JSON file that anybody can check.

A row holds what its scores follow from: for each seed and test image how many pixels were predicted as chair, are
chair, and are both, and the image's group. :func:`verify` computes every mean and interval from these again. With the
model's weights it also scores the model, and compares image by image.
"""

import json
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import combinations
from pathlib import Path
from types import NoneType
from typing import Any

import numpy as np
import pandas as pd

from chairboard.scores import flat_scores, score_counts
from chairlib.benchmark.evaluation import evaluate
from chairlib.benchmark.metrics import METRICS, none_if_nan
from chairlib.benchmark.models import MODELS, model_code_hash, model_of
from chairlib.benchmark.protocols import Protocol, data_identity, differing_terms, get_protocol
from chairlib.benchmark.recipes import recipe_of
from chairlib.benchmark.run import open_run
from chairlib.benchmark.settings import BenchmarkSettings
from chairlib.benchmark.weights import AS_BUILT, load_weights, weights_digest
from chairlib.compositing.loader import CompositeLoader, foreground_shares
from chairlib.core import paths
from chairlib.core.checks import is_whole
from chairlib.core.devices import describe_hardware
from chairlib.core.errors import ParameterError, RecordError
from chairlib.core.files import write_json
from chairlib.core.published import MODEL_TITLES
from chairlib.core.runs import Record, code_hash, find_record, weights_hash

#: Raise when the layout of a row changes.
SCHEMA = 1
#: Follows the protocol's name where a model was trained elsewhere, and is only scored.
SCORED = "-scored"
#: Other hardware rounds differently. An image agrees where no count is off by more than this share of its pixels; a
#: seed where at most this share of its images do not, and no score is off by more points. Chosen by
#: hand, well above what products rounded to TF32 changed in a toy model's counts, emulated on a CPU.
_PIXELS_OFF, _IMAGES_OFF, _POINTS_OFF = 0.002, 0.01, 0.05
#: Settings that a row does not repeat: other entries hold them, or they decide nothing.
_LEFT_OUT = {"data", "device", "protocol", "seed"}
_FIELDS: dict[str, Any] = {
    **dict.fromkeys(("protocol", "title", "machine", "date"), str),
    **dict.fromkeys(("author", "link", "model_code"), (str, NoneType)),
    **dict.fromkeys(("seeds", "sweep", "runs", "weights", "notes"), list),
    **dict.fromkeys(("settings", "recipe", "scores", "images", "cost", "packages", "data", "code"), dict),
    "schema": int,
}
#: Entries that older rows lack.
_OPTIONAL: dict[str, Any] = {"half_images": int}
#: What an entry of ``cost`` and one of ``sweep`` cannot lack.
_SPENT = ("images", "seconds")
_TRIED = (*_SPENT, "learning_rate", "chosen")


@dataclass(frozen=True)
class Row:
    """A row of the leaderboard, as its file tells it."""

    file: Path
    content: dict[str, Any] = field(repr=False)

    @property
    def seeds(self) -> list[int]:
        return self.content["seeds"]

    @property
    def protocol(self) -> str:
        """The name of its protocol, whether it was trained by that or only scored."""
        return self.content["protocol"].removesuffix(SCORED)

    @property
    def facts(self) -> dict[str, str]:
        """Who made it, when, and by what: texts, empty where nothing is known."""
        one = self.content
        who = {"author": one["author"] or "", "link": one["link"] or ""}
        return {**who, "date": one["date"], "machine": one["machine"], "commit": f"commit {one['code'].get('commit')}"}

    @property
    def notes(self) -> list[str]:
        """What there is to know about how it was made, a sentence each."""
        one = self.content
        halves = one["recipe"].get("half_until") and one["settings"].get("weights") is None
        full = ["It takes no images of half the size, and was trained on all at full size."]
        return [*(full if halves and one.get("half_images") == 0 else []), *one["notes"]]

    @cached_property
    def counts(self) -> list[pd.DataFrame]:
        """For each seed a table with a row for each test image: intersection, predicted, target, pixels and group."""
        images, labels = self.content["images"], self.content["images"]["groups"]
        same = {"target": _numbers(images["target"]), "pixels": images["pixels"]}
        same["group"] = [labels[number] for number in _numbers(images["group"])]
        by_seed = zip(images["intersection"], images["predicted"], strict=True)
        return [pd.DataFrame({"intersection": _numbers(a), "predicted": _numbers(b), **same}) for a, b in by_seed]


def _numbers(text: str) -> list[int]:
    return [int(number) for number in text.split()]


def _text(numbers: Any) -> str:
    """Whole numbers on one line: short, and yet a person can compare two versions of a row."""
    return " ".join(map(str, numbers))


def rows(folder: Path | str | None = None) -> list[Row]:
    """All rows below ``folder``, by default ``leaderboard`` in the checkout; none where there is no such folder."""
    return [read_row(file) for file in sorted(Path(folder or paths.board).rglob("*.json"))]


def read_row(file: Path | str) -> Row:
    """The row in a file. Raises RecordError, one line, where it is damaged, no row, or of a newer version."""
    file = Path(file)
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        if is_whole(schema := content.get("schema")) and schema > SCHEMA:
            raise RecordError(f"{file} has version {schema}, but {SCHEMA} is the newest known here: update chairlib.")
        fields = _FIELDS | {name: kind for name, kind in _OPTIONAL.items() if name in content}
        wrong = [name for name, kind in fields.items() if not isinstance(content.get(name, ...), kind)]
        if wrong := [*wrong, *sorted(content.keys() - fields.keys())]:
            raise ValueError(f"unknown, missing or of another type: {', '.join(wrong)}")
        row = Row(file, content)
        n_seeds = {
            len(row.seeds),
            len(row.counts),
            len(content["weights"]),
            flat_scores(content["scores"]).shape[1] - 3,
        }
        if len(n_seeds) > 1 or 0 in n_seeds:
            raise ValueError(f"entries of {' and '.join(map(str, sorted(n_seeds)))} seeds")
        for spent, needed in ((content["cost"], _SPENT), *((one, _TRIED) for one in content["sweep"])):
            for name, value in {**dict.fromkeys(needed), **spent}.items():
                if not (name not in needed if value is None else 0 <= value < np.inf):
                    raise ValueError(f"{name} is {value}, but must be a number of at least 0")
        for seed, counts in zip(row.seeds, row.counts, strict=True):
            both, masks = counts["intersection"], counts[["predicted", "target"]]
            possible = (both >= 0) & (both <= masks.min(axis=1)) & (masks.max(axis=1) <= counts["pixels"])
            if not possible.all():
                raise ValueError(f"seed {seed}, image {possible.idxmin()}: counts that no two masks have")
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        reason = " ".join(str(error).split())
        raise RecordError(f"{file} is no row of a leaderboard ({reason}); `chairlib submit RUN` writes one.") from error
    return row


def submit(
    runs: str | Sequence[str], folder: Path | str | None = None, *, title: str = "", by: str = "", link: str = ""
) -> Path:
    """Write the row of a model, ``folder/<protocol>/<title>.json``, and give its path; in ``leaderboard`` by default.

    ``runs``: the name of one run; those of the protocol's other seeds are found by their settings. Of a model that was
    trained elsewhere, the names of all runs that count. ``title``, ``by``, ``link``: what the table calls the model,
    who made it, and where it is described.

    Raises :class:`ParameterError` for a run that follows no protocol, :class:`RecordError` for one that is stale, for
    seeds that are missing, and for a learning rate that validation did not choose.
    """
    names = [runs] if isinstance(runs, str) else list(runs)
    records = [_usable(name) for name in names]
    settings: BenchmarkSettings = records[0].settings
    scored = settings.weights is not None
    if len({_alike(record) for record in records}) > 1:
        raise ParameterError(f"runs {', '.join(names)} are not of one model on the same terms: submit each by itself.")
    protocol = get_protocol(f"{settings.resolution}-v1", settings.data)
    if terms := differing_terms(settings, protocol):
        told = ", ".join(f"{name} {value!r} instead of {_term(protocol, name)}" for name, value in terms.items())
        raise ParameterError(f"run {names[0]} does not follow the protocol {protocol.name}: {told}.")
    if not scored:
        records = _finished(settings, protocol, "seed", protocol.seeds)
    content = _content(records, [] if scored else _sweep(settings, protocol))
    width = "" if settings.width is None else f", width {settings.width}"
    name = MODEL_TITLES.get(settings.model, settings.model) + width
    title = title or records[0].content.get("title") or name
    place = Path(folder or paths.board) / (protocol.name + SCORED * scored)
    file = place / f"{re.sub('[^a-z0-9]+', '-', title.lower()).strip('-')}.json"
    if file.exists() and read_row(file).content["settings"] != content["settings"]:
        raise ParameterError(f"{file} is the row of a model with other settings: give this one another title.")
    about = {"schema": SCHEMA, "protocol": place.name, "title": title, "author": by or None, "link": link or None}
    _check_seeds(Row(file, {**about, **content}))
    write_json(file, {**about, **content})
    return file


def _usable(name: str) -> Record:
    """The record of a run of the benchmark, made by the code and of the data that are here now."""
    record = find_record(name, any_seed=True)
    if record.kind != BenchmarkSettings.kind:
        raise ParameterError(f"run {name} is of the kind {record.kind}: the leaderboard is of benchmark runs.")
    settings = record.settings
    reason = record.mismatch(data_identity(settings.data, settings.resolution)[1])
    named = ":" in settings.model or settings.model in MODELS  # else it was given as an object
    # A run's name holds a hash of the model's code and of the weights.
    if reason or (named and open_run(settings).name != record.name):
        raise RecordError(f"run {name} is stale: {reason or 'its model or weights are others now'}; run it again.")
    return record


def _alike(record: Record) -> str:
    """What a row's runs have in common: all but the seed, and which weights were trained elsewhere."""
    scored = record.settings.weights is not None
    return str([record.content["data"], {**record.settings.identity(), "seed": None, "weights": scored}])


def _term(protocol: Protocol, name: str) -> Any:
    return protocol.parameters().get(name, f"one of {protocol.learning_rates}")


def _finished(settings: BenchmarkSettings, protocol: Protocol, name: str, values: Sequence[Any]) -> list[Record]:
    """The records of runs that differ in one parameter only; RecordError says how to make those that are missing."""
    runs = [open_run(settings, **{name: value}) for value in values]
    if lacking := [str(value) for run, value in zip(runs, values, strict=True) if run.record is None]:
        default, said = BenchmarkSettings().to_dict(), {"device", "seed", "protocol", "model", *protocol.parameters()}
        said |= {"learning_rate", "swept"} if name == "learning_rate" else set()  # a sweep chooses it
        own = {key: value for key, value in settings.to_dict().items() if key not in said and value != default[key]}
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in own.items()}
        texts = {"protocol": protocol.name, "model": settings.model, **texts}
        options = [f"--{key.replace('_', '-')} {shlex.quote(text)}" for key, text in texts.items()]
        command = " ".join(["chairlib benchmark", *options, *(["--sweep"] if name == "learning_rate" else [])])
        raise RecordError(f"a row lacks {name.replace('_', ' ')} {', '.join(lacking)}; make what is missing: {command}")
    return [record for run in runs if (record := run.record)]


def _sweep(settings: BenchmarkSettings, protocol: Protocol) -> list[dict[str, Any]]:
    """What trying the protocol's learning rates came to, on the first seed; empty where only the recipe's was used."""
    first = settings.with_changes(seed=protocol.seeds[0])
    if settings.learning_rate is None:  # all three need not be there
        runs = [open_run(first, learning_rate=rate, swept=True) for rate in protocol.learning_rates]
        records = [record for run in runs if (record := run.record)]
    else:
        records = _finished(first.with_changes(swept=True), protocol, "learning_rate", protocol.learning_rates)
    sweep = [
        {
            "learning_rate": record.content["recipe"]["learning_rate"],
            "val_iou": record.metrics["val"]["iou"],
            "images": record.content["images_seen"],
            "seconds": record.content["seconds"],
            "chosen": record.settings.learning_rate == settings.learning_rate,
        }
        for record in records
    ]
    _check_chosen(sweep)
    return sweep if len(sweep) > 1 else []


def _check_chosen(sweep: Sequence[dict[str, Any]]) -> None:
    best = max(sweep, key=lambda one: (one.get("val_iou") or 0.0, one["chosen"]), default={"chosen": True})
    if not best["chosen"]:
        rate, iou = best["learning_rate"], best["val_iou"]
        raise RecordError(f"the row must be of the learning rate {rate}, which validation chose (IoU {iou:.2f} %).")


def _check_seeds(row: Row) -> None:
    """RecordError where two seeds are the same: copies of the best seed raise the mean and shorten the interval."""
    if row.content["cost"].get("parameters") == 0:  # then no seed changes anything
        return
    for one, other in combinations(range(len(row.seeds)), 2):
        counts, weights = row.counts[one], row.content["weights"]
        # Two models that learned nothing may both call every pixel background.
        equal = counts["predicted"].nunique() > 1 and counts.equals(row.counts[other])
        if equal or weights[one] == weights[other]:
            what = "the same counts in every image" if equal else f"the same weights, {weights[one]}"
            told = f"its seeds {row.seeds[one]} and {row.seeds[other]} have {what}: give a run of its own for each seed"
            raise RecordError(f"{row.file} does not hold: {told}.")


def _content(records: Sequence[Record], sweep: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A row's entries that follow from its records."""
    options: Any = {"dtype": {"group": str}, "keep_default_na": False}
    counts = [pd.read_csv(record.file("test_images.csv"), **options) for record in records]
    group, labels = pd.factorize(counts[0]["group"])
    contents, settings = [record.content for record in records], records[0].settings.to_dict()
    for name in ("recipe", "weights"):  # a file's name, without the folders of this machine
        settings[name] = settings[name] and Path(settings[name]).name
    spent = [{"parameters": one["n_parameters"], **one.get("cost", {})} for one in contents]
    for entry, one in zip(spent, contents, strict=True):
        entry |= {"seconds": one["seconds"], "images": one["images_seen"]}
    cost = pd.DataFrame(spent, dtype=float).mean()
    for name in ("seconds", "images"):  # of one model, with the runs that chose its learning rate
        cost[name] += sum(one[name] for one in sweep if not one["chosen"])
    unclean = [one["name"] for one in contents if str(one["code"]["commit"]).endswith("+")]
    images: dict[str, Any] = {"pixels": int(counts[0]["pixels"][0]), "groups": labels.tolist(), "group": _text(group)}
    images["target"] = _text(counts[0]["target"])
    images |= {name: [_text(one[name]) for one in counts] for name in ("intersection", "predicted")}
    return {
        "settings": {name: value for name, value in settings.items() if name not in _LEFT_OUT},
        "recipe": contents[0]["recipe"],
        "half_images": contents[0]["half_images"],
        "seeds": [record.settings.seed for record in records],
        "scores": score_counts(counts),
        "images": images,
        "cost": {name: none_if_nan(round(float(value), 2)) for name, value in cost.items()},
        "sweep": list(sweep),
        "machine": ", ".join(sorted({one["hardware"] for one in contents})),
        **{name: contents[0][name] for name in ("packages", "data", "code")},
        "model_code": model_code_hash(settings["model"]),
        "runs": [record.name for record in records],
        "weights": [weights_hash(record.name) for record in records],
        "date": max(one["finished"] for one in contents)[:10],
        "notes": [f"{name} was made from a checkout with changes that were not committed." for name in unclean],
    }


def verify(
    file: Path | str, weights: Sequence[str] = (), data: str = "mini", device: str = "auto", progress: bool = False
) -> str:
    """Check a row, and say in a line what was checked.

    Always: its version, its protocol, terms and recipe; that validation chose its learning rate; that training
    took as many images as its terms say, and no cost is negative; that no two seeds are the same; that its images are
    the test composites of ``data``, and that its means and intervals follow from its counts. With ``weights`` (for each
    seed in order a file, the name of a run that is here, or ``"built"`` for a model that needs none) the model is built
    and scored too.

    Other hardware rounds differently: an image agrees where no count is off by more than 0.2 % of its pixels; a seed
    agrees where at most 1 % of its images do not, and no score is off by more than 0.05 points.

    Raises :class:`ChairlibError`, one line, which names the first number that does not hold.
    """
    row = read_row(file)
    settings, content = BenchmarkSettings.of(row.content["settings"]), row.content
    protocol, scored = get_protocol(content["protocol"].removesuffix(SCORED), data), settings.weights is not None

    compare = partial(_compare, file)
    compare("its protocol is", content["protocol"], protocol.name + SCORED * scored)
    compare("its data have the hash", content["data"].get("hash"), protocol.data_hash)
    for name, value in differing_terms(settings, protocol).items():
        compare(f"its setting {name} is", value, _term(protocol, name))
    if scored:
        compare("the learning rates tried are", [one["learning_rate"] for one in content["sweep"]], [])
        compare("its images of training are", content["cost"]["images"], 0)
    else:
        _check_training(row, settings, protocol)
    loader = CompositeLoader(data, "test", settings.resolution, 256, device, limit=settings.test_images)
    counts, pixels = row.counts[0], settings.resolution**2
    compare("the pixels of its images are", int(counts["pixels"][0]), pixels)
    compare("the number of its images is", len(counts), len(loader.indices))
    groups, targets = loader.groups or [""] * len(counts), (foreground_shares(loader) / 100 * pixels).round()
    for image in np.flatnonzero(counts["group"] != groups)[:1].tolist():
        compare(f"the group of image {image} is", counts["group"][image], groups[image])
    for image in np.flatnonzero(np.abs(counts["target"] - targets) > _PIXELS_OFF * pixels)[:1].tolist():
        compare(f"the chair pixels of image {image} are", counts["target"][image], int(targets[image]))
    _check_seeds(row)
    stated, found = flat_scores(content["scores"]), flat_scores(score_counts(row.counts))
    numbers = ["mean", "low end", "high end", *(f"of seed {seed}" for seed in row.seeds)]
    # Both are rounded to four places.
    for metric, number in np.argwhere(~np.isclose(stated, found, rtol=0, atol=1e-4, equal_nan=True))[:1].tolist():
        compare(f"its {METRICS[metric]}, {numbers[number]}, is", stated[metric, number], found[metric, number])
    if weights:
        return _rescore(row, settings, weights, loader, progress)
    n_groups = len(set(loader.groups or loader.indices.tolist()))
    return f"arithmetic checked, not rescored ({len(counts)} images of {n_groups} groups, {len(row.seeds)} seeds)"


def _compare(file: Path | str, what: str, stated: Any, found: Any) -> None:
    if stated != found:
        raise RecordError(f"{file} does not hold: {what} {stated}, but must be {found}.")


def _check_training(row: Row, settings: BenchmarkSettings, protocol: Protocol) -> None:
    """RecordError where the recipe, the seeds, the rates tried or the costs do not follow from the row's settings."""
    compare, recipe, content = partial(_compare, row.file), recipe_of(settings), row.content
    sweep = content["sweep"]
    known = json.loads(json.dumps(vars(recipe)))
    for name in sorted(known.keys() | content["recipe"].keys()):
        compare(f"its recipe's {name} is", content["recipe"].get(name), known.get(name))
    compare("its seeds are", row.seeds, list(protocol.seeds))
    tried = sorted(one["learning_rate"] for one in sweep)
    # With the recipe's own rate, the others need not have been tried.
    wanted = [rate for rate in protocol.learning_rates if settings.learning_rate is not None or rate in tried]
    compare("the learning rates tried are", tried, wanted)
    if sweep:
        chosen = [one["learning_rate"] for one in sweep if one["chosen"]]
        compare("the learning rates chosen are", chosen, [recipe.learning_rate])
    _check_chosen(sweep)
    others = [one for one in sweep if not one["chosen"]]
    own = {name: content["cost"][name] - sum(one[name] for one in others) for name in _SPENT}
    parts = [("all runs, less the rates not chosen,", own)]
    parts += [(f"the run with learning rate {one['learning_rate']}", one) for one in sweep]
    least, most = settings.images or 0, (settings.images or 0) + recipe.batch_size  # whole batches
    for what, spent in parts:
        if not least <= spent["images"] <= most:
            compare(f"the images of {what} are", spent["images"], f"{least} to {most}")
        if spent["seconds"] <= 0:
            compare(f"the seconds of {what} are", spent["seconds"], "above 0")
    half = content.get("half_images", 0)
    if half and not abs(half - recipe.half_until * most) <= 2 * recipe.batch_size:
        compare("its images of half the size are", half, f"0 or about {recipe.half_until * most:.0f}")


def _rescore(
    row: Row, settings: BenchmarkSettings, weights: Sequence[str], loader: CompositeLoader, progress: bool
) -> str:
    """Score the model with weights of its seeds; RecordError where that gives other numbers than the row's."""
    if len(weights) > len(row.seeds):
        raise ParameterError(f"{len(weights)} weights are too many for {len(row.seeds)} seeds.")
    if (known := row.content["model_code"]) != (here := model_code_hash(settings.model)):
        raise RecordError(f"{row.file} is of the code {known} of {settings.model}, here it is {here}: get that code.")
    model = model_of(settings).to(loader.device)
    n_otherwise, notes = 0, ""
    for seed, name, counts, digest in zip(row.seeds, weights, row.counts, row.content["weights"], strict=False):
        is_file = name == AS_BUILT or Path(name).suffix in (".safetensors", ".pt", ".pth")
        file = name if is_file else str(find_record(name).file("weights.safetensors"))
        load_weights(model, file)
        scores = evaluate(model, loader, progress=progress).scores
        off = (scores.counts[["intersection", "predicted"]] - counts[["intersection", "predicted"]]).abs().max(axis=1)
        disagree = off > _PIXELS_OFF * counts["pixels"]
        worst = int(off.to_numpy().argmax())
        told = f"{int(disagree.sum())} of {len(off)} images have other counts, as image {worst} has"
        stated, given = flat_scores(score_counts([counts]))[:, 0], [getattr(scores, metric) for metric in METRICS]
        for metric, value, gives in zip(METRICS, stated, given, strict=True):
            if not np.isclose(value, gives, rtol=0, atol=_POINTS_OFF, equal_nan=True):
                what = f"its {metric} of seed {seed} is {value:.2f} %, but {name} gives {gives:.2f} %"
                raise RecordError(f"{row.file} does not hold: {what}; {told}.")
        if disagree.mean() > _IMAGES_OFF:
            raise RecordError(f"{row.file} does not hold: scored with {name}, seed {seed}: {told}.")
        n_otherwise += int((off > 0).sum())
        if name != AS_BUILT and weights_digest(file) != digest:  # what is built has no file
            notes += f"; {name} is another file than the row's"
    if row.content["code"].get("hash") != code_hash(BenchmarkSettings.kind):
        notes += "; the row was made by other code of chairlib"
    n_images = len(weights) * len(loader.indices)
    agree = f"{n_otherwise} of {n_images} images have other counts, as rounding makes them"
    agree = agree if n_otherwise else f"all counts of {n_images} images agree"
    return f"rescored on {describe_hardware(loader.device)}: {len(weights)} of {len(row.seeds)} seeds; {agree}{notes}"
