"""One real field, prepared by astropy and sep, as raw little-endian arrays that a Rust test reads.

    python field.py FIELD_FOLDER OUT_FOLDER

Writes image.f32 (5, H, W: background subtracted), detection.f32 (H, W), segmentation.u32 (H, W) and facts.f64 (height,
width, then by band sky sigma, nMgy per electron and the affine map of r pixels [1 x y] to x and y; then CRVAL, 0-based
CRPIX and CD of r), objects.f64 (n, 7: sep's x, y, npix; then in r the windowed x, y, the flux in a circle of 3 arcsec
diameter, the radius holding half of the flux within 8 px).
"""
import sys
import warnings
from pathlib import Path

import numpy as np
import sep
from astropy.io import fits
from astropy.wcs import WCS, FITSFixedWarning

warnings.simplefilter("ignore", FITSFixedWarning)
sep.set_extract_pixstack(3_000_000)
SED = np.array([0.12, 0.45, 1.0, 1.38, 1.7])
GAIN = {3: [1.59, 3.845, 4.72, 4.86, 4.885], 4: [1.6, 3.995, 4.76, 4.885, 4.775], 5: [1.47, 4.05, 4.725, 4.64, 3.48],
        6: [2.17, 4.035, 4.895, 4.76, 4.69], 1: [1.62, 3.32, 4.71, 5.165, 4.745], 2: [1.825, 3.855, 4.6, 6.565, 5.155]}

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
image, wcs, nmgy = [], [], []
for band in "ugriz":
    with fits.open(folder / f"frame-{band}-{folder.name}.fits.bz2") as hdus:
        data = np.ascontiguousarray(hdus[0].data, dtype=np.float32)
        header = hdus[0].header
    wcs.append(WCS(header))
    nmgy.append(header["NMGY"])
    dither = np.random.default_rng(0).uniform(-0.5, 0.5, data.shape) * nmgy[-1]
    image.append(data - sep.Background((data + dither).astype(np.float32), bw=128, bh=128, fw=3, fh=3).back())
image = np.array(image)
h, w = image.shape[1:]
y, x = (g.ravel() for g in np.mgrid[0:h:8j, 0:w:8j])
sky, basis = wcs[2].pixel_to_world_values(x, y), np.c_[np.ones_like(x), x, y]
in_band = [np.c_[k.world_to_pixel_values(*sky)] for k in wcs]
affine = np.array([np.linalg.lstsq(basis, p, rcond=None)[0] for p in in_band])     # (5, 3, 2)
shift = np.rint([np.median(p - np.c_[x, y], axis=0) for p in in_band]).astype(int)


def noise(plane):
    s = 1.4826 * np.median(np.abs(plane[::3, ::3] - np.median(plane[::3, ::3])))
    return float(np.sqrt(np.mean(np.clip(plane[plane < 0], -4 * s, 0).astype(np.float64)**2)))


sigma = np.array([noise(i) for i in image])
weight = np.where(np.isin(range(5), [1, 2, 3]), SED / sigma, 0)
weight = (weight / np.linalg.norm(weight)).astype(np.float32)
detection = np.zeros((h, w), np.float32)
for plane, s, (dx, dy), k in zip(image, sigma, shift, weight):
    moved = np.zeros_like(plane)
    ys, ye, xs, xe = max(0, -dy), min(h, h - dy), max(0, -dx), min(w, w - dx)
    moved[ys:ye, xs:xe] = plane[ys + dy:ye + dy, xs + dx:xe + dx]
    detection += k * (moved / s)
kernel = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], float)
found, segmentation = sep.extract(detection, 1.5, err=1.0, minarea=5, filter_kernel=kernel, deblend_nthresh=32,
                                  deblend_cont=0.002, segmentation_map=True)
r = image[2]
x, y = found["x"], found["y"]
first, _ = sep.flux_radius(r, x, y, np.full(len(x), 15.0), 0.5, subpix=5)
xw, yw, flag = sep.winpos(r, x, y, np.clip(first / 1.1774, 0.8, 3.0))
good = (flag == 0) & (np.hypot(xw - x, yw - y) < 1.5)
xw, yw = np.where(good, xw, x), np.where(good, yw, y)
aperture = sep.sum_circle(r, xw, yw, 1.5 / 0.396)[0]
flux8 = sep.sum_circle(r, xw, yw, 8.0)[0]
half, _ = sep.flux_radius(r, xw, yw, np.full(len(x), 8.0), 0.5, normflux=flux8, subpix=5)

out.mkdir(parents=True, exist_ok=True)
image.astype("<f4").tofile(out / "image.f32")
detection.astype("<f4").tofile(out / "detection.f32")
segmentation.astype("<u4").tofile(out / "segmentation.u32")
camcol = int(folder.name.split("-")[1])
facts = [h, w]
for b in range(5):
    facts += [sigma[b], nmgy[b] / GAIN[camcol][b], *affine[b, :, 0], *affine[b, :, 1]]
facts += [*wcs[2].wcs.crval, *(wcs[2].wcs.crpix - 1), *wcs[2].wcs.cd.ravel()]
np.array(facts, "<f8").tofile(out / "facts.f64")
np.c_[x, y, found["npix"], xw, yw, aperture, half].astype("<f8").tofile(out / "objects.f64")
