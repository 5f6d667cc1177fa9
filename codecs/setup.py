"""The optional extension; everything else stands in pyproject.toml.

BUILD_EXTENSION unset tries to build it and goes on without where that fails, `yes` fails then, `no` leaves it
out.
"""

from __future__ import annotations

import os

from setuptools import Extension, setup

_CHOICES = ("", "yes", "no")

#: Unrolled loops over the four streams keep their state in registers; packed into vectors it made decoding a
#: quarter slower.
_FLAGS = ["-O3", "-fno-tree-slp-vectorize"]

#: No fused multiplication and addition, which rounds once where Python rounds twice.
_EXACT = ["-O3", "-ffp-contract=off"]


def extensions(choice: str) -> list[Extension]:
    """What to build for this value of BUILD_EXTENSION."""
    if choice not in _CHOICES:
        raise SystemExit(f"BUILD_EXTENSION={choice}: must be yes, no or not set")
    if choice == "no":
        return []
    return [
        Extension(
            "wirecodes._kernels",
            ["src/wirecodes/_kernels.pyx"],
            depends=["src/wirecodes/_bits.h"],
            extra_compile_args=_FLAGS,
            optional=choice != "yes",
        ),
        Extension(
            "wirecodes._signals",
            ["src/wirecodes/_signals.pyx"],
            extra_compile_args=_EXACT,
            optional=choice != "yes",
        ),
        Extension(
            "wirecodes._texts",
            ["src/wirecodes/_texts.pyx"],
            extra_compile_args=["-O3"],
            optional=choice != "yes",
        ),
    ]


setup(ext_modules=extensions(os.environ.get("BUILD_EXTENSION", "")))
