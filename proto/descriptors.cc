#include "proto/descriptors.h"

// Makes this file recompile when the descriptor set changes: the compiler does not see .incbin.
#include "services.descriptors.h"

// The assembler includes the file: a C++ array would take the compiler a second.
__asm__(
    ".section .rodata\n"
    "hostcall_descriptors_begin:\n"
    ".incbin \"" HOSTCALL_DESCRIPTORS_FILE
    "\"\n"
    "hostcall_descriptors_end:\n"
    ".byte 0\n"
    ".previous\n");

extern "C" {
extern const char hostcall_descriptors_begin[];
extern const char hostcall_descriptors_end[];
}

namespace hostcall {

std::string_view descriptor_set() {
  return {hostcall_descriptors_begin, static_cast<std::size_t>(hostcall_descriptors_end - hostcall_descriptors_begin)};
}

}  // namespace hostcall
