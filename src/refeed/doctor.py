"""Facts about this machine that decide how refeed runs on it; for bug reports and for slow runs."""

import os
import platform
from importlib.metadata import version

import torch

from refeed import kernels

__all__ = ["environment"]

Fact = str | int | float | bool | None


def environment() -> dict[str, Fact]:
    """Versions, processor, threads, accelerator and memory, by name."""
    return {
        **{name: version(name) for name in ("refeed", "torch", "numpy", "duckdb")},
        "python": platform.python_version(),
        "platform": " ".join((platform.system(), platform.machine(), *platform.libc_ver())).strip(),
        "cpu_cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "torch_threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "kernels": kernels.described(),
        "bf16": _bf16(),
        "memory_gib": _memory_gib(),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "gpu_memory_gib": _gpu_memory_gib(),
    }


def _bf16() -> str:
    """What bf16 matrix products gain here, in words."""
    flags = _cpu_flags()
    if "amx_bf16" in flags:
        return "fast (the processor has AMX)"
    if "avx512_bf16" in flags:
        return "somewhat faster than float32 (the processor has AVX-512 BF16)"
    return "no faster than float32 (the processor has neither AMX nor AVX-512 BF16)"


def _cpu_flags() -> set[str]:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as cpuinfo:  # noqa: PTH123 - not a file of ours
            for line in cpuinfo:
                if line.startswith("flags"):
                    return set(line.split())
    except OSError:  # not Linux
        pass
    return set()


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # not Unix
        return None


def _gpu_memory_gib() -> float | None:
    if not torch.cuda.is_available():
        return None
    return round(torch.cuda.get_device_properties(0).total_memory / 2**30, 1)
