#include "../teaching_kernels.cu"
#include "face.h"

CUDA_ON_CPU_FACE(smooth, teaching::smooth)
CUDA_ON_CPU_FACE(fill, teaching::fill)
CUDA_ON_CPU_FACE(scatter, teaching::scatter)
