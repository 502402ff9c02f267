"""A few of many blueprints: those of the best profiles, proven ones first, and some unlike them, so that nothing is passed over.

Source: HLD appendix C.5.3, "about 20 by profile plus a diversity sample". That what a host has kept has places of its own is
ours: an architect makes a score of children of what is good, and guesses at them would fill the list (DECISIONS.md, D-054).
"""

from __future__ import annotations

from collections.abc import Sequence

from domain.tamiyo.blueprint_terms import operations_of
from domain.tamiyo.config import TamiyoConfig
from domain.tamiyo.expectations import expectations
from domain.urza.library import BlueprintLibrary
from domain.urza.record import BlueprintRecord


def shortlist(
    records: Sequence[BlueprintRecord], library: BlueprintLibrary, config: TamiyoConfig
) -> tuple[BlueprintRecord, ...]:
    """``shortlist_size`` records by profile and ``shortlist_sample`` unlike them; all where there are no more.

    Half of the former places go first to records that a host has kept at least once, the best profiles of them, as far as
    there are any; the rest go by profile alone. In the order of ``records``. Equal profiles go to the lower number. The
    sample draws nothing: again and again it takes the record whose operations are least like those of anything taken
    before, of equals the better profile.
    """
    if len(records) <= config.shortlist_size:
        return tuple(records)
    known = expectations(library)
    by_profile = sorted(records, key=lambda record: (-known[record.blueprint_id].profile, record.number))
    kept = [record for record in by_profile if record.statistics.fossilized]
    proven = frozenset(record.blueprint_id for record in kept[: config.shortlist_size // 2])
    by_place = sorted(by_profile, key=lambda record: record.blueprint_id not in proven)
    taken, rest = by_place[: config.shortlist_size], by_place[config.shortlist_size :]
    distance = [min(_distance(record, other) for other in taken) for record in rest]
    for _ in range(min(config.shortlist_sample, len(rest))):
        at = max(range(len(rest)), key=lambda each: (distance[each], -each))
        taken.append(rest[at])
        # It is as near as can be to itself, so it is not taken twice: below every distance of the others.
        distance = [min(far, _distance(record, rest[at])) for record, far in zip(rest, distance, strict=True)]
        distance[at] = -1.0
    chosen = {record.blueprint_id for record in taken}
    return tuple(record for record in records if record.blueprint_id in chosen)


def _distance(one: BlueprintRecord, other: BlueprintRecord) -> float:
    """1 - the share of their kinds of operation that both have, [0, 1]."""
    mine, theirs = operations_of(one), operations_of(other)
    return 1.0 - len(mine & theirs) / len(mine | theirs)
