"""The two kinds of value everything here is made of, frozen records and columns of numbers, and ``Same``, a key by identity."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Generic, Self, TypeVar, final

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

RecordT = TypeVar("RecordT")
HeldT = TypeVar("HeldT")

Finite = Annotated[float, Field(allow_inf_nan=False)]
"""A claim that is added up or averaged with others: one infinity among them would leave nothing of the rest."""


def changed(record: RecordT, **fields: Any) -> RecordT:
    """As ``dataclasses.replace``, several times as fast: for what every event of a rebuild changes.

    For frozen dataclasses without slots, ``__post_init__`` and cached properties, which the copy would take over; the names
    of fields are not checked.
    """
    copy: RecordT = object.__new__(type(record))
    object.__setattr__(copy, "__dict__", record.__dict__ | fields)
    return copy


@final
class Same(Generic[HeldT]):
    """Stands for one very object, which must never change, as a key. Keeps it alive, so that its identity stays its own."""

    __slots__ = ("held",)

    def __init__(self, held: HeldT) -> None:
        self.held = held

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.held is other.held

    def __hash__(self) -> int:
        return id(self.held)


class Value(BaseModel):
    """A frozen record: strict when made in Python, bit-exact through JSON.

    Not-a-number and the infinities travel as the strings ``"NaN"``, ``"Infinity"`` and
    ``"-Infinity"``, so that what we write is standard JSON and still reads back as the same float:
    with ``strict=False``, because a strict reader takes no string for a number.
    """

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="forbid",
        ser_json_inf_nan="strings",
        allow_inf_nan=True,
    )

    @cached_property
    def quoted(self) -> str:
        """Its JSON as a JSON string: what digests of state are taken over. Made once, since no value ever changes."""
        return json.dumps(self.model_dump_json())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """As pydantic's, without what was worked out of the original's fields: pydantic would copy that as well."""
        copy = super().model_copy(update=update, deep=deep)
        for name in copy.__dict__.keys() - type(self).model_fields.keys():
            del copy.__dict__[name]
        return copy


@final
class Column:
    """An immutable column of float64, shape (seeds,); equal when equal bit for bit (so NaN equals NaN)."""

    __slots__ = ("_values",)

    def __init__(self, values: ArrayLike | Iterable[float]) -> None:
        array = np.array(values, dtype=np.float64)
        if array.ndim != 1:
            raise ValueError(f"a column is one-dimensional but got shape {array.shape}")
        array[np.isnan(array)] = np.nan  # one bit pattern for NaN: payload bits do not survive JSON
        array.setflags(write=False)
        self._values = array

    @property
    def values(self) -> NDArray[np.float64]:
        """Read-only array, shape (seeds,)."""
        return self._values

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._values, dtype=dtype, copy=copy)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[float]:
        return iter(self._values.tolist())

    def __getitem__(self, index: int) -> float:
        return float(self._values[index])

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Column) and self._values.tobytes() == other._values.tobytes()

    def __hash__(self) -> int:
        return hash(self._values.tobytes())

    def __repr__(self) -> str:
        return f"Column({self._values.tolist()})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        floats = core_schema.list_schema(core_schema.float_schema(allow_inf_nan=True))
        from_list = core_schema.no_info_after_validator_function(cls, floats)
        return core_schema.json_or_python_schema(
            json_schema=from_list,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), from_list]),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda column: column._values.tolist(), return_schema=floats, when_used="json"
            ),
        )
