#!/usr/bin/env bash
# What an operator reads and copies from, laid out as the guide's links and the alerts' runbook_url want it.
#
#   deploy/debian/documents.sh DIR
#
# DIR becomes what /usr/share/doc/twinpeak is, under this name for both packages. In it lie README.md, the pages of docs/
# and those of deploy/ side by side, and the folders of deploy/ as they are there. A link to something that is not
# installed (sources, pictures) becomes its text. examples/ has those that need no source, and twinpeak.toml.
set -euo pipefail
usage() { sed -n '2,/^set/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
(($# == 1)) || usage
to=$(realpath -m "$1")
cd "$(dirname "$0")/../.."

install -D -m 644 -t "$to" README.md docs/*.md deploy/*.md
install -D -m 644 -t "$to/examples" config/twinpeak.toml examples/*.py
for folder in backfill systemd prometheus grafana kubernetes schemas; do
    (cd deploy && find "$folder" -type f ! -name '*.py' ! -name '*.service' -exec install -D -m 644 '{}' "$to/{}" \;)
done

# Links by where things are here: docs/ and deploy/ become the folder above them.
find "$to" -name '*.md' -print0 | while IFS= read -r -d '' file; do
    DIR=$(dirname "$file") perl -0777 -i -pe '
        s{(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?![a-z]+:)([^)#\s]*)(#[^)\s]*)?\)}{
            my ($picture, $text, $link, $part) = ($1, $2, $3, $4 // "");
            $link =~ s,^\.\./((?:\.\./)*)README\.md$,$1README.md,;
            $link =~ s,^(?:\.\./)?config/twinpeak\.toml$,examples/twinpeak.toml,;
            $link =~ s,^(?:\.\./)?((?:\.\./)*)(?:docs|deploy)/(.),$1$2,;
            $link =~ s,^\.\./examples/,examples/,;
            $link eq "" || -e "$ENV{DIR}/$link" ? "${picture}[$text]($link$part)" : $text
        }ge' "$file"
done
