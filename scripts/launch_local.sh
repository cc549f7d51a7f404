#!/usr/bin/env bash
# Run one dnas command as several processes of this machine, which compute together:
#
#   scripts/launch_local.sh 2 dnas search experiments/darts.py --out runs/two
#
# Every process sees all devices unless you divide them, for example with CUDA_VISIBLE_DEVICES per process in $SPLIT:
#   SPLIT='export CUDA_VISIBLE_DEVICES=$DNAS_PROCESS_ID' scripts/launch_local.sh 2 dnas search ...
set -euo pipefail
if [ $# -lt 2 ] || ! [ "$1" -ge 1 ] 2>/dev/null; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
export DNAS_PROCESSES=$1
shift
export DNAS_COORDINATOR="localhost:${PORT:-$((20000 + RANDOM % 20000))}"
children=()
trap 'kill "${children[@]}" 2>/dev/null || true' INT TERM
for ((i = 0; i < DNAS_PROCESSES; i++)); do
    (
        export DNAS_PROCESS_ID=$i
        eval "${SPLIT:-}"
        exec "$@"
    ) &
    children+=($!)
done
status=0
for child in "${children[@]}"; do
    wait "$child" || { code=$?; [ "$status" -ne 0 ] || status=$code; kill "${children[@]}" 2>/dev/null || true; }
done
exit "$status"
