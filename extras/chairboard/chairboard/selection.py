"""Which records the report of fine-tuning shows: those that differ in nothing but what is compared.

Records with the same settings but for pretraining, seed, fold and share are of one configuration. A model on a category
is shown by the configuration with the most pairs of pretraining and share; of equal ones by that with the most records,
then by the first protocol. Within it, each pretraining is shown by the records whose pretrained models had the largest
budget of images (of equal ones: the most records, then the newest), and each seed, fold and share by its newest record.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from chairlib.core.runs import Record
from chairlib.transfer.protocols import CATEGORIES, PROTOCOLS
from chairlib.transfer.settings import TransferSettings

#: What two runs that are compared need not have in common.
_MAY_DIFFER = ("pretraining", "pretrained", "seed", "fold", "share", "data", "device")
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
    def categories(self) -> list[str]:
        """The paper's categories, unless photos of other ones alone were trained on; and those others, in order."""
        found = {record.settings.category for record in self.records}
        own = sorted(found - CATEGORIES.keys())
        return own if found and set(own) == found else [*CATEGORIES, *own]

    @cached_property
    def _by_configuration(self) -> list[list[Record]]:
        """For each configuration, the records that could be shown."""
        arms: dict[tuple[Any, ...], list[Record]] = defaultdict(list)
        for record in sorted(self.records, key=lambda record: record.content["finished"]):
            arms[_configuration(record), record.settings.pretraining, _pretrained_with(record)].append(record)
        shown: dict[tuple[Any, ...], dict[tuple[Any, ...], Record]] = defaultdict(dict)
        # The largest pretraining comes last, and replaces the others of its configuration and kind.
        ranked = sorted(arms.items(), key=lambda item: (item[0][2][0], len(item[1]), item[1][-1].content["finished"]))
        for (configuration, pretraining), arm in {key[:2]: arm for key, arm in ranked}.items():
            for record in arm:
                settings = record.settings
                shown[configuration][pretraining, settings.share, settings.seed, settings.fold] = record
        return [list(records.values()) for records in shown.values()]

    def records_of(self, model: str, category: str, protocol: str | None = None) -> list[Record]:
        """The records that stand for a model on a category, all of one configuration (of ``protocol``, where given)."""
        found = [
            records
            for records in self._by_configuration
            if (records[0].settings.model, records[0].settings.category) == (model, category)
            and protocol in (None, records[0].settings.protocol)
        ]
        return max(found, key=_informativeness, default=[])

    def find(
        self, model: str, pretraining: str | None, category: str, share: int = 100, protocol: str | None = None
    ) -> list[Record]:
        """Records of one cell of a table, every fold of every seed, in order; see :meth:`records_of`.

        ``share``: per cent of the training photos that were used.
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
            record
            for model in self.models
            for category in self.categories
            for record in self.records_of(model, category)
        ]

    def why_not_shown(self, record: Record) -> str:
        """Why a record is not among :attr:`shown`."""
        chosen = self.records_of(record.settings.model, record.settings.category)
        values = zip(_CONFIGURATION, _configuration(record), _configuration(chosen[0]), strict=True)
        others = [f"{name} {own}" for name, own, shown in values if own != shown]
        if others:
            return f"its {', '.join(others)} differ from the runs that are shown, of which there are more"
        own = _pretrained_with(record)
        same = [other for other in chosen if other.settings.pretraining == record.settings.pretraining]
        if same and own != (most := _pretrained_with(same[0])):
            return f"its pretraining has {_in_words(*own)}; shown is the one with most, of {_in_words(*most)}"
        return "a newer record answers the same question"


def count_pretrainings(records: Sequence[Record]) -> int:
    """How many different pretrained records some runs start from."""
    return len({record.settings.pretrained for record in records} - {None})


def _configuration(record: Record) -> tuple[Any, ...]:
    settings = record.settings
    if settings.init_seed == settings.seed:  # the same as none
        settings = settings.with_changes(init_seed=None)
    return settings.key(_CONFIGURATION)


def _pretrained_with(record: Record) -> tuple[int, int, str]:
    """Budget in images, number of different images, and recipe of the pretraining; zeros and "" from scratch."""
    cost = record.content["pretrained_on"] or record.content.get("matched_to")
    return (cost["budget"], cost["n_train_images"], cost["recipe"]) if cost else (0, 0, "")


def _in_words(budget: int, different: int, recipe: str) -> str:
    return f"{budget:,} images ({min(different, budget):,} different ones, recipe {recipe})"


def _informativeness(records: Sequence[Record]) -> tuple[int, int, int]:
    """How much the records of a configuration can tell: pairs of pretraining and share, records, first protocol."""
    pairs = {(record.settings.pretraining, record.settings.share) for record in records}
    return len(pairs), len(records), -PROTOCOLS.index(records[0].settings.protocol)
