#!/bin/sh
# Generates Python modules and typed stubs from the contracts: protos/generate.sh PYTHON OUTPUT_FOLDER
set -eu
cd "$(dirname "$0")/.."
python=$(command -v "$1")
out=$2
mkdir -p "$out"
PATH="$(dirname "$python"):$PATH"
export PATH
find protos/assay -name '*.proto' | LC_ALL=C sort | xargs "$python" -m grpc_tools.protoc -I protos \
  --python_out="$out" --grpc_python_out="$out" --mypy_out="$out" --mypy_grpc_out="$out"
