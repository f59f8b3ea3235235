// For the static hostcall only: replaces the C++ library's handler of uncaught exceptions, which would bring a
// demangler of 40 KiB. run_program() sets a handler of its own.
#include <cstdlib>
#include <exception>

void __gnu_cxx::__verbose_terminate_handler() { std::abort(); }
