#include <cuda_occupancy.h>

// How many blocks of a kernel one multiprocessor holds, by NVIDIA's own calculator; negative for an error.
// Limits: compute capability, threads, shared memory of a multiprocessor and of a block, and what the driver
// takes of it (CUDA programming guide, "Technical specifications per compute capability").
extern "C" int blocks_per_multiprocessor(int major, int minor, int threads, int shared, int shared_block,
                                         int block, int registers, int used_shared, int barriers) {
    cudaOccDeviceProp device;
    device.computeMajor = major;
    device.computeMinor = minor;
    device.maxThreadsPerBlock = 1024;
    device.maxThreadsPerMultiprocessor = threads;
    device.regsPerBlock = device.regsPerMultiprocessor = 65536;
    device.warpSize = 32;
    device.sharedMemPerBlock = 48 << 10;
    device.sharedMemPerMultiprocessor = shared;
    device.numSms = 1;
    device.sharedMemPerBlockOptin = shared_block;
    device.reservedSharedMemPerBlock = 1024;
    cudaOccFuncAttributes kernel;
    kernel.maxThreadsPerBlock = 1024;
    kernel.numRegs = registers;
    kernel.sharedSizeBytes = used_shared;
    kernel.maxDynamicSharedSizeBytes = shared_block;
    kernel.numBlockBarriers = barriers;
    const cudaOccDeviceState state;
    cudaOccResult result;
    const auto error = cudaOccMaxActiveBlocksPerMultiprocessor(&result, &device, &kernel, &state, block, 0);
    return error == CUDA_OCC_SUCCESS ? result.activeBlocksPerMultiprocessor : -static_cast<int>(error);
}
