"""Values and columns travel bit for bit."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.events import EpochMetrics
from domain.values import Column, Value

AWKWARD = [math.nan, math.inf, -math.inf, -0.0, 0.0, 5e-324, 1.7976931348623157e308, 0.1]


class Holder(Value):
    column: Column
    number: float


def bits(number: float) -> bytes:
    return struct.pack("<d", number)


def bits_of(metrics: EpochMetrics) -> list[bytes]:
    return [bits(number) for number in metrics.model_dump().values()]


@pytest.mark.parametrize("number", AWKWARD, ids=repr)
def test_a_float_comes_back_from_json_bit_for_bit(number: float) -> None:
    held = Holder(column=Column([number, 1.0]), number=number)
    back = Holder.model_validate_json(held.model_dump_json(), strict=False)
    assert bits(back.number) == bits(number)
    assert back.column.values.tobytes() == held.column.values.tobytes()
    assert back.column == held.column


@given(st.lists(st.floats(), max_size=8), st.floats())
def test_any_column_comes_back_from_json_equal(numbers: list[float], number: float) -> None:
    held = Holder(column=Column(numbers), number=number)
    back = Holder.model_validate_json(held.model_dump_json(), strict=False)
    assert back.column == held.column
    assert hash(back.column) == hash(held.column)
    assert bits(back.number) == bits(number) or (math.isnan(back.number) and math.isnan(number))


def test_what_is_written_is_standard_json() -> None:
    text = Holder(column=Column([math.nan, math.inf, -math.inf]), number=math.nan).model_dump_json()
    assert text == '{"column":["NaN","Infinity","-Infinity"],"number":"NaN"}'


def test_a_strict_reader_takes_no_string_for_a_number() -> None:
    text = Holder(column=Column([]), number=math.inf).model_dump_json()
    with pytest.raises(ValidationError, match="valid number"):
        Holder.model_validate_json(text)


def test_a_column_tells_minus_zero_from_zero_and_takes_nan_for_nan() -> None:
    assert Column([-0.0]) != Column([0.0])
    assert Column([math.nan]) == Column([-math.nan])
    payload = np.frombuffer(struct.pack("<Q", 0x7FF8_0000_0000_1234), dtype=np.float64)
    assert Column(payload) == Column([math.nan]), "payload bits do not survive JSON and must not matter"
    assert Column([1.0]) != [1.0]


def test_a_column_cannot_be_written_to_and_does_not_share_its_source() -> None:
    source = np.array([1.0, 2.0])
    column = Column(source)
    source[0] = 9.0
    assert list(column) == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        column.values[0] = 3.0


def test_a_column_is_one_dimensional() -> None:
    with pytest.raises(ValueError, match=r"one-dimensional but got shape \(1, 2\)"):
        Column([[1.0, 2.0]])
    assert len(Column([])) == 0


def test_a_value_is_frozen_and_takes_no_field_it_does_not_know() -> None:
    metrics = EpochMetrics(train_loss=-0.0, train_accuracy=0.0, validation_loss=math.nan, validation_accuracy=1.0)
    with pytest.raises(ValidationError, match="frozen"):
        metrics.train_loss = 1.0
    with pytest.raises(ValidationError, match="Extra inputs are not permitted"):
        EpochMetrics.model_validate({**metrics.model_dump(), "surprise": 1})
    assert bits_of(EpochMetrics.model_validate_json(metrics.model_dump_json(), strict=False)) == bits_of(metrics)


def test_a_value_made_in_python_takes_no_text_for_a_number() -> None:
    with pytest.raises(ValidationError):
        Holder(column=Column([]), number="1.0")  # type: ignore[arg-type]
