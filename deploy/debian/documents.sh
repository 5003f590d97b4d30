#!/usr/bin/env bash
# What an operator reads and copies from, laid out as the guide's links and the alerts' runbook_url want it.
#
#   deploy/debian/documents.sh DIR
#
# DIR becomes what /usr/share/doc/twinpeak is, under this name for both packages. The guide and what stands beside it are
# there as they lie in deploy/; the main README is overview.md. A link to something that is not installed (sources,
# pictures) becomes its text.
set -euo pipefail
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
(($# == 1)) || usage
to=$(realpath -m "$1")
cd "$(dirname "$0")/../.."

install -D -m 644 -t "$to" deploy/*.md
if [[ -e README.md ]]; then install -m 644 README.md "$to/overview.md"; fi # a container's context has none
install -D -m 644 -t "$to/examples" config/twinpeak.toml
for folder in backfill systemd prometheus grafana kubernetes schemas; do
    (cd deploy && find "$folder" -type f ! -name '*.py' ! -name '*.service' -exec install -D -m 644 '{}' "$to/{}" \;)
done

# Links by where things are here.
find "$to" -name '*.md' -print0 | while IFS= read -r -d '' file; do
    DIR=$(dirname "$file") perl -0777 -i -pe '
        s{(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:)([^)#\s]*)(#[^)\s]*)?\)}{
            my ($picture, $text, $link, $part) = ($1, $2, $3, $4 // "");
            $link =~ s,^\.\./README\.md$,overview.md,;
            $link =~ s,^\.\./config/twinpeak\.toml$,examples/twinpeak.toml,;
            $link =~ s,^deploy/(.),$1,;
            $link eq "" || -e "$ENV{DIR}/$link" ? "${picture}[$text]($link$part)" : $text
        }ge' "$file"
done
