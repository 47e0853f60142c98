#include "fibres.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

// Compiled without a sanitizer. Which one is in the process shows in which of these are there.
#define WEAK extern "C" __attribute__((weak))
WEAK void __sanitizer_start_switch_fiber(void** fake, const void* stack, unsigned long size);
WEAK void __sanitizer_finish_switch_fiber(void* fake, const void** stack, unsigned long* size);
WEAK void __asan_unpoison_memory_region(const volatile void* memory, unsigned long size);
WEAK void* __tsan_get_current_fiber();
WEAK void* __tsan_create_fiber(unsigned flags);
WEAK void __tsan_destroy_fiber(void* fiber);
WEAK void __tsan_switch_to_fiber(void* fiber, unsigned flags);
WEAK void __tsan_set_fiber_name(void* fiber, const char* name);
WEAK void __tsan_acquire(void* address);
WEAK void __tsan_release(void* address);
WEAK void AnnotateIgnoreWritesBegin(const char* file, int line);
WEAK void AnnotateIgnoreWritesEnd(const char* file, int line);

// Pushes the registers that a called function keeps, and goes on with the other stack as it was left.
extern "C" void cuda_on_cpu_switch(void** from, void* to);
asm(R"(
.text
.hidden cuda_on_cpu_switch
.globl cuda_on_cpu_switch
cuda_on_cpu_switch:
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
)");

namespace cuda_on_cpu {
namespace {

constexpr unsigned long kStack = 128 << 10, kPage = 4 << 10;
constexpr unsigned kUnordered = 1;  // a switch that is no synchronisation
constexpr int kSavedRegisters = 6;

Fibres* running_fibres = nullptr;
char launched, finished;  // addresses for the thread sanitizer to hang an order on

// To the thread sanitizer, allocating and freeing are writes of whoever does them. Those of the simulator are
// ordered with nothing that fibres do, and are no race.
void look_away(bool away) {
    auto* change = away ? AnnotateIgnoreWritesBegin : AnnotateIgnoreWritesEnd;
    if (change) change(__FILE__, __LINE__);
}

}  // namespace

// A page without access under each stack ends a run that overflows it.
Fibres::Fibres(void (*entry)()) : entry_(entry), banks_(__tsan_create_fiber ? kBanks : 1) {
    const int stacks = kFibres * banks_;
    void* memory = mmap(nullptr, stacks * kStack, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    stacks_ = static_cast<char*>(memory);
    for (int stack = 0; stack < stacks; ++stack) mprotect(stacks_ + stack * kStack, kPage, PROT_NONE);
}

void Fibres::begin_launch() {
    if (!__tsan_release) return;
    scheduler_thread_ = __tsan_get_current_fiber();
    __tsan_release(&launched);
    look_away(true);
}

void Fibres::end_launch() {
    if (!__tsan_acquire) return;
    look_away(false);
    __tsan_acquire(&finished);
}

void Fibres::begin_block(int fibres) {
    bank_ = (bank_ + 1) % banks_;
    for (int fibre = 0; fibre < fibres; ++fibre) {
        auto** top = reinterpret_cast<void**>(stack_of(fibre) + kStack);
        top[-2] = reinterpret_cast<void*>(&run_fibre);  // with no address to return to in top[-1]
        pointers_[fibre] = top - 2 - kSavedRegisters;
        fakes_[fibre] = nullptr;
    }
}

void Fibres::run_fibre() {
    Fibres& own = *running_fibres;
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(nullptr, &own.scheduler_stack_, &own.scheduler_size_);
    if (__tsan_acquire) __tsan_acquire(&launched);
    own.entry_();
    if (__tsan_release) __tsan_release(&finished);
    own.suspend();
}

void Fibres::resume(int fibre) {
    running_fibres = this;
    running_ = fibre;
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(&scheduler_fake_, stack_of(fibre), kStack);
    if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(thread_of(fibre), kUnordered);
    cuda_on_cpu_switch(&scheduler_, pointers_[fibre]);
    if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(scheduler_fake_, nullptr, nullptr);
}

void Fibres::suspend() {
    const int fibre = running_;
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(&fakes_[fibre], scheduler_stack_, scheduler_size_);
    if (__tsan_switch_to_fiber) __tsan_switch_to_fiber(scheduler_thread_, kUnordered);
    cuda_on_cpu_switch(&pointers_[fibre], scheduler_);
    if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(fakes_[fibre], nullptr, nullptr);
}

void Fibres::set_name(const std::string& name) {
    __tsan_set_fiber_name(thread_of(running_), name.c_str());
}

char* Fibres::stack_of(unsigned fibre) {
    return stacks_ + (bank_ * kFibres + fibre) * kStack;
}

void* Fibres::thread_of(unsigned fibre) {
    void*& thread = threads_[bank_][fibre];
    if (!thread) thread = __tsan_create_fiber(0);
    return thread;
}

// Each time by an address of its own: one that was used before would order these fibres after those.
void Fibres::synchronise(const std::vector<unsigned>& fibres) {
    if (!__tsan_switch_to_fiber) return;
    void* const meeting = std::malloc(1);
    for (auto* order : {__tsan_release, __tsan_acquire})
        for (const unsigned fibre : fibres) {
            __tsan_switch_to_fiber(thread_of(fibre), kUnordered);
            order(meeting);
        }
    __tsan_switch_to_fiber(scheduler_thread_, kUnordered);
    std::free(meeting);
}

void Fibres::abandon() {
    for (int fibre = 0; fibre < kFibres; ++fibre) {
        if (__asan_unpoison_memory_region)
            __asan_unpoison_memory_region(stack_of(fibre) + kPage, kStack - kPage);
        void*& thread = threads_[bank_][fibre];
        if (!thread) continue;
        __tsan_switch_to_fiber(thread, kUnordered);
        __tsan_release(&finished);
        __tsan_switch_to_fiber(scheduler_thread_, kUnordered);
        __tsan_destroy_fiber(thread);
        thread = nullptr;
    }
}

void* allocate_shared(unsigned long bytes) {
    look_away(true);
    void* memory = std::malloc(bytes);
    std::memset(memory, 0xff, bytes);  // not a number, as float16 to float64
    look_away(false);
    return memory;
}

}  // namespace cuda_on_cpu
