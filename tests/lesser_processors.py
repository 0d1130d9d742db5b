"""How processes are made to believe that they run on a lesser processor."""

from __future__ import annotations

import importlib

NUMPY_FEATURES = " ".join(importlib.import_module("numpy._core._multiarray_umath").__cpu_dispatch__)
"""All that numpy would otherwise make use of beyond its baseline."""

LESSER_PROCESSOR = {
    "NPY_DISABLE_CPU_FEATURES": NUMPY_FEATURES,
    "OPENBLAS_CORETYPE": "Prescott",
    "GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-AVX512F,-FMA,-FMA4,-AVX,-SSE4_2",
}
"""What numpy, BLAS and the C library are told the processor can do: what every x86-64 can."""
