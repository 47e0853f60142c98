#include <algorithm>
#include <cstring>
#include <numeric>

#include "launch_state.h"

// Barriers, shuffles and votes: who must come, what they get, and what to say when somebody does not come.
namespace cuda_on_cpu {
namespace {

std::string described(const Meeting& meeting) {
    const char* path = meeting.where.file_name();
    const char* slash = std::strrchr(path, '/');
    return text("%s at %s:%u", meeting.name, slash ? slash + 1 : path, meeting.where.line());
}

std::string name_of(const Thread& thread) {
    return "thread " + triple(thread.place.thread);
}

}  // namespace

std::vector<unsigned> Launch::members(unsigned thread) const {
    const Meeting& meeting = threads_[thread].meeting;
    const bool whole_block = meeting.kind == Meeting::barrier;
    std::vector<unsigned> found(whole_block ? size_ : kWarp);
    std::iota(found.begin(), found.end(), whole_block ? 0 : thread / kWarp * kWarp);
    if (!whole_block)
        std::erase_if(found, [&](unsigned lane) { return !(meeting.mask >> lane % kWarp & 1); });
    return found;
}

bool Launch::attends(unsigned thread, const Meeting& meeting) const {
    if (thread >= size_ || threads_[thread].state != Thread::waiting) return false;
    const Meeting& own = threads_[thread].meeting;
    return own.kind == meeting.kind && own.mask == meeting.mask && own.where.line() == meeting.where.line() &&
           own.where.column() == meeting.where.column() &&
           std::strcmp(own.where.file_name(), meeting.where.file_name()) == 0;
}

// Lets everybody go on if all have come whom the meeting of a thread names.
void Launch::complete(unsigned thread) {
    const Meeting& meeting = threads_[thread].meeting;
    if (meeting.kind == Meeting::barrier && ready_.any()) return;  // saves looking at each of them
    const auto all = members(thread);
    if (!std::all_of(all.begin(), all.end(), [&](unsigned member) { return attends(member, meeting); }))
        return;
    if (meeting.kind == Meeting::barrier || meeting.kind == Meeting::warp_barrier)
        fibres.synchronise(all);
    else
        exchange(all);
    for (const unsigned member : all) {
        threads_[member].state = Thread::ready;
        ready_.set(position_of_[member]);
    }
}

void Launch::exchange(const std::vector<unsigned>& lanes) {
    std::uint64_t ones = 0;
    for (const unsigned lane : lanes) ones |= (threads_[lane].meeting.bits & 1) << lane % kWarp;
    for (const unsigned lane : lanes) {
        const auto& [kind, name, where, mask, source, bits] = threads_[lane].meeting;
        if (kind == Meeting::vote)
            threads_[lane].received = ones;
        else if (source < kWarp && mask >> source & 1)
            threads_[lane].received = threads_[lane / kWarp * kWarp + source].meeting.bits;
        else
            fail_thread(lane, text("it reads lane %u, which is not in the mask 0x%08x", source, mask));
    }
}

// Nobody can go on: either all have returned, or somebody waits for one who will not come.
void Launch::explain_standstill() {
    for (unsigned thread = 0; thread < size_; ++thread) {
        if (threads_[thread].state != Thread::waiting) continue;
        for (const unsigned member : members(thread))
            if (!attends(member, threads_[thread].meeting))
                return fail_thread(thread, "it waits for " + state_of(member));
    }
}

std::string Launch::state_of(unsigned thread) const {
    if (thread >= size_) return text("lane %u of its warp, which the block does not have", thread % kWarp);
    const Thread& other = threads_[thread];
    if (other.state == Thread::returned) return name_of(other) + ", which has returned";
    return name_of(other) + ", which waits in " + described(other.meeting) +
           (other.meeting.mask ? text(" with the mask 0x%08x", other.meeting.mask) : "");
}

void Launch::fail_thread(unsigned thread, const std::string& what) const {
    const Thread& own = threads_[thread];
    fail(cudaErrorLaunchFailure, kernel + (", block " + triple(own.place.block)) + ", " + name_of(own) +
                                     " in " + described(own.meeting) + ": " + what);
}

}  // namespace cuda_on_cpu
