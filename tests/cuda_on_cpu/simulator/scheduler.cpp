#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <numeric>

#include "launch_state.h"

extern "C" __attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)());

namespace cuda_on_cpu {

const Place* place = nullptr;

namespace {

constexpr std::size_t kSharedLimit = 48 << 10;

Launch* current = nullptr;
std::int64_t order = ascending;
std::string failure;
cudaError_t error = cudaSuccess;

std::size_t volume(dim3 extents) {
    return std::size_t{extents.x} * extents.y * extents.z;
}

uint3 unravel(std::size_t index, dim3 extents) {
    const std::size_t row = index / extents.x;
    return {static_cast<unsigned>(index % extents.x), static_cast<unsigned>(row % extents.y),
            static_cast<unsigned>(row / extents.y)};
}

bool legal(dim3 grid, dim3 block) {
    const bool grid_fits = volume(grid) > 0 && grid.x <= 0x7fffffff && grid.y <= 65535 && grid.z <= 65535;
    return grid_fits && volume(block) > 0 && volume(block) <= kFibres && block.z <= 64;
}

// The last words of a process that a kernel brings down.
void say_where() {
    if (!current) return;
    const auto [thread, block, block_size, grid_size] = *place;
    static char words[256];
    const int length =
        std::snprintf(words, sizeof words, "in %s, block (%u, %u, %u), thread (%u, %u, %u)\n",
                      current->kernel, block.x, block.y, block.z, thread.x, thread.y, thread.z);
    if (write(STDERR_FILENO, words, static_cast<std::size_t>(length)) < 0) _exit(1);
}

void on_signal(int signal_number) {
    say_where();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

// Signals are handled on a stack of their own, for that of a thread may be what has run out.
void announce_crashes() {
    if (__sanitizer_set_death_callback) return __sanitizer_set_death_callback(&say_where);
    static char memory[1 << 15];
    stack_t stack{};
    stack.ss_sp = memory;
    stack.ss_size = sizeof memory;
    sigaltstack(&stack, nullptr);
    struct sigaction action{};
    action.sa_handler = &on_signal;
    action.sa_flags = SA_ONSTACK;
    for (const int signal_number : {SIGSEGV, SIGBUS, SIGFPE}) sigaction(signal_number, &action, nullptr);
}

}  // namespace

Fibres fibres([] { current->run_thread(); });

std::string text(const char* format, ...) {
    char buffer[512];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(buffer, sizeof buffer, format, arguments);
    va_end(arguments);
    return buffer;
}

void fail(cudaError_t code, const std::string& message) {
    error = code;
    failure = message;
}

bool failed() {
    return error != cudaSuccess;
}

Launch::Launch(const char* kernel, dim3 grid, dim3 block, void (*body)(void*), void* context)
    : kernel(kernel),
      grid_(grid),
      block_(block),
      body_(body),
      context_(context),
      size_(volume(block)),
      random_(static_cast<unsigned>(order)) {}

void Launch::run() {
    current = this;
    fibres.begin_launch();
    for (const unsigned block : in_order(volume(grid_))) {
        begin_block(block);
        run_block();
        free_shared();
        if (failed()) break;
    }
    if (failed()) fibres.abandon();
    fibres.end_launch();
    current = nullptr;
}

std::vector<unsigned> Launch::in_order(std::size_t count) {
    std::vector<unsigned> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    if (order == descending) std::reverse(numbers.begin(), numbers.end());
    if (order >= 0) std::shuffle(numbers.begin(), numbers.end(), random_);
    return numbers;
}

void Launch::begin_block(std::size_t block) {
    threads_.assign(size_, {});
    thread_at_ = in_order(size_);
    position_of_.resize(size_);
    for (unsigned position = 0; position < size_; ++position) {
        position_of_[thread_at_[position]] = position;
        threads_[position].place = {unravel(position, block_), unravel(block, grid_), block_, grid_};
        ready_.set(position);
    }
    fibres.begin_block(static_cast<int>(size_));
}

void Launch::run_block() {
    while (ready_.any() && !failed()) {
        running_ = thread_at_[ready_._Find_first()];
        place = &threads_[running_].place;
        fibres.resume(static_cast<int>(running_));
        if (failed()) return;
        ready_.reset(position_of_[running_]);
        if (threads_[running_].state == Thread::waiting) complete(running_);
        if (ready_.none() && !failed()) explain_standstill();
    }
}

void Launch::run_thread() {
    if (fibres.has_names())
        fibres.set_name("block " + triple(place->block) + ", thread " + triple(place->thread));
    body_(context_);
    threads_[running_].state = Thread::returned;
}

std::uint64_t Launch::meet(const Meeting& meeting) {
    Thread& thread = threads_[running_];
    thread.meeting = meeting;
    thread.state = Thread::waiting;
    if (meeting.kind != Meeting::barrier && !(meeting.mask >> running_ % kWarp & 1))
        fail_thread(running_, text("its own lane is not in the mask 0x%08x", meeting.mask));
    fibres.suspend();
    return thread.received;
}

void* Launch::shared_memory(const void* key, std::size_t bytes) {
    const auto [found, added] = shared_.try_emplace(key, nullptr);
    if (!added) return found->second;
    shared_bytes_ += bytes;
    if (shared_bytes_ > kSharedLimit) {
        fail(cudaErrorInvalidValue,
             text("%s: %zu bytes of shared memory are more than the %zu that a block can have", kernel,
                  shared_bytes_, kSharedLimit));
        fibres.suspend();
    }
    return found->second = allocate_shared(bytes);
}

void Launch::free_shared() {
    for (const auto& [key, memory] : shared_) std::free(memory);
    shared_.clear();
    shared_bytes_ = 0;
}

std::uint64_t meet(const Meeting& meeting) {
    return current->meet(meeting);
}

void* shared_memory(const void* key, std::size_t bytes) {
    return current->shared_memory(key, bytes);
}

void launch_body(const char* kernel, dim3 grid, dim3 block, void (*body)(void*), void* context) {
    if (failed()) return;
    if (legal(grid, block))
        Launch(kernel, grid, block, body, context).run();
    else
        fail(cudaErrorInvalidConfiguration,
             kernel + (": no grid " + triple(grid)) + " of blocks " + triple(block) + " can be launched");
}

}  // namespace cuda_on_cpu

#pragma GCC visibility push(default)
extern "C" {

cudaError_t cudaGetLastError() {
    return cuda_on_cpu::error;
}

// Of this one's reports the address sanitizer's callback does not hear.
void __ubsan_on_report() {
    cuda_on_cpu::say_where();
}

// What went wrong since the last `cuda_on_cpu_begin`, or an empty text.
const char* cuda_on_cpu_failure() {
    return cuda_on_cpu::failure.c_str();
}

void cuda_on_cpu_begin(std::int64_t order) {
    cuda_on_cpu::announce_crashes();
    cuda_on_cpu::order = order;
    cuda_on_cpu::fail(cudaSuccess, "");
}
}
#pragma GCC visibility pop
