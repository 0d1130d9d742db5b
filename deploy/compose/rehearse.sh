#!/usr/bin/env bash
# Rehearses outages on the containers and compares the result with a run without any of them:
#   deploy/compose/rehearse.sh                 needs docker and .venv (make setup); leaves nothing
# A study runs through the published ports while a worker is killed, Redis is taken off the network
# and PostgreSQL restarts. Its digest must be the one of `assay serve` with one worker on SQLite.
set -euo pipefail
cd "$(dirname "$0")/../.."
ASSAY=${ASSAY:-.venv/bin/assay}
export COMPOSE_PROJECT_NAME=assay-rehearsal DATA_PORT=${DATA_PORT:-50951} OPTIMIZER_PORT=${OPTIMIZER_PORT:-50953} BACKTEST_PORTS=${BACKTEST_PORTS:-50960-50969}
study=deploy/compose/rehearsal.yaml
home=$(mktemp -d)
serve=
finish() {
  status=$?
  [ -z "$serve" ] || kill "$serve" 2>/dev/null || true
  [ -z "$serve" ] || wait "$serve" 2>/dev/null || true
  [ "$status" = 0 ] || docker compose logs --tail 20 || true
  docker compose --profile '*' down --volumes --timeout 40 >/dev/null 2>&1 || true
  rm -rf "$home"
  exit "$status"
}
trap finish EXIT
say() { printf '== %s\n' "$*"; }
digest() { "$ASSAY" study show rehearsal --json | sed -nE 's/.*"trials_?[dD]igest": *"([0-9a-f]+)".*/\1/p'; }
candles() { "$ASSAY" dataset sync synthetic.rehearsal.1h --start 2020-01-01 --end 2024-01-01 >/dev/null; }
wait_for_trials() { # until a study has as many finished trials
  until [ "$("$ASSAY" study show rehearsal --json 2>/dev/null | sed -nE 's/.*"finished_?[tT]rial_?[cC]ount": *"?([0-9]+).*/\1/p' | head -1)" -ge "$1" ] 2>/dev/null; do sleep 0.3; done
}

say "embedded: one worker, SQLite"
"$ASSAY" serve --home "$home" --workers 1 --ports 50941,50942,50943 >"$home/serve.log" &
serve=$!
export ASSAY_DATA_ADDRESS=127.0.0.1:50941 ASSAY_BACKTEST_ADDRESS=127.0.0.1:50942 ASSAY_OPTIMIZER_ADDRESS=127.0.0.1:50943
until grep -q . "$home/serve.log"; do kill -0 "$serve"; sleep 1; done
candles
"$ASSAY" study run "$study" --id rehearsal
wanted=$(digest)
kill "$serve"; wait "$serve" || true; serve=

say "containers: three workers, PostgreSQL, Redis"
docker compose up --build --detach --wait --scale backtest=3
export ASSAY_DATA_ADDRESS=127.0.0.1:$DATA_PORT ASSAY_OPTIMIZER_ADDRESS=127.0.0.1:$OPTIMIZER_PORT
candles
"$ASSAY" study run "$study" --id rehearsal &
client=$!
wait_for_trials 20
say "a worker is killed"; docker kill --signal KILL "$COMPOSE_PROJECT_NAME-backtest-2" >/dev/null
wait_for_trials 200
say "Redis is off the network"; docker network disconnect "${COMPOSE_PROJECT_NAME}_default" "$COMPOSE_PROJECT_NAME-redis-1"
wait_for_trials 400
say "PostgreSQL restarts"; docker restart --time 1 "$COMPOSE_PROJECT_NAME-postgres-1" >/dev/null
candles && say "candles are served without Redis"
wait "$client"
found=$(digest)
say "embedded   $wanted"
say "containers $found"
[ -n "$wanted" ] && [ "$wanted" = "$found" ]

say "everything goes"
docker compose --profile '*' down --volumes --timeout 40
for kind in container volume network; do
  left=$(docker "$kind" ls --quiet $([ "$kind" = container ] && echo --all) --filter "label=com.docker.compose.project=$COMPOSE_PROJECT_NAME")
  [ -z "$left" ] || { echo "left behind: $kind $left"; exit 1; }
done
say "the same study, bit for bit; nothing is left"
