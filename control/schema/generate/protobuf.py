#!/usr/bin/env python3
"""Writes ../src/tables/protobuf.txt: the field numbers that Kubernetes' protobuf encoding uses.

usage: protobuf.py K8S_IO_API_FOLDER K8S_IO_APIMACHINERY_FOLDER

The numbers stand in the tags of the Go types (modules k8s.io/api and k8s.io/apimachinery; `go mod download -json` prints
their folders). `make schema-tables` runs this.
"""

import pathlib
import re
import sys

HERE = pathlib.Path(__file__).parent
TABLES = HERE / "../src/tables"
STRUCT = re.compile(r"^type (\w+) struct \{")
FIELD = re.compile(r'^\t(?:\w+\s+)?(\S+)\s+`json:"([^"]*)".*protobuf:"\w+,(\d+),(\w+)')


def structs(folder):
    """The fields of every struct of a Go package, by the struct's name: (Go type, JSON tag, number, opt or rep)."""
    found = {}
    for file in sorted(folder.glob("*types*.go")):
        current = None
        for line in file.read_text().splitlines():
            if match := STRUCT.match(line):
                current = found.setdefault(match[1], [])
            elif line == "}":
                current = None
            elif current is not None and (match := FIELD.match(line)):
                current.append((match[1], match[2], int(match[3]), match[4]))
    return found


def rows(package, name, prefix=""):
    """A row a field: its JSON name, its number, and `zero` where a zero on the wire means that it was left out."""
    for go_type, tag, number, label in package[name]:
        json_name, _, options = tag.partition(",")
        if not json_name:
            yield "", f"{prefix}{number}", ""
            yield from rows(package, go_type.rpartition(".")[2], f"{prefix}{number}/")
            continue
        left_out = "omitempty" in options and not go_type.startswith("*") and label == "opt"
        yield json_name, f"{prefix}{number}", "zero" if left_out else ""


def main(api, machinery):
    lines, packages = [], {}
    for line in (TABLES / "types.txt").read_text().splitlines():
        cells = line.split("\t")
        if cells[0] != "type" or cells[3] != "struct":
            continue
        path, name = cells[1].rsplit(".", 1)
        root = pathlib.Path(machinery, "pkg/apis") if ".apimachinery." in path else pathlib.Path(api)
        folder = root.joinpath(*path.split(".")[-2:])
        if folder not in packages:
            packages[folder] = structs(folder)
        if packages[folder].get(name):
            lines.append(f"type\t{cells[1]}")
            lines += ["\t" + "\t".join(row).rstrip() for row in rows(packages[folder], name)]
    (TABLES / "protobuf.txt").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
