# shellcheck shell=bash
# The two builds of ../run, each in its own directory. ../run sources this file.

# build_gcc BENCH: builds everything, the benchmarks only if BENCH is true.
build_gcc() { configure_gcc "$1" && ninja -C build-gcc; }

# The same build is installed into the virtual machines.
configure_gcc() {
  CC=gcc CXX=g++ configure build-gcc --prefix=/usr --sysconfdir=/etc -Dguest_kit=true -Dbench="$1"
}

# build_clang [TARGET...]
build_clang() { configure_clang && ninja -C build-clang "$@"; }

# One build for three purposes: clang's warnings, both sanitizers, and libFuzzer, which only clang has. Programs find a
# sanitizer's symbols only at run time, hence b_lundef.
configure_clang() {
  CC=clang CXX=clang++ configure build-clang -Db_sanitize=address,undefined -Db_lundef=false -Dfuzz=true
}

# Debug information holds lines only: a backtrace needs no more, and full information takes a quarter longer to compile.
configure() {
  local directory=$1 again=()
  shift
  [ ! -e "$directory/build.ninja" ] || again=(--reconfigure)
  meson setup ${again[@]+"${again[@]}"} "$directory" --buildtype=debugoptimized -Dc_args=-g1 -Dcpp_args=-g1 \
    -Dwerror=true "$@" ||
    { echo "(for a build directory of another meson or compiler: rm -r $directory)"; return 1; }
}
