# shellcheck shell=bash
# The builds of ../run, each in a directory of its own. Sourced by it.

# The very build that is installed into the virtual machines, with the benchmarks if it says true.
build_gcc() {
  local bench=$1
  CC=gcc CXX=g++ configure build-gcc --prefix=/usr --sysconfdir=/etc -Dguest_kit=true -Dbench="$bench" &&
    ninja -C build-gcc
}

# One build for three purposes: clang's warnings, both sanitizers, and libFuzzer, which only clang has. A program that is
# linked with a sanitizer finds its run-time symbols late, hence b_lundef. build_clang [TARGET...]
build_clang() {
  CC=clang CXX=clang++ configure build-clang -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true &&
    ninja -C build-clang "$@"
}

# Debug information is lines only: a backtrace needs no more, and compiling takes a fifth longer with all of it.
configure() {
  local directory=$1 again=()
  shift
  [ ! -e "$directory/build.ninja" ] || again=(--reconfigure)
  meson setup ${again[@]+"${again[@]}"} "$directory" --buildtype=debugoptimized -Dc_args=-g1 -Dcpp_args=-g1 \
    -Dwerror=true "$@" ||
    { echo "(for a build directory of another meson or compiler: rm -r $directory)"; return 1; }
}
