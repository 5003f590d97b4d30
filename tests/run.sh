#!/usr/bin/env bash
# Sets up and passes all tests. Arguments go to cargo test: `tests/run.sh pipeline` runs those named so.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/setup.sh --tests
if [[ ! -d ${TWINPEAK_DATA:-../shared/data} ]]; then
    echo "tests: no real frames at ${TWINPEAK_DATA:-../shared/data}: the tests that need them are SKIPPED" >&2
fi
# The release profile for all, since C libraries compile once a profile and numerics need optimisation; debug
# assertions and overflow checks for this crate.
exec cargo test --release \
    --config 'profile.release.package.twinpeak.debug-assertions=true' \
    --config 'profile.release.package.twinpeak.overflow-checks=true' "$@"
