"""What a run quotes of others reads the same in every process and under every version of a library."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from domain.identifiers import SeedId
from engine.wording import portable, short


def test_an_address_in_memory_is_left_out() -> None:
    assert portable(object()) == "<object object>"


def test_a_link_that_names_a_version_is_left_out() -> None:
    with pytest.raises(ValidationError) as refused:
        SeedId(layer=-1, index=0)

    said = portable(refused.value)

    assert "greater than or equal to 0" in said and "http" not in said and "\n" not in said


def test_what_is_long_is_cut() -> None:
    assert len(short("x" * 500)) == 80
