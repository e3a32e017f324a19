"""What all settings have in common: unknown keys are errors, types are exact, nothing changes."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Damping", "Probability", "Strict", "Width"]

Width = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0, lt=1)]
Damping = Annotated[list[Annotated[float, Field(ge=0)]], Field(min_length=2, max_length=2)]
"""[user, item], added to counts."""


class Strict(BaseModel):
    """A frozen table of settings."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)
