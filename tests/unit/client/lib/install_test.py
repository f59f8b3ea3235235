#!/usr/bin/env python3
"""Installs the build into a scratch root and builds programs against it as users do: C11 and C++20, with each
compiler, shared and static, with nothing but what pkg-config says. Then runs them without a host.

Usage: install_test.py BUILD_ROOT PREFIX LIBDIR PROTOC EXAMPLE_C EXAMPLE_CC COMPILERS...
COMPILERS: pairs "CC CXX" as two arguments each.
"""
import os
import pathlib
import subprocess
import sys
import tempfile

STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wshadow", "-Wconversion", "-Werror"]


def run(*command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False, **options)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


class Installed:
    def __init__(self, build, root, prefix, libdir):
        run("meson", "install", "-C", build, "--no-rebuild", "--quiet", "--destdir", root)
        self.prefix = pathlib.Path(f"{root}{prefix}")
        self.libdir = self.prefix / libdir

    def pkg_config(self, *arguments):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(self.libdir / "pkgconfig"))
        # The prefix in the file is the one without the scratch root.
        return run("pkg-config", f"--define-variable=prefix={self.prefix}", *arguments, "hostcall",
                   env=environment).split()


def check_without_host(program, libdir):
    """The program must say that nobody listens, and what to do."""
    environment = dict(os.environ, HOSTCALL_ADDRESS="unix:/nonexistent/hostcall.sock", LD_LIBRARY_PATH=str(libdir))
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False, timeout=600)
    unavailable = 14
    if done.returncode != unavailable or "is hostcalld running" not in done.stdout:
        sys.exit(f"{program}: exit code {done.returncode}, said {done.stdout}{done.stderr}")


def build_and_run(installed, folder, cc, cxx, protoc, example_c, example_cc, linking):
    """`linking`: arguments of pkg-config --libs."""
    libs = installed.pkg_config("--libs", *linking)
    cflags = installed.pkg_config("--cflags")
    program = folder / "example-c"
    run(cc, "-std=c11", *STRICT, *cflags, example_c, "-o", program, *libs)
    check_without_host(program, installed.libdir)

    protos = installed.pkg_config("--variable=protodir")[0]
    run(protoc, f"--proto_path={protos}", f"--cpp_out={folder}", "hostcall/v1/host.proto")
    # Generated code is not held to our warnings; the headers of the library are.
    run(cxx, "-std=c++20", "-O1", "-I", folder, "-c", folder / "hostcall/v1/host.pb.cc", "-o", folder / "host.pb.o")
    program = folder / "example-cc"
    run(cxx, "-std=c++20", *STRICT, *cflags, example_cc, folder / "host.pb.o", "-o", program, *libs, "-lprotobuf-lite")
    check_without_host(program, installed.libdir)


def main():
    build, prefix, libdir, protoc, example_c, example_cc, *compilers = sys.argv[1:]
    with tempfile.TemporaryDirectory() as root:
        installed = Installed(build, root, prefix, libdir)
        pairs = list(zip(compilers[::2], compilers[1::2]))
        for linking in ([], ["--static"]):
            if linking:  # the linker takes the archive when there is no shared library
                for library in installed.libdir.glob("libhostcall.so*"):
                    library.unlink()
            for cc, cxx in pairs:
                with tempfile.TemporaryDirectory() as folder:
                    build_and_run(installed, pathlib.Path(folder), cc, cxx, protoc, example_c, example_cc, linking)


main()
