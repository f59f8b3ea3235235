#!/usr/bin/env python3
"""Checks that everything in the .proto files has a comment: services, rpcs, messages, fields, enums and their values.

Usage: proto_comments_test.py PROTO_ROOT. Asks protoc for the descriptors with their source, so that a comment counts
only where protoc, like every documentation tool, attaches it. Prints each declaration that lacks one; exits with 1
if there is one. First checks itself against an invented file.
"""
import pathlib
import subprocess
import sys
import tempfile

# Field numbers in descriptor.proto that lead to declarations.
FILE_MESSAGE, FILE_ENUM, FILE_SERVICE, FILE_SOURCE = 4, 5, 6, 9
MESSAGE_FIELD, MESSAGE_NESTED, MESSAGE_ENUM = 2, 3, 4
ENUM_VALUE, SERVICE_METHOD = 2, 2
LOCATION_PATH, LOCATION_LEADING, LOCATION_TRAILING = 1, 3, 4
NAME = 1


def fields(data):
    """The fields of a serialised message: (number, value), bytes or int."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(data):
        key = varint()
        if key & 7 == 0:
            yield key >> 3, varint()
        elif key & 7 == 2:
            size = varint()
            yield key >> 3, data[at:at + size]
            at += size
        else:
            raise ValueError("a wire type that descriptors don't use")


def packed(data):
    numbers, value, shift = [], 0, 0
    for byte in data:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            numbers.append(value)
            value = shift = 0
    return tuple(numbers)


def all_of(message, number):
    return [value for found, value in fields(message) if found == number]


def commented_paths(file):
    paths = set()
    for source in all_of(file, FILE_SOURCE):
        for location in all_of(source, 1):
            path = b"".join(all_of(location, LOCATION_PATH))
            comments = all_of(location, LOCATION_LEADING) + all_of(location, LOCATION_TRAILING)
            if any(comment.strip() for comment in comments):
                paths.add(packed(path))
    return paths


def declared(message, prefix, path, parts):
    """Yields (path, full name) of everything below a message, an enum or a service."""
    name = prefix + all_of(message, NAME)[0].decode()
    yield path, name
    for number, below in parts.items():
        for index, child in enumerate(all_of(message, number)):
            yield from declared(child, name + ".", path + (number, index), below)


def file_parts():
    enum = {ENUM_VALUE: {}}
    message = {MESSAGE_FIELD: {}, MESSAGE_ENUM: enum}
    message[MESSAGE_NESTED] = message
    return {FILE_MESSAGE: message, FILE_ENUM: enum, FILE_SERVICE: {SERVICE_METHOD: {}}}


def missing(proto_root, names):
    """The full names of declarations without a comment, and the number of declarations."""
    with tempfile.NamedTemporaryFile() as out:
        command = ["protoc", f"--proto_path={proto_root}", "--include_source_info", f"--descriptor_set_out={out.name}"]
        subprocess.run(command + names, check=True)
        descriptors = pathlib.Path(out.name).read_bytes()
    lacking, seen = [], 0
    for file in all_of(descriptors, 1):
        comments = commented_paths(file)
        for number, parts in file_parts().items():
            for index, child in enumerate(all_of(file, number)):
                for path, name in declared(child, "", (number, index), parts):
                    seen += 1
                    if path not in comments:
                        lacking.append(all_of(file, NAME)[0].decode() + ": " + name)
    return lacking, seen


SELF_CHECK = """syntax = "proto3";
// A service.
service S {
  rpc Bare(M) returns (M);
  // Good.
  rpc Good(M) returns (M);
}
message Bare {}
// A message.
message M {
  // Good.
  string good = 1;
  string bare = 2;
  // Good.
  message Inner { string bare = 1; }
}
// An enum.
enum E {
  BARE = 0;
  GOOD = 1;  // Good.
}
"""


def self_check():
    with tempfile.TemporaryDirectory() as folder:
        pathlib.Path(folder, "x.proto").write_text(SELF_CHECK)
        lacking, seen = missing(folder, ["x.proto"])
        expected = ["M.bare", "M.Inner.bare", "Bare", "E.BARE", "S.Bare"]
        if sorted(lacking) != sorted("x.proto: " + name for name in expected) or seen != 12:
            sys.exit(f"self-check: found {lacking} in {seen}")


def main():
    self_check()
    root = pathlib.Path(sys.argv[1])
    names = sorted(path.relative_to(root).as_posix() for path in root.rglob("*.proto"))
    lacking, seen = missing(root, names)
    for name in lacking:
        print(f"{name} has no comment")
    print(f"{seen} declarations in {len(names)} files")
    sys.exit(1 if lacking or seen == 0 else 0)


if __name__ == "__main__":
    main()
