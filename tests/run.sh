#!/usr/bin/env bash
# Sets up and passes all tests, of all crates. Arguments go to cargo test: `tests/run.sh pipeline` runs those named so.
set -euo pipefail
cd "$(dirname "$0")/.."
deploy/setup.sh --tests
if [[ ! -d ${TWINPEAK_DATA:-../shared/data} ]]; then
    echo "tests: no real frames at ${TWINPEAK_DATA:-../shared/data}: the tests that need them are SKIPPED" >&2
fi
# The development profile: our own crates with debug assertions and overflow checks, what they depend on optimised.
exec cargo test --workspace "$@"
