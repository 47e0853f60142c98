#include <cstdlib>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>

#include "ssim_problem.h"

#define SAM_INLINE inline __attribute__((always_inline))
#pragma GCC diagnostic ignored "-Wpsabi"  // vectors pass between functions of this file only

namespace sam_toolkit::ssim {

namespace plain {
constexpr int kLanes = 4;
#include "ssim_lanes.h"
}  // namespace plain

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define SAM_X86_LEVELS 1
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
constexpr int kLanes = 4;
#include "ssim_lanes.h"
}  // namespace avx2
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512vl,prefer-vector-width=512")
namespace avx512 {
constexpr int kLanes = 8;
#include "ssim_lanes.h"
}  // namespace avx512
#pragma GCC pop_options
#endif

namespace {

bool has(const char* name) {
#ifdef SAM_X86_LEVELS
    if (!std::strcmp(name, "avx512"))
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512vl") && has("avx2");
    if (!std::strcmp(name, "avx2")) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return !std::strcmp(name, "plain");
}

template <typename Real, typename Value>
const Level<Real, Value>* named(const char* name) {
#ifdef SAM_X86_LEVELS
    if (!std::strcmp(name, "avx512")) return &avx512::kLevel<Real, Value>;
    if (!std::strcmp(name, "avx2")) return &avx2::kLevel<Real, Value>;
#endif
    return &plain::kLevel<Real, Value>;
}

const char* chosen() {
    const char* asked = std::getenv("SAM_TOOLKIT_CPU");
    for (const char* name : {"avx512", "avx2", "plain"})
        if (has(name) && (asked == nullptr || !*asked || !std::strcmp(asked, name))) return name;
    throw std::runtime_error(
        std::string("SAM_TOOLKIT_CPU must be avx512, avx2 or plain, and this processor must have "
                    "it; got '") +
        asked + "'.");
}

}  // namespace

template <typename Real, typename Value>
const Level<Real, Value>& level() {
    return *named<Real, Value>(chosen());
}

template const Level<float, float>& level();
template const Level<double, float>& level();
template const Level<double, double>& level();

}  // namespace sam_toolkit::ssim
