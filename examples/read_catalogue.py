#!/usr/bin/env python3
"""Stars of a folder of results, brightest first: read_catalogue.py DIR [--star-prob P] [--band B] [--limit N]

Needs pyarrow. DIR is what `twinpeak process --out DIR` or `twinpeak run --out DIR` wrote. Only images with a record,
ID.done.json, are read: it is written last, so the others are not whole.
"""

import argparse, json, pathlib, sys
import pyarrow as pa, pyarrow.compute as pc, pyarrow.parquet as pq

arg = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
arg.add_argument("dir", type=pathlib.Path)
arg.add_argument("--star-prob", type=float, default=0.9, metavar="P", help="least starProb (0.9)")
arg.add_argument("--band", default="r", help="band of the magnitudes (r)")
arg.add_argument("--limit", type=int, default=10, metavar="N", help="rows to print (10)")
args = arg.parse_args()

SATURATED, TRUNCATED, BAD_PIXELS, MISSING_BAND = 4, 8, 4096, 8192  # bits of `flags`: the README lists them all
UNTRUSTED = SATURATED | TRUNCATED | BAD_PIXELS | MISSING_BAND

done = sorted(args.dir.glob("*.done.json"))
files = [args.dir / file.name.replace(".done.json", ".catalog.parquet") for file in done]
if not files:
    sys.exit(f"{args.dir} holds no finished image")
described = json.loads(pq.read_schema(files[0]).metadata[b"twinpeak.columns"])
unit = {column["name"]: column["unit"] for column in described}

shown = ["imageId", "number", "ra", "dec", f"psfMag_{args.band}", f"psfFlux_{args.band}", "starProb", "flags"]
if missing := [name for name in shown if name not in unit]:
    sys.exit(f"the catalogues have no column {', '.join(missing)}")
table = pa.concat_tables(pq.read_table(file, columns=[*shown, "primary"]) for file in files)

# `primary`: a source in the overlap of two fields is counted once. starProb is null without a basis, and null is no star.
trusted = pc.equal(pc.bit_wise_and(table["flags"], UNTRUSTED), 0)
star = pc.and_(pc.greater_equal(table["starProb"], args.star_prob), pc.and_(trusted, table["primary"]))
stars = table.filter(star).select(shown).sort_by(f"psfMag_{args.band}")

print(f"{len(files)} images, {table.num_rows} sources, {stars.num_rows} stars with starProb >= {args.star_prob:g}")
print(" ".join(f"{name:>14}" for name in shown))
print(" ".join(f"{unit[name]:>14}" for name in shown))
for row in stars.slice(0, args.limit).to_pylist():
    print(" ".join(f"{value:>14.5f}" if isinstance(value, float) else f"{value!s:>14}" for value in row.values()))
