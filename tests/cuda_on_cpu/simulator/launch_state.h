#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "cuda_on_cpu.h"
#include "fibres.h"

namespace cuda_on_cpu {

constexpr unsigned kWarp = 32;
enum Order { ascending = -1, descending = -2 };  // or, from 0 on, the seed of a random one

struct Thread {
    enum State { ready, waiting, returned } state = ready;
    Place place;
    Meeting meeting;
    std::uint64_t received = 0;
};

// One launch: its blocks one after the other, in each the ready thread that is first in order. As a thread
// runs until it must wait, it gets as far ahead of the others as barriers let it.
class Launch {
  public:
    Launch(const char* kernel, dim3 grid, dim3 block, void (*body)(void*), void* context);
    void run();

    // Called by the running thread.
    void run_thread();
    std::uint64_t meet(const Meeting& meeting);
    void* shared_memory(const void* key, std::size_t bytes);

    const char* kernel;

  private:
    // scheduler.cpp
    std::vector<unsigned> in_order(std::size_t count);
    void begin_block(std::size_t block);
    void run_block();
    void free_shared();

    // meetings.cpp
    void complete(unsigned thread);
    bool attends(unsigned thread, const Meeting& meeting) const;
    std::vector<unsigned> members(unsigned thread) const;
    void exchange(const std::vector<unsigned>& lanes);
    void explain_standstill();
    std::string state_of(unsigned thread) const;
    void fail_thread(unsigned thread, const std::string& what) const;

    dim3 grid_, block_;
    void (*body_)(void*);
    void* context_;
    std::size_t size_;
    std::vector<Thread> threads_;
    std::vector<unsigned> thread_at_, position_of_;
    std::bitset<kFibres> ready_;  // by position
    unsigned running_ = 0;
    std::map<const void*, void*> shared_;
    std::size_t shared_bytes_ = 0;
    std::mt19937 random_;
};

extern Fibres fibres;

// Keeps what went wrong; nothing runs after it.
void fail(cudaError_t code, const std::string& message);
bool failed();

std::string text(const char* format, ...);
std::string triple(const auto& value) {
    return text("(%u, %u, %u)", value.x, value.y, value.z);
}

}  // namespace cuda_on_cpu
