"""The arrays of an .npz, one raw little-endian float64 file each, for a Rust test.

    python arrays.py FILE.npz OUT_FOLDER
"""
import sys
from pathlib import Path

import numpy as np

out = Path(sys.argv[2])
out.mkdir(parents=True, exist_ok=True)
with np.load(sys.argv[1]) as arrays:
    for name in arrays:
        arrays[name].astype("<f8").tofile(out / f"{name}.f64")
