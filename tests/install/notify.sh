# shellcheck shell=bash disable=SC2154
# What the daemon tells the service manager, heard by a listener in its place.
[[ -x $twinpeak ]] || { note SKIPPED "notify: no program at $twinpeak"; exit; }
while IFS= read -r line; do note "${line%% *}" "${line#* }"; done < <(
    python3 -B tests/install/notify.py "$twinpeak" "$work/notify" || echo "FAILED the listener was content"
)
