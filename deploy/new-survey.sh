#!/usr/bin/env bash
# From the frames of a survey that nobody has labelled to a model of it, and what it is worth: the worked example of
# "A new survey" in docs/train.md. The survey is simulated (config/surveys/example.toml: other pixels, seeing and noise than
# SDSS's), so that there is a truth to compare with in the end; training never sees it.
#
#   deploy/new-survey.sh [DIR]      everything goes to DIR [out/new-survey]; what is there already is not made again
set -euo pipefail
dir=$(realpath -m "${1:-out/new-survey}")
cd "$(dirname "$0")/.."
deploy/setup.sh
cargo build --release -p twinpeak
twinpeak=target/release/twinpeak
say() { printf '\nnew-survey: %s\n' "$*"; }

# The configuration of a survey: its description, and where its model lies.
mkdir -p "$dir"
cat >"$dir/twinpeak.toml" <<EOF
[survey]
file = "$PWD/config/surveys/example.toml"
[model]
bundle = "$dir/model"
EOF

if [[ ! -e $dir/test.done ]]; then
    say "simulates six fields to learn from and four to be judged on; nights of other seeds share nothing"
    sky=(--survey config/surveys/example.toml --seeing 0.95)
    "$twinpeak" simulate "${sky[@]}" --out "$dir/learn" --fields 6 --seed 501
    "$twinpeak" simulate "${sky[@]}" --out "$dir/test" --fields 4 --seed 502
    touch "$dir/test.done"
fi

# Only the frames are given to the training, not the truth that lies beside them.
mkdir -p "$dir/frames"
ln -sf "$dir"/learn/example_*.fits.bz2 "$dir/frames/"
if [[ ! -e $dir/model/manifest.toml ]]; then
    say "learns to find objects, then to tell stars from galaxies: no label, no catalogue"
    "$twinpeak" train segmenter --config "$dir/twinpeak.toml" --frames "$dir/frames" --out "$dir/model"
    "$twinpeak" train classifier --config "$dir/twinpeak.toml" --frames "$dir/frames" --out "$dir/model"
fi

say "processes the four fields with the new model, and only now looks at the truth"
rm -rf "$dir/test-results"
"$twinpeak" process --config "$dir/twinpeak.toml" "$dir/test" --out "$dir/test-results"
"$twinpeak" summary --config "$dir/twinpeak.toml" "$dir/test-results" --truth "$dir/test" --record "$dir/model"

say "and notes what the training frames are like, so that the daemon can tell when others are not (drift)"
rm -rf "$dir/learn-results"
"$twinpeak" process --config "$dir/twinpeak.toml" "$dir/frames" --out "$dir/learn-results"
"$twinpeak" summary --config "$dir/twinpeak.toml" "$dir/learn-results" --expect "$dir/model" >/dev/null
say "the model: $dir/model; pictures: $dir/test-results/*.quicklook.png; by magnitude: twinpeak evaluate"
