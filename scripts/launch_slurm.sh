#!/usr/bin/env bash
# A SLURM job in which every node runs one process of a dnas command and all compute together:
#
#   sbatch --nodes 2 --gpus-per-node 4 scripts/launch_slurm.sh dnas search experiments/darts.py --out runs/slurm
#
# The run folder must be on a file system that all nodes see. Send SIGTERM before the time is over, so that the run can
# write a checkpoint, and go on with --resume.
#SBATCH --job-name=dnas
#SBATCH --ntasks-per-node=1
#SBATCH --signal=TERM@120
set -euo pipefail
if [ $# -lt 1 ]; then
    sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
    exit 2
fi
export DNAS_COORDINATOR=auto
exec srun --kill-on-bad-exit=1 "$@"
