from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from engine.journal.blobs import FolderBlobs
from engine.oona.bus import Delivery
from engine.oona.envelope import name_of
from engine.oona.faults import FaultKind, MessageFault
from engine.oona.in_process import InProcessBus
from engine.oona.inbox import Inbox
from engine.oona.topics import Topic
from tests.support.bus_messages import Effects, TheseFaults, message

RUNS = ("one", "two")
EPOCHS = 4


@st.composite
def schedules(draw: st.DrawFn) -> tuple[list[tuple[str, int, int]], list[MessageFault]]:
    """Messages as (run, number, epoch) in the order of publishing, and what befalls some of them."""
    sent, numbers = [], dict.fromkeys(RUNS, 0)
    for epoch in range(1, EPOCHS + 1):
        for run in draw(st.lists(st.sampled_from(RUNS), max_size=8)):
            numbers[run] += 1
            sent.append((run, numbers[run], epoch))
    facts = []
    for run, number, _ in sent:
        kind = draw(st.one_of(st.none(), st.sampled_from(FaultKind)))
        if kind is not None:
            facts.append(
                MessageFault(
                    message=name_of(message(number, run=run)),
                    consumer="nissa",
                    kind=kind,
                    later=draw(st.integers(0, 4)),
                    epochs=draw(st.integers(0, 2)),
                )
            )
    return sent, facts


def put_back_or_take(inbox: Inbox, delivery: Delivery, effects: Effects, *, puts_back: bool) -> None:
    if puts_back:
        delivery.again()
    else:
        inbox.take(delivery, effects)


def effects_of(
    sent: Sequence[tuple[str, int, int]], faults: TheseFaults, moods: st.DataObject, folder: Path
) -> Effects:
    bus, inbox, effects = InProcessBus(FolderBlobs(folder), faults=faults), Inbox(), Effects()
    nissa = bus.subscribe([Topic.EPOCHS], "nissa")
    for run, number, epoch in sent:
        bus.publish(Topic.EPOCHS, message(number, run=run, epoch=epoch))
        if moods.draw(st.booleans(), "consumes now") and (delivery := nissa.next(0)) is not None:
            put_back_or_take(inbox, delivery, effects, puts_back=moods.draw(st.booleans(), "puts back"))
        if moods.draw(st.integers(0, 9), "is restarted") == 9:
            nissa.close()
            nissa = bus.subscribe([Topic.EPOCHS], "nissa")
    bus.reach(EPOCHS + 2)
    while (delivery := nissa.next(0)) is not None:
        inbox.take(delivery, effects)
    assert bus.dead_letters() == ()
    return effects


@given(schedules(), st.data())
def test_whatever_befalls_messages_each_has_its_effect_once_and_in_order(
    schedule: tuple[list[tuple[str, int, int]], list[MessageFault]], moods: st.DataObject
) -> None:
    sent, facts = schedule

    with tempfile.TemporaryDirectory() as folder:
        effects = effects_of(sent, TheseFaults(facts), moods, Path(folder))

    assert effects.had == {
        run: list(range(1, count + 1)) for run in RUNS if (count := sum(name == run for name, _, _ in sent))
    }
