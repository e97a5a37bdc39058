"""One run of the loss-landscape analysis (the paper's section 6): models that share a pretraining, and models that share nothing.

A run has a pretrained model P, models F1, F2, ... fine-tuned from it and S1, S2, ... trained from scratch (the paper's Ft and
Ri) on one category of photos, with the same recipe, images and number of steps. The F differ in the order of their images, and
in their augmentation where the recipe has any, the S in their initial weights as well. What is missing of them is trained; then
distances, the lines between pairs, planes and what goes beyond the paper are computed a cell at a time, and every cell is kept:
an analysis that was stopped, or is asked for on a finer grid, computes only what is not there yet.
"""

import base64
import hashlib
import itertools
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from chairlib.benchmark import run as benchmark
from chairlib.benchmark.metrics import MIN_CHAIR_PIXELS
from chairlib.benchmark.models import build_model
from chairlib.benchmark.training import Recipe, holds_objects, predict
from chairlib.compositing.loader import CompositeLoader
from chairlib.core import paths, runs
from chairlib.core.checks import check_count
from chairlib.core.devices import describe_hardware, pick_device
from chairlib.core.errors import ChairlibError, ParameterError, RecordError
from chairlib.core.files import write_text
from chairlib.core.progress import progress_bar
from chairlib.core.runs import Record, Run
from chairlib.core.tensors import load_tensors, save_tensors
from chairlib.landscape.beyond.activations import default_layers
from chairlib.landscape.beyond.similarity import layer_similarity
from chairlib.landscape.beyond.weight_matching import (
    SUPPORTED,
    Permutations,
    match,
    match_activations,
    permutation_spec,
    permute,
)
from chairlib.landscape.space import (
    BATCH_NORM,
    FIGURES,
    Evaluator,
    Plane,
    average,
    barrier,
    blocks,
    distances,
    interpolate,
    recalibrated_layers,
    rewind,
    score_ensemble,
)
from chairlib.landscape.states import State
from chairlib.transfer import run as transfer

__all__ = ["DEFAULTS", "KIND", "N_EXAMPLES", "analyse", "count_images", "examples", "members", "open_run"]

KIND = "landscape"

#: The parameters of a run and their defaults. ``data``: the collection of the pretraining, ``pretrain``: its other parameters
#: (:data:`chairlib.benchmark.run.DEFAULTS`); ``photos`` to ``evaluations``: as in a transfer run; ``n_seeds``: how many F and S;
#: ``n_alphas``: points of a line from 0 to 1, ``beyond_ends``: how far it goes on past both, in steps of the same size;
#: ``plane``: cells of a plane's longer side, 0 for none; ``n_early``: lengths of a shared pretraining (0 images, ..., all of
#: P's), 0 for none; ``beyond``: soups, matching, similarity and criticality.
DEFAULTS: dict[str, Any] = {
    "data": "mini",
    "pretrain": {},
    "photos": transfer.STAND_IN,
    "category": "car",
    "protocol": "authors",
    "fold": 0,
    "model": "unet",
    "width": None,
    "resolution": 64,
    "recipe": "fast",
    "images": None,
    "evaluations": None,
    "n_seeds": 2,
    "n_alphas": 21,
    "beyond_ends": 0.0,
    "plane": 0,
    "n_early": 0,
    "beyond": False,
    "device": "auto",
}
#: What goes from a run's parameters to its members' as it is.
_TUNING = ("category", "protocol", "fold", "model", "width", "resolution", "recipe", "images", "evaluations", "device")
#: Photos whose predicted masks are kept for every alpha.
N_EXAMPLES = 6
#: Images of a batch that recalibrates BatchNorm: several, or there is no variance over batches' means to average.
_BATCH = 32
#: Shared pretrainings grow by this factor.
_EARLY_FACTOR = 4
#: Training photos whose activations match units.
_N_MATCHED = 256


# -- members ------------------------------------------------------------------------------------------------------------


def open_run(**parameters: Any) -> Run:
    """Check the parameters of a run (those of :data:`DEFAULTS`) and open it; nothing is computed yet.

    Raises :class:`ParameterError` for an unknown name or an impossible value, :class:`CollectionError` for unusable data.
    """
    settings = runs.fill(KIND, DEFAULTS, parameters)
    check_count("n_seeds", settings["n_seeds"], least=2)
    check_count("n_alphas", settings["n_alphas"], least=2)
    for name, least in (("plane", 2), ("n_early", 2)):
        if settings[name] != 0:
            check_count(name, settings[name], least=least)
    if not isinstance(settings["beyond_ends"], int | float) or not 0 <= settings["beyond_ends"] <= 2:
        raise ParameterError(f"beyond_ends {settings['beyond_ends']!r} must be a number from 0 to 2.")
    if not isinstance(settings["beyond"], bool):
        raise ParameterError(f"beyond {settings['beyond']!r} must be True or False.")
    if not isinstance(settings["pretrain"], Mapping):
        raise ParameterError(f"pretrain {settings['pretrain']!r} must be parameters of a benchmark run by name.")
    inherited = {"data", "device", "model", "width", "resolution"} & settings["pretrain"].keys()
    if inherited:
        raise ParameterError(f"pretrain takes {', '.join(sorted(inherited))} from the run itself; leave it out there.")
    _check_recipe(settings)
    opened = members(settings)
    content = hashlib.sha256(repr([(label, run.name) for label, run in opened.items()]).encode()).hexdigest()[:16]
    return runs.open_run(KIND, settings, opened["F1"].data["name"], content)


def _check_recipe(settings: Mapping[str, Any]) -> None:
    """Refuse, before anything is trained, a recipe whose models may end at different lengths of training."""
    recipe = transfer.get_recipe(settings["recipe"], settings["model"])
    if not _keeps_last(recipe):
        fair = [name for name, by_model in transfer.RECIPES.items() if all(map(_keeps_last, by_model.values()))]
        raise ParameterError(
            f"recipe {recipe.name!r} stops early or keeps the weights that validate best, but a landscape compares models of one length "
            f"of training; use one that does neither: {', '.join(fair)}."
        )


def _keeps_last(recipe: Recipe) -> bool:
    return recipe.select == "last" and recipe.patience is None


def members(settings: Mapping[str, Any]) -> dict[str, Run]:
    """The runs that an analysis is made of, by label: P, F1, S1, F2, S2, ..., and for a pretraining of N images P@N, F1@N, F2@N."""
    settings = DEFAULTS | dict(settings)
    shared = {name: settings[name] for name in ("data", "device", "model", "width", "resolution")}
    pretraining = benchmark.open_run(**{**settings["pretrain"], **shared})
    opened = {"P": pretraining}
    for number in range(1, settings["n_seeds"] + 1):
        opened[f"F{number}"] = _tuned(settings, pretraining, number - 1)
        opened[f"S{number}"] = _tuned(settings, None, number - 1)
    for images in _early_budgets(settings["n_early"], benchmark.count_images(pretraining)[0])[:-1]:
        early = benchmark.open_run(**{**settings["pretrain"], **shared, "images": images}) if images else None
        if early is not None:
            opened[f"P@{images}"] = early
        for number in (1, 2):
            opened[f"F{number}@{images}"] = _tuned(settings, early, number - 1, init_seed=0)
    return opened


def _tuned(settings: Mapping[str, Any], pretraining: Run | None, seed: int, init_seed: int | None = None) -> Run:
    chosen: dict[str, Any] = {name: settings[name] for name in _TUNING} | {"data": settings["photos"], "seed": seed}
    if pretraining is not None:
        source = "chair_segments_matched" if pretraining.parameters["train_images"] else "chair_segments"
        chosen |= {"pretraining": source, "pretrained": pretraining.name}
    elif init_seed not in (None, seed):
        chosen |= {"init_seed": init_seed}
    return transfer.open_run(**chosen)


def _early_budgets(count: int, most: int) -> list[int]:
    """``count`` lengths of a shared pretraining in images: 0, and up to ``most`` by a constant factor."""
    if count == 0:
        return [most]
    return [0, *(max(1, round(most / _EARLY_FACTOR**power)) for power in reversed(range(count - 1)))]


def _train(label: str, run: Run, progress: bool) -> Record:
    try:
        return benchmark.train(run, progress) if run.kind == benchmark.KIND else transfer.train(run, progress)
    except ChairlibError as error:
        raise type(error)(f"{label} ({run.name}) could not be made: {error}") from error


# -- cells --------------------------------------------------------------------------------------------------------------


class _Cells:
    """What has been computed, a small JSON file each, under the cache. A killed analysis loses at most the cell it was at."""

    def __init__(self, folder: Path, total: int, progress: bool):
        self.folder = folder
        self.bar = progress_bar(total=total, desc="analysing", unit="cell", disable=not progress)

    def get(self, name: str, compute: Callable[[], Any]) -> Any:
        """The cell's value: read where it is, else computed and kept."""
        file = self.folder / f"{name}.json"
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # not there, or damaged from outside: either way it is computed
            value = compute()
            file.parent.mkdir(parents=True, exist_ok=True)
            write_text(file, json.dumps(value))  # NaN and all: what is undefined is a result too
        self.bar.update()
        return value


def _pack(masks: torch.Tensor) -> str:
    return base64.b64encode(np.packbits(masks.cpu().numpy()).tobytes()).decode()


def _unpack(text: str, shape: tuple[int, ...]) -> np.ndarray:
    bits = np.frombuffer(base64.b64decode(text), dtype=np.uint8)
    return np.unpackbits(bits, count=int(np.prod(shape))).reshape(shape).astype(bool)


@dataclass(frozen=True)
class _Work:
    """Cells of one sort: how many, and how often each sends all training photos and all scored ones through a network."""

    cells: int
    train: int
    scored: int


def _ways(model: nn.Module) -> tuple[str, ...]:
    """What can be done about BatchNorm: a model without it has nothing to recalibrate."""
    return BATCH_NORM if recalibrated_layers(model) else BATCH_NORM[:1]


def _alphas(settings: Mapping[str, Any]) -> list[float]:
    """Equal steps, 0 and 1 among them."""
    steps = settings["n_alphas"] - 1
    beyond = math.floor(settings["beyond_ends"] * steps + 1e-9)
    return [round(number / steps, 6) for number in range(-beyond, steps + beyond + 1)]


def _work(settings: Mapping[str, Any], model: nn.Module, labels: Iterable[str]) -> list[_Work]:
    """All cells of a run but its planes', which count their own: where the models lie is known only once they are trained."""
    ways, n_alphas, count = _ways(model), len(_alphas(settings)), settings["n_seeds"]
    pairs = count * (count - 1) // 2
    # Recalibrating is one more pass over the training photos.
    passes = [int(way == "recalibrate") for way in ways]
    work = [_Work(2 * pairs * n_alphas, 1 + extra, 1) for extra in passes]
    n_early = sum(label.startswith("F1@") for label in labels)
    work += [_Work(n_early * n_alphas, extra, 1) for extra in passes]
    if settings["beyond"]:
        # Members and their soup; their ensemble; similarities; models with each block set back, and as they are, scored above.
        work += [_Work(2 * (count + 1), extra, 1) for extra in passes]
        work += [_Work(2, count * extra, count) for extra in passes]
        work += [
            _Work(2 * pairs, 0, 2),
            _Work(2 * count * len(blocks(model.state_dict())), passes[-1], 1),
            _Work(2 * count, 0, 0),
        ]
    if settings["beyond"] and settings["model"] in SUPPORTED:
        # Matching by weights and by activations; lines to the model permuted by each, beside those as trained, scored above.
        work += [_Work(pairs, 0, 0), _Work(pairs, 2, 0)]
        work += [_Work(2 * pairs * n_alphas, *passed) for extra in passes for passed in ((extra, 1), (0, 0))]
    return work


def count_images(run: Run) -> tuple[int, int]:
    """How many images the analysis trains on, none, and how many it sends through a network at most, its members' training aside."""
    settings = run.parameters
    opened = members(settings)
    # Their number is asked for, so no photo is read.
    sizes = {split: len(photos) for split, photos in transfer._datasets(opened["F1"].parameters).items()}
    scored = sizes[transfer._splits(settings["protocol"])[2]]
    model = build_model(settings["model"], settings["width"])
    work = _work(settings, model, opened)
    if settings["plane"]:
        work.append(_Work(2 * settings["plane"] ** 2, int("recalibrate" in _ways(model)), 1))
    return 0, sum(sort.cells * (sort.train * sizes["train"] + sort.scored * scored) for sort in work)


_Matching = Callable[["_Laboratory", State, State], Permutations]


class _Laboratory:
    """The states of all members, the images that score them, and the analyses, each a table."""

    def __init__(self, run: Run, records: Mapping[str, Record], progress: bool):
        self.settings = run.parameters
        self.device = pick_device(self.settings["device"])
        self.model = build_model(self.settings["model"], self.settings["width"]).to(self.device)
        self.states: dict[str, State] = {label: self._load(record) for label, record in records.items()}
        #: Images that a pretrained model's weights have seen: fewer than its budget where an earlier evaluation was the best.
        self.images_behind = {
            label: int(record.content["best_images"]) for label, record in records.items() if label.startswith("P")
        }
        self.names = list(range(1, self.settings["n_seeds"] + 1))
        self.pairs = list(itertools.combinations(self.names, 2))
        tuned = transfer.open_image_sets(records["F1"].parameters, self.device)
        self.scored_split = tuned.scored_split
        self.train = CompositeLoader(tuned.train, "train", batch_size=_BATCH, shuffle=False)
        self.test = CompositeLoader(tuned.scored, "test", batch_size=256)
        self.ways = _ways(self.model)
        self.alphas = _alphas(self.settings)
        self.on_both = Evaluator(self.model, {"train": self.train, "test": self.test})
        self.on_test = Evaluator(self.model, {"test": self.test}, recalibrate_on=self.train)
        # A cell is named by the weights it is about, so that it serves every analysis of them, however fine its grids.
        self.tags = {label: f"{label}.{str(runs.weights_hash(record.name))[:8]}" for label, record in records.items()}
        data = [loader.image_set.data_hash for loader in (self.train, self.test)]
        asked = repr([runs.code_hash(KIND), self.settings["model"], self.settings["width"], self.device.type, data])
        folder = paths.cache / KIND / hashlib.sha256(asked.encode()).hexdigest()[:16]
        n_cells = sum(sort.cells for sort in _work(self.settings, self.model, self.states))
        self.cells = _Cells(folder, n_cells, progress)

    def _load(self, record: Record) -> State:
        """A record's weights on the device, in the network's order, which tables and figures follow."""
        weights, _ = load_tensors(record.file("weights.safetensors"))
        return {key: weights[key].to(self.device) for key in self.model.state_dict()}

    # -- the paper's --

    def tag(self, *labels: str) -> str:
        return "-".join(self.tags[label] for label in labels)

    def of(self, *labels: str) -> list[State]:
        return [self.states[label] for label in labels]

    def distances(self) -> pd.DataFrame:
        """Table 5, in all and by block: kind, name, block, l2, norm_a, norm_b, relative, n_parameters."""
        asked = [("ft_ft", f"F{i}", f"F{j}") for i, j in self.pairs] + [
            ("ri_ri", f"S{i}", f"S{j}") for i, j in self.pairs
        ]
        asked += [("ft_p", f"F{i}", "P") for i in self.names] + [("ri_p", f"S{i}", "P") for i in self.names]
        tables = [
            distances(self.states[a], self.states[b]).reset_index().assign(kind=kind, name=f"{a} & {b}")
            for kind, a, b in asked
        ]
        return pd.concat(tables, ignore_index=True)

    def line(
        self, name: str, ends: Sequence[State], way: str, evaluator: Evaluator | None = None
    ) -> Iterator[tuple[float, dict[str, Any]]]:
        """(alpha, scores by split) along the line between two states; alpha weighs the first.

        ``evaluator``: scores what it is made for, as :attr:`on_test`; where None, both splits, and the examples' masks are kept.
        """
        first, second = ends
        folder = "line" if evaluator is None else "line-" + "-".join(evaluator.splits)
        for alpha in self.alphas:
            compute = partial(self._score, first, second, alpha, way, evaluator)
            yield alpha, self.cells.get(f"{folder}/{name}/{way}/{alpha:g}", compute)

    def _score(self, a: State, b: State, alpha: float, way: str, evaluator: Evaluator | None) -> dict[str, Any]:
        between = interpolate(a, b, alpha)
        if evaluator is not None:
            return evaluator.score(between, way)
        scores = self.on_both.score(between, way)
        # The evaluator's model still has that state, recalibrated where that was asked for.
        masks = predict(self.on_both.model, self.example_images) > 0.5
        return {**scores, "masks": _pack(masks)}

    @cached_property
    def example_images(self) -> torch.Tensor:
        return self.test.image_set.batch(self.example_indices)[0]

    @cached_property
    def example_indices(self) -> torch.Tensor:
        """Scored photos that hold the object, evenly spread."""
        masks = torch.cat([masks for _, masks in self.test.in_order()])
        shown = torch.nonzero(masks.sum(dim=(1, 2, 3)) > 0).flatten()
        count = min(N_EXAMPLES, len(shown))
        return shown[torch.arange(count, device=shown.device) * len(shown) // max(1, count)]

    def curves(self) -> tuple[pd.DataFrame, dict[str, torch.Tensor]]:
        """Figure 7: pair, name, batch_norm, alpha, split and scores; and the masks along the first pair's lines."""
        rows, masks = [], {}
        shape = (len(self.example_indices), self.settings["resolution"], self.settings["resolution"])
        for pair, (i, j), way in itertools.product("FS", self.pairs, self.ways):
            packed = []
            for alpha, cell in self.line(
                self.tag(f"{pair}{i}", f"{pair}{j}"), self.of(f"{pair}{i}", f"{pair}{j}"), way
            ):
                packed.append(_unpack(cell["masks"], shape))
                rows += [
                    {
                        "pair": pair,
                        "name": f"{i} & {j}",
                        "batch_norm": way,
                        "alpha": alpha,
                        "split": split,
                        **cell[split],
                        "extrapolated": not 0 <= alpha <= 1,
                    }
                    for split in ("train", "test")
                ]
            if (i, j) == self.pairs[0]:
                masks[f"masks.{pair}.{way}"] = torch.from_numpy(np.stack(packed))
        return pd.DataFrame(rows), masks

    def planes(self) -> tuple[pd.DataFrame, dict[str, Any]]:
        """The planes through P and a pair, recalibrated where there is BatchNorm: pair, x, y, iou, loss; and where the models lie."""
        way, rows, points = self.ways[-1], [], {}
        for pair in "FS" if self.settings["plane"] else "":
            plane = Plane(self.states["P"], self.states[f"{pair}1"], self.states[f"{pair}2"])
            names = ("P", f"{pair}1", f"{pair}2")
            tag = self.tag(*names)
            points[pair] = dict(zip(names, plane.points.tolist(), strict=True))
            xs, ys = plane.grid(self.settings["plane"])
            self.cells.bar.total += len(xs) * len(ys)
            for x, y in itertools.product(xs.tolist(), ys.tolist()):
                scores = self.cells.get(
                    f"plane/{tag}/{way}/{x:.6g},{y:.6g}", partial(self._score_on_plane, plane, x, y, way)
                )
                rows.append({"pair": pair, "x": x, "y": y, **scores})
        return pd.DataFrame(rows, columns=["pair", "x", "y", *FIGURES]), points

    def _score_on_plane(self, plane: Plane, x: float, y: float, way: str) -> dict[str, float]:
        return self.on_test.score(plane.state(x, y), way)["test"]

    # -- beyond it --

    def early(self) -> pd.DataFrame:
        """The barrier between two models that share a pretraining of so many images: images, batch_norm, barrier, name.

        After Frankle, Dziugaite, Roy & Carbin (ICML 2020), Linear Mode Connectivity and the Lottery Ticket Hypothesis.
        """
        budgets = {label.partition("@")[2] for label in self.states if "@" in label}
        rows: list[dict[str, Any]] = []
        for images, way in itertools.product(sorted(budgets, key=int), self.ways):
            ends = [f"F{number}@{images}" for number in (1, 2)]
            line = self.line(self.tag(*ends), self.of(*ends), way, self.on_test)
            ious = {alpha: cell["test"]["iou"] for alpha, cell in line}
            seen = self.images_behind[f"P@{images}"] if int(images) else 0
            rows.append({"images": seen, "batch_norm": way, "barrier": barrier(ious, ious.values()), "name": "1 & 2"})
        return pd.DataFrame(rows, columns=["images", "batch_norm", "barrier", "name"])

    def soups(self) -> pd.DataFrame:
        """Members, their mean, the average of their weights and their ensemble: pair, label, kind, iou, low, high.

        After Wortsman et al. (ICML 2022), Model soups: averaging weights of multiple fine-tuned models improves accuracy without
        increasing inference time. Means, soups and ensembles come in both BatchNorm ways, so that a recalibrated soup stands beside
        recalibrated members; members one by one are as trained.
        """
        return pd.DataFrame([row for pair in "FS" for row in self._soups_of(pair)])

    def _soups_of(self, pair: str) -> list[dict[str, Any]]:
        labels = [f"{pair}{number}" for number in self.names]
        states, tag = self.of(*labels), self.tag(*labels)
        members = {
            way: [self._interval(self.tag(label), self.states[label], way) for label in labels] for way in self.ways
        }
        rows: list[dict[str, Any]] = [
            {"label": label, "kind": "member", **cell} for label, cell in zip(labels, members["average"], strict=True)
        ]
        for way, found in members.items():
            rows.append({"label": "members' mean", "kind": "mean", "iou": np.mean([cell["iou"] for cell in found])})
            rows.append({"label": "soup", "kind": "soup", **self._interval(f"soup-{tag}", average(states), way)})
            cell = self.cells.get(f"ensemble/{tag}/{way}", partial(self._ensemble, states, way))
            rows.append({"label": "ensemble", "kind": "ensemble", **cell})
            if len(self.ways) > 1:
                for row in rows[-3:]:
                    row["label"] += {"average": ", not recalibrated", "recalibrate": ", recalibrated"}[way]
        return [{"pair": pair, **row} for row in rows]

    def _interval(self, name: str, state: State, way: str = "average") -> dict[str, float]:
        return self.cells.get(f"state/{name}/{way}", partial(self._score_state, state, way))

    def _score_state(self, state: State, way: str) -> dict[str, float]:
        return _with_interval(self.on_test.evaluations(state, way)["test"].scores)

    def _ensemble(self, states: Sequence[State], way: str) -> dict[str, float]:
        members = [self.on_test.recalibrated(state) for state in states] if way == "recalibrate" else states
        return _with_interval(score_ensemble(self.model, members, self.test).scores)

    def matched(self) -> tuple[pd.DataFrame, list[dict[str, Any]]]:
        """Lines between S, the second permuted to match the first; and l2 before and after.

        By weights and by activations on training images: matching, permuted, batch_norm, alpha, iou, name. After Ainsworth, Hayase &
        Srinivasa (ICLR 2023), Git Re-Basin: Merging Models modulo Permutation Symmetries, with statistics recalibrated as in
        Jordan, Sedghi, Saukh, Entezari & Neyshabur (ICLR 2023), REPAIR: REnormalizing Permuted Activations for Interpolation Repair.
        """
        rows: list[dict[str, Any]] = []
        lengths = []
        for i, j in self.pairs if self.settings["model"] in SUPPORTED else []:
            ends, tag, name = self.of(f"S{i}", f"S{j}"), self.tag(f"S{i}", f"S{j}"), f"{i} & {j}"
            for matching, find in _MATCHINGS.items():
                found = self._permutations(f"match/{tag}/{matching}", find, ends)
                moved = permute(ends[1], found)
                between = {"before": found.distance_before, "after": found.distance_after}
                lengths.append({"name": name, "matching": matching, **between})
                for way in self.ways:
                    # As trained, the line is one of Figure 7's.
                    lines = {
                        False: self.line(tag, ends, way),
                        True: self.line(f"{tag}-{matching}", [ends[0], moved], way, self.on_test),
                    }
                    for permuted, line in lines.items():
                        common = {"matching": matching, "permuted": permuted, "batch_norm": way, "name": name}
                        rows += [{**common, "alpha": alpha, "iou": cell["test"]["iou"]} for alpha, cell in line]
        columns = ["matching", "permuted", "batch_norm", "alpha", "iou", "name"]
        return pd.DataFrame(rows, columns=columns), lengths

    def _permutations(self, name: str, find: _Matching, ends: Sequence[State]) -> Permutations:
        """Found once: the cells of a line must all be about one permutation."""

        def compute() -> dict[str, Any]:
            found = find(self, ends[0], ends[1])
            orders = {group: order.tolist() for group, order in found.orders.items()}
            return {"orders": orders, "before": found.distance_before, "after": found.distance_after}

        kept = self.cells.get(name, compute)
        orders = {group: torch.tensor(order) for group, order in kept["orders"].items()}
        return Permutations(permutation_spec(self.settings["model"]), orders, kept["before"], kept["after"])

    def similarities(self) -> pd.DataFrame:
        """Linear CKA of corresponding layers on the scored photos: kind, name, layer, cka. Empty where there are no such layers.

        After Kornblith, Norouzi, Lee & Hinton (ICML 2019), Similarity of Neural Network Representations Revisited.
        """
        tables = []
        for (kind, pair), (i, j) in itertools.product((("ft_ft", "F"), ("ri_ri", "S")), self.pairs):
            ends = (f"{pair}{i}", f"{pair}{j}")
            table = self.cells.get(f"cka/{self.tag(*ends)}", partial(self._layer_similarity, self.of(*ends)))
            tables.append(pd.DataFrame(table).assign(kind=kind, name=f"{i} & {j}"))
        return pd.concat(tables, ignore_index=True)

    def _layer_similarity(self, ends: Sequence[State]) -> dict[str, Any]:
        first, second = ends
        layers = default_layers(self.model, self.test.image_set.batch(self.test.indices[:1])[0])
        if not layers:  # a model of one's own may have none, and all the rest is worth having
            return {"layer": [], "cka": []}
        table = layer_similarity(self.model, first, second, self.test, layers)
        return {"layer": table["layer"].tolist(), "cka": table["cka"].tolist()}

    def criticality(self) -> pd.DataFrame:
        """IoU after one block is set back, F's to P and S's to its initial values: pair, name, block, iou, untouched.

        After Zhang, Bengio & Singer (2019), Are all layers created equal?, and Chatterji, Neyshabur & Sedghi (ICLR 2020), The intriguing
        role of module criticality in the generalization of deep networks. Recalibrated where there is BatchNorm: the statistics of
        all later layers no longer fit what the block gives them.
        """
        rows, way = [], self.ways[-1]
        for pair, number in itertools.product("FS", self.names):
            label, state = f"{pair}{number}", self.states[f"{pair}{number}"]
            origin = self.states["P"] if pair == "F" else self._initial(number - 1)
            untouched = self._interval(self.tag(label), state, way)["iou"]
            start = self.tag("P") if pair == "F" else "start"
            for block in blocks(state):
                name = f"{self.tag(label)}-{block}-of-{start}"
                iou = self._interval(name, rewind(state, origin, block), way)["iou"]
                rows.append({"pair": pair, "name": str(number), "block": block, "iou": iou, "untouched": untouched})
        return pd.DataFrame(rows)

    def _initial(self, seed: int) -> State:
        state = transfer.initial_model({**self.settings, "seed": seed, "init_seed": None}).state_dict()
        return {key: tensor.to(self.device) for key, tensor in state.items()}


#: Ways to match the units of one model to another's.
_MATCHINGS: dict[str, _Matching] = {
    "weights": lambda laboratory, a, b: match(a, b, laboratory.settings["model"]),
    "activations": lambda laboratory, a, b: match_activations(laboratory.model, a, b, laboratory.train, _N_MATCHED),
}


def _with_interval(scores: Any) -> dict[str, float]:
    low, high = scores.interval("iou")
    return {"iou": float(scores.iou), "low": float(low), "high": float(high)}


# -- the run ------------------------------------------------------------------------------------------------------------


def analyse(run: Run, progress: bool = True) -> Record:
    """Train what is missing of the run's members, analyse them, and leave the record; a finished run is only read.

    Interrupted at any point, it goes on when called again: members from their checkpoints, the analysis from its cells.
    Raises :class:`ParameterError` where no photo to be scored holds the object, :class:`RecordError` where a member cannot be used,
    and as the training of members does.
    """
    if run.record is not None:
        return run.record
    opened = members(run.parameters)
    _check_objects(opened["F1"].parameters)
    records = {label: _train(label, member, progress) for label, member in opened.items()}
    started = time.monotonic()  # of the analysis alone: each member's record has the seconds of its training
    _check_fair(records)
    laboratory = _Laboratory(run, records, progress)
    try:
        tables, metrics, tensors = _all_analyses(laboratory)
    finally:
        laboratory.cells.bar.close()
    for name, table in tables.items():
        run.write_table(name, table)
    save_tensors(run.folder / "examples.safetensors", tensors)
    return run.finish(
        metrics,
        seconds=time.monotonic() - started,
        images_seen=0,
        hardware=describe_hardware(laboratory.device),
        members={label: record.name for label, record in records.items()},
        made_from={record.name: runs.weights_hash(record.name) for record in records.values()},
        member_seconds=sum(record.content["seconds"] for record in records.values()),
        scored_split=laboratory.scored_split,
        batch_norm=list(laboratory.ways),
        tables=list(tables),
        n_scored=len(laboratory.test.indices),
        n_train=len(laboratory.train.indices),
    )


def _check_objects(settings: Mapping[str, Any]) -> None:
    """Refuse, before anything is trained, photos without an object to score: a line without IoU has no barrier."""
    photos = transfer.open_image_sets(dict(settings), torch.device("cpu"))
    for split, image_set in (("train", photos.train), (photos.scored_split, photos.scored)):
        if not holds_objects(CompositeLoader(image_set, split, batch_size=256)):
            raise ParameterError(
                f"no {split} photo of {settings['category']} in {settings['data']} has an object of more than {MIN_CHAIR_PIXELS - 1} "
                f"pixels at resolution {settings['resolution']}, so there is no IoU to follow; check the masks in GroundTruth, or use "
                "other photos."
            )


def _check_fair(records: Mapping[str, Record]) -> None:
    """Distances compare models of one length of training: refuse those that stopped early, or kept earlier weights."""
    seen = {label: int(record.content["best_images"]) for label, record in records.items() if label[0] in "FS"}
    if len(set(seen.values())) > 1:
        told = ", ".join(f"{label} {images:,}" for label, images in seen.items())
        raise ParameterError(
            f"the models' weights are of different numbers of images ({told}): a landscape compares models of one length of training; "
            "use a recipe that keeps the last weights and never stops early."
        )


def _all_analyses(laboratory: _Laboratory) -> tuple[dict[str, pd.DataFrame], dict[str, Any], dict[str, torch.Tensor]]:
    curves, masks = laboratory.curves()
    planes, points = laboratory.planes()
    tables = {"distances": laboratory.distances(), "curves": curves, "planes": planes}
    metrics: dict[str, Any] = {"barriers": _barriers(curves), "points": points}
    if laboratory.settings["n_early"]:
        own = _barriers(curves[curves["pair"] == "F"])
        shared = laboratory.images_behind["P"]
        whole = [
            {"images": shared, "batch_norm": row["batch_norm"], "barrier": row["barrier"], "name": row["name"]}
            for row in own
            if (row["split"], row["metric"], row["name"]) == ("test", "iou", "1 & 2")
        ]
        tables["early"] = pd.concat([laboratory.early(), pd.DataFrame(whole)], ignore_index=True)
    if laboratory.settings["beyond"]:
        tables["soups"], tables["similarities"] = laboratory.soups(), laboratory.similarities()
        tables["criticality"] = laboratory.criticality()
        tables["matched"], metrics["matched_l2"] = laboratory.matched()
    images, targets = laboratory.test.image_set.batch(laboratory.example_indices)
    tensors = {"images": (images * 255).round().byte(), "targets": targets.byte(), **masks}
    return tables, metrics, tensors


def _barriers(curves: pd.DataFrame) -> list[dict[str, Any]]:
    """The barrier of every line, split and metric: in points for IoU and Dice, in the loss's unit for the loss."""
    return [
        {
            "pair": pair,
            "name": name,
            "batch_norm": way,
            "split": split,
            "metric": metric,
            "barrier": barrier(rows["alpha"], rows[metric], higher_is_better=metric != "loss"),
        }
        for (pair, name, way, split), rows in curves.groupby(["pair", "name", "batch_norm", "split"], sort=False)
        for metric in ("iou", "dice", "loss")
    ]


def examples(record: Record) -> dict[str, Any]:
    """What the scrubber shows of a finished run.

    ``images`` uint8 [N, d, d, 3], ``targets`` bool [N, d, d], and ``predicted``: (pair, batch_norm) -> bool [n_alphas, N, d, d].
    Raises :class:`RecordError` where the file is missing.
    """
    tensors, _ = load_tensors(record.file("examples.safetensors"))
    masks = {
        tuple(name.split(".")[1:]): value.numpy().astype(bool)
        for name, value in tensors.items()
        if name.startswith("masks.")
    }
    if not masks:
        raise RecordError(f"{record.folder} has no masks; delete it and run it again.")
    return {
        "images": tensors["images"].permute(0, 2, 3, 1).numpy(),
        "targets": tensors["targets"][:, 0].numpy().astype(bool),
        "predicted": masks,
    }
