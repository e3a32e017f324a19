"""What `import refeed` gives."""

import subprocess
import sys
from importlib.metadata import version

import pytest

import refeed


def test_the_public_names_are_sorted_and_there() -> None:
    assert sorted(refeed.__all__) == refeed.__all__
    assert all(getattr(refeed, name) is not None for name in refeed.__all__)
    assert set(refeed.__all__) <= set(dir(refeed))


def test_the_version_is_that_of_the_package() -> None:
    assert refeed.__version__ == version("refeed")


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="'refeed' has no attribute 'nonsense'"):
        refeed.nonsense  # noqa: B018


def test_importing_refeed_imports_nothing_heavy() -> None:
    program = "import sys, refeed; print({'torch', 'duckdb', 'numpy', 'pydantic'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
