#!/usr/bin/env bash
# Run a dnas command on every host of a TPU pod slice, all computing together:
#
#   scripts/launch_tpu_pod.sh NAME ZONE "cd dnas && .venv/bin/dnas search experiments/darts.py --out /mnt/runs/pod"
#
# NAME and ZONE are the slice's in Google Cloud; `gcloud` must be logged in, and the project installed on every host
# with `pip install 'dnas[tpu]'`. The run folder must be on a file system that all hosts see.
set -euo pipefail
if [ $# -ne 3 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
exec gcloud compute tpus tpu-vm ssh "$1" --zone "$2" --worker all --command "export DNAS_COORDINATOR=auto; $3"
