"""The initial blueprints: what must be among them and what they claim of themselves."""

from __future__ import annotations

from domain.blueprint import Combine, ConfidenceLevel, blueprint_id
from domain.commands import Reads
from domain.shapes import is_trainable
from domain.urza.catalogue import INITIAL, registrations
from domain.urza.library import BlueprintLibrary, evolve
from domain.urza.provenance import verify_provenance

BY_NAME = {metadata.name: (graph, metadata) for graph, metadata in INITIAL}


def test_every_kind_that_is_asked_for_is_there() -> None:
    wanted = {
        "residual_mlp",
        "bottleneck_adapter",
        "low_rank_residual",
        "se_gate",
        "glu",
        "depthwise_convolution",
        "mini_self_attention",
        "layer_norm",
        "no_op",
        "soft_clamp",
    }
    assert wanted <= set(BY_NAME)


def test_names_and_graphs_are_all_different() -> None:
    assert len(BY_NAME) == len(INITIAL)
    assert len({blueprint_id(graph) for graph, _ in INITIAL}) == len(INITIAL)


def test_confidence_is_what_the_risk_says() -> None:
    for _, metadata in INITIAL:
        assert metadata.urabrask.conf_level is ConfidenceLevel.of_risk(metadata.urabrask.risk_score)


def test_the_workhorse_reads_both_and_is_trusted() -> None:
    graph, metadata = BY_NAME["residual_mlp"]
    assert is_trainable(graph)
    assert metadata.default_reads is Reads.BOTH
    assert metadata.urabrask.conf_level is ConfidenceLevel.HIGH


def test_what_cannot_train_says_so_and_everything_else_adds() -> None:
    for graph, metadata in INITIAL:
        assert is_trainable(graph) == ("fixed" not in metadata.urza.tags)
        if is_trainable(graph):
            assert graph.combine is Combine.ADD


def test_the_placebo_promises_nothing() -> None:
    _, metadata = BY_NAME["no_op"]
    assert metadata.estimates.past_accuracy_gain_estimate == 0
    assert metadata.urabrask.conf_level is ConfidenceLevel.SPECULATIVE


def test_registering_the_catalogue_gives_the_same_sealed_events_every_time() -> None:
    events = registrations()
    assert [event.model_dump_json() for event in events] == [event.model_dump_json() for event in registrations()]
    assert verify_provenance(events) == events[-1].hash
    library = BlueprintLibrary()
    for event in events:
        library = evolve(library, event)
    assert [record.number for record in library.offered()] == list(range(1, len(INITIAL) + 1))
