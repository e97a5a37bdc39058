"""Which records the report of fine-tuning shows: those that differ in nothing but what is compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chairlib.core.runs import Record
from chairlib.transfer.protocols import CATEGORIES, PROTOCOLS
from chairlib.transfer.settings import TransferSettings

__all__ = ["WHOLE", "Selection", "count_pretrainings"]

#: All of the training photos, in per cent.
WHOLE = 100
#: What two runs that are compared need not have in common.
_MAY_DIFFER = ("pretraining", "pretrained", "seed", "fold", "share", "data", "device")
#: What they must have in common. One value of each of these is a configuration.
_CONFIGURATION = tuple(name for name in TransferSettings.names() if name not in _MAY_DIFFER)


@dataclass(frozen=True)
class Selection:
    """The records of one folder of photos, and which of them stand for a model on a category."""

    records: list[Record]

    @cached_property
    def models(self) -> list[str]:
        """The models that were trained, in order of their first record."""
        return list(dict.fromkeys(record.settings.model for record in self.records))

    @cached_property
    def _latest(self) -> list[Record]:
        """Of records that answer the same question (their pretraining was made again), the newest.

        A pretraining with fewer images than another on the same data answers another question: how much pretraining is
        needed. A landscape trains such models. None of them is shown here.
        """
        latest: dict[tuple[Any, ...], Record] = {}
        for record in sorted(_most_pretrained(self.records), key=lambda record: record.content["finished"]):
            settings = record.settings
            question = (settings.pretraining, settings.share, settings.seed, settings.fold)
            latest[_configuration(record), *question] = record
        folders = {record.folder for record in latest.values()}
        return [record for record in self.records if record.folder in folders]

    def records_of(self, model: str, category: str, protocol: str | None = None) -> list[Record]:
        """The records that stand for a model on a category: those of ONE configuration.

        A model may have been trained in several configurations (recipes, budgets, protocols). Curves of different ones
        would differ in more than they seem to. The configuration with the most pretrainings is taken; of equal ones
        that with the most pairs of pretraining and share, then that with the most records, then the first protocol.
        """
        found: dict[tuple[Any, ...], list[Record]] = {}
        for record in self._latest:
            settings = record.settings
            if (settings.model, settings.category) == (model, category) and protocol in (None, settings.protocol):
                found.setdefault(_configuration(record), []).append(record)
        return max(found.values(), key=_informativeness, default=[])

    def find(
        self, model: str, pretraining: str, category: str, share: int = WHOLE, protocol: str | None = None
    ) -> list[Record]:
        """Records of one cell of a table, every seed and fold, sorted by seed and fold.

        They are of one configuration, the same for all cells of a model and category. ``protocol``: of that one only;
        by default of the one that was trained most.
        """
        cell = [
            record
            for record in self.records_of(model, category, protocol)
            if (record.settings.pretraining, record.settings.share) == (pretraining, share)
        ]
        return sorted(cell, key=lambda record: (record.settings.seed, record.settings.fold))

    @cached_property
    def shown(self) -> list[Record]:
        """The records that every table and figure but Table 4 is made from."""
        return [
            record for model in self.models for category in CATEGORIES for record in self.records_of(model, category)
        ]

    def why_not_shown(self, record: Record) -> str:
        """Why a record is not among :attr:`shown`."""
        chosen = self.records_of(record.settings.model, record.settings.category)
        values = zip(_CONFIGURATION, _configuration(record), _configuration(chosen[0]), strict=True)
        others = [f"{name} {own}" for name, own, shown in values if own != shown]
        if others:
            return f"its {', '.join(others)} differ from the runs that are shown, of which there are more"
        own = _pretraining_scale(record)
        same = [other for other in chosen if other.settings.pretraining == record.settings.pretraining]
        most = _pretraining_scale(same[0]) if same else None
        if own and most and own != most:
            return f"its pretraining has {_in_words(own)}; shown is the one with most, of {_in_words(most)}"
        return "a newer record answers the same question"


def count_pretrainings(records: Sequence[Record]) -> int:
    """How many different pretrained records some runs start from."""
    return len({record.settings.pretrained for record in records} - {None})


def _configuration(record: Record) -> tuple[Any, ...]:
    settings = record.settings
    # An init_seed that equals the seed is the same as none.
    init_seed = None if settings.init_seed == settings.seed else settings.init_seed
    return tuple(init_seed if name == "init_seed" else getattr(settings, name) for name in _CONFIGURATION)


def _pretraining_scale(record: Record) -> tuple[int, int, str] | None:
    """Budget in images, number of different images, and recipe of the pretraining; None from scratch."""
    cost = record.content["pretrained_on"]
    return (cost["budget"], cost["n_train_images"], cost["recipe"]) if cost else None


def _in_words(scale: tuple[int, int, str]) -> str:
    budget, different, recipe = scale
    return f"{budget:,} images ({min(different, budget):,} different ones, recipe {recipe})"


def _most_pretrained(records: Sequence[Record]) -> list[Record]:
    """For each configuration and pretraining, the records whose pretraining saw the most images; all from scratch."""
    by_scale: dict[tuple[Any, ...], dict[Any, list[Record]]] = {}
    for record in records:
        scales = by_scale.setdefault((_configuration(record), record.settings.pretraining), {})
        scales.setdefault(_pretraining_scale(record), []).append(record)
    return [record for scales in by_scale.values() for record in max(scales.values(), key=_pretraining_length)]


def _pretraining_length(records: Sequence[Record]) -> tuple[int, int, str]:
    """Images that the longest pretraining of some records saw, then their number, then the date of the newest."""
    costs = [cost for record in records if (cost := record.content["pretrained_on"])]
    newest = max(record.content["finished"] for record in records)
    return max((cost["images_seen"] for cost in costs), default=0), len(records), newest


def _informativeness(records: Sequence[Record]) -> tuple[int, int, int, int]:
    """How much the records of a configuration can tell, see :meth:`Selection.records_of`."""
    arms = {(record.settings.pretraining, record.settings.share) for record in records}
    on_all_photos = sum(share == WHOLE for _, share in arms)
    return on_all_photos, len(arms), len(records), -PROTOCOLS.index(records[0].settings.protocol)
