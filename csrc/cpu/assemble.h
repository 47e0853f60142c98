#pragma once

#include <cstddef>

#include "../assembly.h"

namespace sam_toolkit {

// Does what is asked for; `pad` is a value's bytes, `pad_bytes` of them.
void assemble_all(const Assembly<std::byte>& work, const std::byte* pad, int64_t pad_bytes);

}  // namespace sam_toolkit
