"""What all tests share: the folder of real data, where there is one."""

from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine is slow at times; what a test asserts is never a duration.
settings.register_profile("refeed", deadline=None)
settings.load_profile("refeed")

SHARED = Path(__file__).parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of real data beside the checkout; users don't have it, so such tests skip there."""
    if not SHARED.is_dir():
        pytest.skip("needs the folder of real data beside the checkout")
    return SHARED
