#pragma once

#include <string>
#include <vector>

namespace cuda_on_cpu {

constexpr int kFibres = 1024;  // the most threads that a block can have

// Stacks that threads of a block run on, one at a time, each until it suspends itself. The sanitizers are
// told of every switch; to the thread sanitizer a fibre is a thread, and `synchronise` the only thing that
// orders what fibres do.
class Fibres {
  public:
    explicit Fibres(void (*entry)());

    // A launch comes after all that was done before it; its blocks are ordered in no way.
    void begin_launch();
    void end_launch();
    void begin_block(int fibres);

    // Runs a fibre, from the start of `entry` in a new block, until it suspends itself.
    void resume(int fibre);
    void suspend();

    // Names the running fibre, for reports of races.
    bool has_names() const { return banks_ > 1; }
    void set_name(const std::string& name);

    // Orders what each of these fibres did before what any of them does next.
    void synchronise(const std::vector<unsigned>& fibres);

    // Forgets fibres in mid-run, so that they can begin anew.
    void abandon();

  private:
    static void run_fibre();
    char* stack_of(unsigned fibre);
    void* thread_of(unsigned fibre);

    // The thread sanitizer takes long to make a thread: four blocks have their own, then they are used again.
    static constexpr int kBanks = 4;

    void (*entry_)();
    int banks_;
    char* stacks_;
    int bank_ = 0;
    int running_ = 0;
    void* scheduler_ = nullptr;         // its stack pointer,
    void* scheduler_thread_ = nullptr;  // what it is to the thread sanitizer,
    void* scheduler_fake_ = nullptr;    // and to the address sanitizer
    const void* scheduler_stack_ = nullptr;
    unsigned long scheduler_size_ = 0;
    void* pointers_[kFibres] = {};
    void* fakes_[kFibres] = {};
    void* threads_[kBanks][kFibres] = {};
};

// Memory that fibres share, filled with poison; for `free`.
void* allocate_shared(unsigned long bytes);

}  // namespace cuda_on_cpu
