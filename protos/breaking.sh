#!/bin/sh
# Refuses changes of the contracts that break clients of the main branch: protos/breaking.sh BUF
set -eu
for ref in origin/main main; do
  if git cat-file -e "$ref:protos/assay/market/v1/candles.proto" 2>/dev/null; then
    exec "$1" breaking --against ".git#ref=$ref"
  fi
done
echo "buf breaking: no main branch with contracts to compare with"
