#!/bin/sh
# Prints the name of a Python that can run this project. A name on PATH proves nothing (version managers put
# shims there that fail), so each one is run.
found=""
for name in python3.13 python3.12 python3.14 python3; do
    command -v "$name" >/dev/null 2>&1 || continue
    version=$("$name" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])' 2>/dev/null) || {
        found="$found, $name which does not run"
        continue
    }
    if "$name" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 12))' 2>/dev/null; then
        echo "$name"
        exit 0
    fi
    found="$found, $name which is $version"
    "$name" -c 'import ensurepip, venv' 2>/dev/null || found="$found without the venv module"
done
found=${found#, }
echo "Error: this project needs Python 3.12 or newer with its venv module; found: ${found:-no Python at all}." >&2
exit 1
