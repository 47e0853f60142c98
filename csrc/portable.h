#pragma once

// What the arithmetic headers need to be compiled by the host's compiler and by nvcc alike.
#ifdef __CUDACC__
#define SAM_HOST_DEVICE __host__ __device__
#else
#define SAM_HOST_DEVICE
#endif
