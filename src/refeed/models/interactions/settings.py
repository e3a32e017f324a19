"""The settings of a model of item-to-item weights, as numbers."""

from dataclasses import dataclass, replace
from typing import Any

from refeed.config.interactions import ItemToItemConfig

__all__ = ["DEFAULTS", "Settings", "given", "resolved"]


@dataclass(frozen=True)
class Settings:
    """What `ItemToItemConfig` says, without "auto" (see there)."""

    ridge: float = 500.0
    ridge_power: float = 0.0
    user_power: float = 0.0
    grade: float = 0.0
    recency: float = 0.0
    recency_span: float = 10.0
    popularity: float = 0.1
    trend: float = 0.0
    half_life: float = 30.0

    @property
    def of_weights(self) -> tuple[float, ...]:
        """Those that the weights depend on; the others change scores alone, so a trial of them is cheap."""
        return self.ridge, self.ridge_power, self.user_power, self.grade

    @property
    def of_sums(self) -> tuple[float, ...]:
        """Those that the sums over a history depend on, beside the popularity term and the trends."""
        return *self.of_weights, self.recency, self.recency_span

    def but(self, **changed: float) -> "Settings":
        """The same settings but for some."""
        return replace(self, **changed)

    def __str__(self) -> str:
        """As keys of the config."""
        return ", ".join(f"{name} {value:g}" for name, value in vars(self).items())


DEFAULTS = Settings()


def given(config: ItemToItemConfig) -> dict[str, float]:
    """What a config says other than "auto"."""
    settings = config.model_dump(include=set(vars(DEFAULTS)))
    return {name: float(value) for name, value in settings.items() if value != "auto"}


def resolved(config: Any, settings: Settings) -> Any:
    """The config with these numbers in the place of "auto"."""
    return config.model_copy(update={**vars(settings), **given(config)})
