#!/usr/bin/env bash
# Many small fields through the real broker while things break that a daemon must live through: it is stopped, the broker
# killed, the network cut, the disk full, another model put in service. Nothing may be lost or doubled, and over each long
# life of a daemon its memory, descriptors and threads must stay what they were.
#
#   tests/soak.sh [FIELDS [SEED [FAULTS]]]     2000 7 40: about half an hour
#
# A run that was interrupted goes on from there when called again; see tests/chaos.sh, which this is without deaths.
set -euo pipefail
cd "$(dirname "$0")/.."
export CHAOS_EVENTS="stop_daemon kill_broker cut_network fill_disk switch_model"
CHAOS_DIR=${CHAOS_DIR:-out/soak-${1:-2000}-${2:-7}-${3:-40}} exec tests/chaos.sh "${1:-2000}" "${2:-7}" "${3:-40}"
