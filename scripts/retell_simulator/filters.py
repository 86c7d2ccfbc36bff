"""The filter shapes of list-calls (retell.md §5)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator


class Strict(BaseModel):
    """No extra keys, no conversions."""

    model_config = ConfigDict(extra="forbid", strict=True)


class _Keyed(Strict):
    key: str | None = None
    """Which top-level key to look at; only for metadata and dynamic variables."""


class StringFilter(_Keyed):
    """Equal, not equal, starts with, ends with, contains."""

    type: Literal["string"]
    op: Literal["eq", "ne", "sw", "ew", "co"]
    value: str

    def matches(self, actual: Any) -> bool:
        """Whether a value passes."""
        if not isinstance(actual, str):
            return False
        return {
            "eq": actual == self.value,
            "ne": actual != self.value,
            "sw": actual.startswith(self.value),
            "ew": actual.endswith(self.value),
            "co": self.value in actual,
        }[self.op]


class NumberFilter(_Keyed):
    """Comparison with one number."""

    type: Literal["number"]
    op: Literal["eq", "ne", "gt", "ge", "lt", "le"]
    value: float

    def matches(self, actual: Any) -> bool:
        """Whether a value passes."""
        if not isinstance(actual, int | float):
            return False
        return {
            "eq": actual == self.value,
            "ne": actual != self.value,
            "gt": actual > self.value,
            "ge": actual >= self.value,
            "lt": actual < self.value,
            "le": actual <= self.value,
        }[self.op]


class RangeFilter(_Keyed):
    """Between two numbers, both included."""

    type: Literal["range"]
    op: Literal["bt"]
    value: Annotated[list[float], Field(min_length=2, max_length=2)]

    def matches(self, actual: Any) -> bool:
        """Whether a value passes."""
        return isinstance(actual, int | float) and self.value[0] <= actual <= self.value[1]


class BooleanFilter(_Keyed):
    """True or false."""

    type: Literal["boolean"]
    op: Literal["eq"]
    value: bool

    def matches(self, actual: Any) -> bool:
        """Whether a value passes."""
        return actual is self.value


class EnumFilter(_Keyed):
    """One of several."""

    type: Literal["enum"]
    op: Literal["in"]
    value: list[str]

    def matches(self, actual: Any) -> bool:
        """Whether a value passes."""
        return actual in self.value


class PresentFilter(_Keyed):
    """There at all, or not."""

    type: Literal["present"]
    op: Literal["pr", "np"]

    def matches(self, actual: Any) -> bool:
        """Whether a value passes."""
        return (actual is not None) == (self.op == "pr")


class StatusFilter(Strict):
    """`call_status`: `registered` cannot be asked for."""

    type: Literal["enum"]
    op: Literal["in"]
    value: list[Literal["not_connected", "ongoing", "ended", "error"]]

    def matches(self, actual: Any) -> bool:
        """Whether a value passes."""
        return actual in self.value


AnyFilter = Annotated[
    StringFilter | NumberFilter | RangeFilter | BooleanFilter | EnumFilter | PresentFilter,
    Field(discriminator="type"),
]


class Criteria(Strict):
    """The filters the simulator knows; others are refused rather than ignored, so that no filter is lost."""

    metadata: list[AnyFilter] = []
    dynamic_variables: list[AnyFilter] = []
    call_id: AnyFilter | None = None
    to_number: AnyFilter | None = None
    from_number: AnyFilter | None = None
    call_status: StatusFilter | None = None
    call_type: AnyFilter | None = None
    direction: AnyFilter | None = None
    disconnection_reason: AnyFilter | None = None
    start_timestamp: AnyFilter | None = None
    end_timestamp: AnyFilter | None = None
    duration_ms: AnyFilter | None = None
    combined_cost: AnyFilter | None = None

    @model_validator(mode="after")
    def _keys_where_they_belong(self) -> "Criteria":
        if any(item.key is None for item in (*self.metadata, *self.dynamic_variables)):
            raise ValueError("metadata and dynamic_variables filters must have required property 'key'")
        return self
