#pragma once

#include <cstdint>
#include <type_traits>
#include <utility>

#include "cuda_on_cpu.h"

namespace cuda_on_cpu {

// What Python hands over, and of what kind it is: an array with the size of its items, or a number.
struct Argument {
    enum Kind : std::int64_t { array, integer, number } kind;
    std::int64_t item_size;
    union {
        void* address;
        std::int64_t whole;
        double real;
    };
};

template <typename Parameter>
bool fits(const Argument& argument) {
    if constexpr (std::is_pointer_v<Parameter>) {
        using Item = std::remove_pointer_t<Parameter>;
        return argument.kind == Argument::array &&
               (std::is_class_v<Item> || argument.item_size == static_cast<std::int64_t>(sizeof(Item)));
    }
    return argument.kind == (std::is_floating_point_v<Parameter> ? Argument::number : Argument::integer);
}

template <typename Parameter>
Parameter as(const Argument& argument) {
    if constexpr (std::is_pointer_v<Parameter>)
        return static_cast<Parameter>(argument.address);
    else if constexpr (std::is_floating_point_v<Parameter>)
        return static_cast<Parameter>(argument.real);
    else
        return static_cast<Parameter>(argument.whole);
}

// Returns the launcher's error, or minus the place of the first argument that does not fit, counted from 1.
template <typename... Parameters, std::size_t... i>
int call(cudaError_t (*launcher)(Parameters...), const Argument* arguments, int count,
         std::index_sequence<i...>) {
    const bool fitting[] = {static_cast<int>(i) < count && fits<Parameters>(arguments[i])...,
                            count == sizeof...(i)};
    for (int place = 0; place <= static_cast<int>(sizeof...(i)); ++place)
        if (!fitting[place]) return -place - 1;
    return launcher(as<Parameters>(arguments[i])...);
}

template <typename... Parameters>
int call(cudaError_t (*launcher)(Parameters...), const Argument* arguments, int count) {
    return call(launcher, arguments, count, std::index_sequence_for<Parameters...>{});
}

}  // namespace cuda_on_cpu

// Gives Python `name`, which calls a launcher that takes pointers and numbers and returns cudaError_t.
#define CUDA_ON_CPU_FACE(name, ...)                                            \
    extern "C" int name(const ::cuda_on_cpu::Argument* arguments, int count) { \
        return ::cuda_on_cpu::call(&__VA_ARGS__, arguments, count);            \
    }
