"""The compiled kernels; where there is no C compiler, refeed installs and runs without them."""

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "refeed.kernels._native",
            ["src/refeed/kernels/kernels.c"],
            depends=[f"src/refeed/kernels/{name}.h" for name in ("gram", "rows", "updates")],
            extra_compile_args=["-O3", "-fno-math-errno"],
            optional=True,
        )
    ]
)
