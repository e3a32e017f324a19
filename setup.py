"""The compiled kernels; where there is no C compiler, refeed installs and runs without them."""

import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_ext import build_ext

if sys.platform == "win32":
    sys.exit("refeed runs on Linux and macOS; on Windows install it in the Windows Subsystem for Linux (WSL)")


class BuildLibrary(build_ext):
    """The kernels know nothing of Python: a plain library, found by ctypes, with a plain library's name."""

    def get_ext_filename(self, fullname: str) -> str:
        """`refeed/kernels/_native.so` on every platform, whatever the Python."""
        return str(Path(*fullname.split(".")).with_suffix(".so"))


class PlatformWheel(bdist_wheel):
    """So one wheel a platform serves every Python."""

    def get_tag(self) -> tuple[str, str, str]:
        """`py3-none-PLATFORM`."""
        return "py3", "none", super().get_tag()[2]


setup(
    ext_modules=[
        Extension(
            "refeed.kernels._native",
            ["src/refeed/kernels/kernels.c"],
            depends=[f"src/refeed/kernels/{name}.h" for name in ("gram", "rows", "updates")],
            extra_compile_args=["-O3", "-fno-math-errno"],
            optional=True,
        )
    ],
    cmdclass={"build_ext": BuildLibrary, "bdist_wheel": PlatformWheel},
)
