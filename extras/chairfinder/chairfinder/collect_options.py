"""The options of a collection from the web.

Its ledger keeps them, so that ``--resume`` alone goes on in the same way.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from chairfinder.ledger import Ledger
from chairfinder.queries import Query, default_queries
from chairfinder.screening import Thresholds
from chairlib.core.errors import CollectionError, ParameterError

#: Results of one query from one provider that are taken unless another number is given.
LIMIT = 100
#: Providers that are asked unless others are named.
PROVIDER_NAMES = ("commons", "openverse")
_SETTING = "options"


@dataclass(frozen=True)
class CollectOptions:
    """The options of :func:`chairfinder.collecting.collect` that make a collection what it is.

    providers: their names, as :func:`chairfinder.providers.find_providers` takes them, folders resolved.
    Raises ParameterError for a limit below 1.
    """

    queries: Sequence[Query] = field(default_factory=default_queries)
    providers: Sequence[str] = PROVIDER_NAMES
    limit: int = LIMIT
    contact: str | None = None
    seed: int = 0
    any_licence: bool = False
    reviewed_only: bool = False
    thresholds: Thresholds = field(default_factory=Thresholds)

    def __post_init__(self) -> None:
        if self.limit < 1:
            raise ParameterError(f"limit {self.limit} is not a positive number of results.")


def settle(stored: CollectOptions | None, given: Mapping[str, Any]) -> CollectOptions:
    """The options of a run: the given values that are not None, over the stored options or else the defaults."""
    changes = {name: value for name, value in given.items() if value is not None}
    return CollectOptions(**changes) if stored is None else replace(stored, **changes)


def read_options(ledger: Ledger) -> CollectOptions | None:
    """The options of the last run, or None where the ledger holds none.

    Raises CollectionError if they cannot be read.
    """
    text = ledger.setting(_SETTING)
    if not text:
        return None
    try:
        values = json.loads(text)
        values["queries"] = [Query(*pair) for pair in values["queries"]]
        values["thresholds"] = Thresholds(**values["thresholds"])
        return CollectOptions(**values)
    except (ValueError, TypeError, KeyError) as error:
        raise CollectionError(
            f"{ledger.folder / 'ledger.sqlite'} holds options that cannot be read ({error}); "
            "use the chairlib that made it, or begin in a new folder."
        ) from error


def write_options(ledger: Ledger, options: CollectOptions) -> None:
    """Keep ``options`` with the ledger, in one transaction."""
    values: dict[str, Any] = {item.name: getattr(options, item.name) for item in fields(options)}
    values["queries"] = [(query.text, query.kind) for query in options.queries]
    values["providers"] = list(options.providers)
    values["thresholds"] = asdict(options.thresholds)
    ledger.set_setting(_SETTING, json.dumps(values))
