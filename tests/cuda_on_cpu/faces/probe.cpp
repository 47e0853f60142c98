#include "../probe_kernels.cu"
#include "face.h"

CUDA_ON_CPU_FACE(places, probe::places)
CUDA_ON_CPU_FACE(warp_int, probe::warp<int>)
CUDA_ON_CPU_FACE(warp_double, probe::warp<double>)
CUDA_ON_CPU_FACE(narrow_half, probe::narrow<__half>)
CUDA_ON_CPU_FACE(narrow_bfloat16, probe::narrow<__nv_bfloat16>)
CUDA_ON_CPU_FACE(mistaken, probe::mistaken)
CUDA_ON_CPU_FACE(large, probe::large)
CUDA_ON_CPU_FACE(shaped, probe::shaped)
