#pragma once

// One function, compiled for each vector width; the widest that the processor has is chosen on loading.
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define SAM_VECTOR_CLONES __attribute__((target_clones("default", "avx2", "avx512f")))
#else
#define SAM_VECTOR_CLONES
#endif
