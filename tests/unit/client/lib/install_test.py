#!/usr/bin/env python3
"""Installs the build into a scratch root and builds programs against it as users do: C11 and C++20, with each
compiler, shared and static, with nothing but what pkg-config says. Then runs them without a host.

Usage: install_test.py BUILD_ROOT PREFIX LIBDIR EXAMPLE_C EXAMPLE_CC COMPILERS...
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

    def pkg_config(self, package, *arguments):
        environment = dict(os.environ, PKG_CONFIG_PATH=str(self.libdir / "pkgconfig"))
        # The prefix in the file is the one without the scratch root.
        return run("pkg-config", f"--define-variable=prefix={self.prefix}", *arguments, package,
                   env=environment).split()


def check_without_host(program, libdir):
    """The program must say that nobody listens, and what to do."""
    environment = dict(os.environ, HOSTCALL_ADDRESS="unix:/nonexistent/hostcall.sock", LD_LIBRARY_PATH=str(libdir))
    done = subprocess.run([program], env=environment, capture_output=True, text=True, check=False, timeout=600)
    unavailable = 14
    if done.returncode != unavailable or "is hostcalld running" not in done.stdout:
        sys.exit(f"{program}: exit code {done.returncode}, said {done.stdout}{done.stderr}")


def build_and_run(installed, folder, cc, cxx, example_c, example_cc, linking):
    """`linking`: arguments of pkg-config --libs."""
    for compiler, standard, example, package in ((cc, "c11", example_c, "hostcall"),
                                                 (cxx, "c++20", example_cc, "hostcall-cxx")):
        program = folder / package
        run(compiler, f"-std={standard}", *STRICT, *installed.pkg_config(package, "--cflags"), example, "-o", program,
            *installed.pkg_config(package, "--libs", *linking))
        check_without_host(program, installed.libdir)


def check_older_cxx(installed, cxx, example_cc):
    """An older standard is refused in one clear line, before the errors that would follow."""
    done = subprocess.run([cxx, "-std=c++17", "-fsyntax-only", *installed.pkg_config("hostcall-cxx", "--cflags"), example_cc],
                          capture_output=True, text=True, check=False)
    first = next((line for line in done.stderr.splitlines() if "error:" in line), "")
    if done.returncode == 0 or "-std=c++20" not in first:
        sys.exit(f"{cxx} -std=c++17: exit code {done.returncode}, first error: {first}")


def main():
    build, prefix, libdir, example_c, example_cc, *compilers = sys.argv[1:]
    with tempfile.TemporaryDirectory() as root:
        installed = Installed(build, root, prefix, libdir)
        pairs = list(zip(compilers[::2], compilers[1::2]))
        for _, cxx in pairs:
            check_older_cxx(installed, cxx, example_cc)
        for linking in ([], ["--static"]):
            if linking:  # the linker takes the archive when there is no shared library
                for library in installed.libdir.glob("libhostcall.so*"):
                    library.unlink()
            for cc, cxx in pairs:
                with tempfile.TemporaryDirectory() as folder:
                    build_and_run(installed, pathlib.Path(folder), cc, cxx, example_c, example_cc, linking)


main()
