"""Libraries of the extra `peers`, imported when they are needed."""

import importlib
import warnings
from types import ModuleType

from refeed.errors import ConfigError

__all__ = ["peer"]


def peer(name: str, kind: str) -> ModuleType:
    """The library `name`, for a model of this kind.

    Raises:
        ConfigError: it can't be imported.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it imports in turn; the user can do nothing about that
            return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(
            f"a {kind} model needs the library {name}, which can't be imported ({error}); "
            'install the extra "peers": pip install "refeed[peers]"'
        ) from error
