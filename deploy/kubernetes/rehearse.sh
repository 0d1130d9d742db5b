#!/usr/bin/env bash
# Restarts all workers under running studies and a client's calls, and counts what failed:
#   deploy/kubernetes/rehearse.sh          needs overlays/local in the cluster of kubectl's context
# The batch must end with every study succeeded, and no call of the client may have failed.
set -euo pipefail
cd "$(dirname "$0")"
k() { kubectl --namespace "${NAMESPACE:-assay}" "$@"; }
say() { printf '== %s\n' "$*"; }

say "a client that asks the workers all the time"
k delete pod rehearsal --ignore-not-found --now
k create configmap rehearsal --from-file=calls.py=rehearsal_calls.py --dry-run=client --output yaml | k apply -f -
k apply -f rehearsal_client.yaml
k wait --for=condition=ready --timeout=120s pod/rehearsal

say "the batch"
k delete job studies --ignore-not-found
if [ $# -gt 0 ]; then k apply -f "$1"; else k apply -k batch/studies; fi
until k exec rehearsal -- assay study list --json 2>/dev/null | grep -q STATE_RUNNING; do sleep 1; done

say "all workers are restarted, one after the other"
k rollout restart deployment/backtest
k rollout status --timeout=600s deployment/backtest

say "the batch ends"
k wait --for=condition=complete --timeout=1800s job --selector app.kubernetes.io/name=studies
k exec rehearsal -- assay study list
k exec rehearsal -- touch /tmp/enough
until told=$(k logs rehearsal) && grep -q "calls" <<<"$told"; do sleep 1; done
printf '%s\n' "$told"
k delete pod/rehearsal configmap/rehearsal --now
grep -q " 0 failed" <<<"$told"
