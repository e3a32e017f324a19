"""Every error that refeed raises on purpose.

    RefeedError
    └── UserError                 the command line prints it and exits with 2
        ├── DataError             a table, archive or folder that can't be read as ratings
        ├── StoreError            a ratings store that is damaged, incomplete or of another version
        ├── ModelError            a model folder that is damaged, incomplete or of another version
        ├── ConfigError           a recipe or a setting that makes no sense
        ├── UnknownIdError        a user or an item that the model has never seen
        ├── TrainingDivergedError the loss became NaN or infinite
        └── ProcessError          one of several processes that train together has ended, or hangs

A message says what was given, what was expected, and what to do.
"""

import re

__all__ = [
    "ConfigError",
    "DataError",
    "ModelError",
    "ProcessError",
    "RefeedError",
    "StoreError",
    "TrainingDivergedError",
    "UnknownIdError",
    "UserError",
    "printable",
]

_NOT_SHOWN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u2028\u2029]")


def printable(text: str) -> str:
    """Text for a terminal: control characters, which might steer it, as escapes; line breaks stay."""
    return _NOT_SHOWN.sub(lambda found: repr(found[0])[1:-1], text)


class RefeedError(Exception):
    """The root of all of refeed's own errors."""


class UserError(RefeedError):
    """Something that the user can put right; the message says how, without control characters."""

    def __str__(self) -> str:
        """The message."""
        return printable(super().__str__())


class DataError(UserError):
    """A table, archive or folder that can't be read as ratings."""


class StoreError(UserError):
    """A ratings store that is damaged, incomplete or of another version."""


class ModelError(UserError):
    """A model folder that is damaged, incomplete or of another version."""


class ConfigError(UserError):
    """A recipe or a setting that makes no sense."""


class UnknownIdError(UserError):
    """A user or an item that the model has never seen."""


class TrainingDivergedError(UserError):
    """The loss became NaN or infinite."""


class ProcessError(UserError):
    """One of several processes that train together has ended, or hangs."""
