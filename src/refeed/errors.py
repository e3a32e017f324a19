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
]


class RefeedError(Exception):
    """The root of all of refeed's own errors."""


class UserError(RefeedError):
    """Something that the user can put right; the message says how."""


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
