#!/usr/bin/env python3
"""Installs the build into a scratch root and builds programs against it as users do: C11 and C++20, with each
compiler, shared and static, with nothing but what pkg-config says. Then runs them without a host. The same with the
README's example of a service, which a program with both libraries calls.

Usage: install_test.py BUILD_ROOT PREFIX LIBDIR README EXAMPLE_C EXAMPLE_CC EXAMPLE_CALLER COMPILERS...
COMPILERS: pairs "CC CXX" as two arguments each.
"""
import os
import pathlib
import re
import signal
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


def quoted(readme, name):
    """The indented block of the README that begins with a comment of this name."""
    block = re.search(rf"^    // {re.escape(name)}\n((?:    .*\n|\n(?=    ))*)", readme, re.M)
    if not block:
        sys.exit(f"the README has no {name} any more")
    return "".join(line[4:] or "\n" for line in block[0].splitlines(keepends=True))


def write_service(installed, folder, readme):
    """The README's service, with its types, on a socket that this user can make and serve."""
    text = readme.read_text()
    source = quoted(text, "inventory.cc")
    for old, new in (("/run/acme.sock", f"{folder}/acme.sock"), ('.group = "hostcall"', f".trusted_uids = {{{os.getuid()}}}")):
        if source.count(old) != 1:
            sys.exit(f"inventory.cc in the README does not have one {old}")
        source = source.replace(old, new)
    (folder / "inventory.cc").write_text(source)
    (folder / "inventory.proto").write_text(quoted(text, "inventory.proto"))
    run("protoc", f"--plugin={installed.prefix}/bin/protoc-gen-hostcall", "--cpp_out=.", "--hostcall_out=.",
        "inventory.proto", cwd=folder)


def build_and_call_service(installed, folder, cxx, example_caller, linking):
    # What protoc generates does not follow our warnings.
    generated = folder / "inventory.pb.o"
    flags = installed.pkg_config("hostcall-server", "--cflags")
    run(cxx, "-std=c++20", "-c", *flags, folder / "inventory.pb.cc", "-o", generated)
    for source, program in ((folder / "inventory.cc", "inventory"), (example_caller, "caller")):
        run(cxx, "-std=c++20", *STRICT, *flags, "-isystem", folder, source, generated, "-o", folder / program, "-pthread",
            *installed.pkg_config("hostcall-server", "--libs", *linking))
    environment = dict(os.environ, LD_LIBRARY_PATH=str(installed.libdir))
    with subprocess.Popen([folder / "inventory"], env=environment) as service:
        try:
            run(folder / "caller", f"unix:{folder}/acme.sock", f"unix:{folder}/own.sock", os.getuid(), env=environment)
        finally:
            service.send_signal(signal.SIGTERM)
    if service.returncode != 0 or (folder / "acme.sock").exists():
        sys.exit(f"the README's service ended with {service.returncode}, and its socket must be gone")


def main():
    build, prefix, libdir, readme, example_c, example_cc, example_caller, *compilers = sys.argv[1:]
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
                    folder = pathlib.Path(folder)
                    build_and_run(installed, folder, cc, cxx, example_c, example_cc, linking)
                    write_service(installed, folder, pathlib.Path(readme))
                    build_and_call_service(installed, folder, cxx, example_caller, linking)


main()
