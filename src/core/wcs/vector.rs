//! Directions as unit vectors, and matrices on them. All angles here are radians.

/// A direction, or any vector.
pub(super) type Vector = [f64; 3];
/// Rows.
pub(super) type Matrix3 = [[f64; 3]; 3];
/// Rows.
pub(super) type Matrix2 = [[f64; 2]; 2];

pub(super) const IDENTITY: Matrix3 = [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]];

pub(super) fn dot(a: Vector, b: Vector) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

pub(super) fn apply(m: &Matrix3, v: Vector) -> Vector {
    [dot(m[0], v), dot(m[1], v), dot(m[2], v)]
}

pub(super) fn unit(v: Vector) -> Vector {
    let length = dot(v, v).sqrt();
    v.map(|c| c / length)
}

/// `a b`: what `b` does, then what `a` does.
pub(super) fn product(a: &Matrix3, b: &Matrix3) -> Matrix3 {
    let column = |j: usize| [b[0][j], b[1][j], b[2][j]];
    std::array::from_fn(|i| std::array::from_fn(|j| dot(a[i], column(j))))
}

pub(super) fn transpose(m: &Matrix3) -> Matrix3 {
    std::array::from_fn(|i| std::array::from_fn(|j| m[j][i]))
}

/// The inverse of a matrix that is a rotation or nearly one.
pub(super) fn inverse(m: &Matrix3) -> Matrix3 {
    let cross =
        |a: Vector, b: Vector| [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
    let columns = [cross(m[1], m[2]), cross(m[2], m[0]), cross(m[0], m[1])];
    let determinant = dot(m[0], columns[0]);
    std::array::from_fn(|i| std::array::from_fn(|j| columns[j][i] / determinant))
}

/// Turns the axes about one of them (0 x, 1 y, 2 z): the R1, R2 and R3 of the almanac.
pub(super) fn turned(axis: usize, angle: f64) -> Matrix3 {
    let (sin, cos) = angle.sin_cos();
    let (a, b) = ((axis + 1) % 3, (axis + 2) % 3);
    let mut m = IDENTITY;
    (m[a][a], m[a][b], m[b][a], m[b][b]) = (cos, sin, -sin, cos);
    m
}

pub(super) fn direction(lon: f64, lat: f64) -> Vector {
    let ((sin_lon, cos_lon), (sin_lat, cos_lat)) = (lon.sin_cos(), lat.sin_cos());
    [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat]
}

/// Longitude (0..360) and latitude, degrees.
pub(super) fn angles_deg(v: Vector) -> (f64, f64) {
    let lon = v[1].atan2(v[0]).to_degrees();
    // Adding 360 to a tiny negative number gives 360.
    let lon = if lon < 0.0 && lon + 360.0 < 360.0 { lon + 360.0 } else { lon.max(0.0) };
    (lon, v[2].atan2((v[0] * v[0] + v[1] * v[1]).sqrt()).to_degrees())
}

pub(super) fn apply2(m: &Matrix2, v: [f64; 2]) -> [f64; 2] {
    [m[0][0] * v[0] + m[0][1] * v[1], m[1][0] * v[0] + m[1][1] * v[1]]
}

/// `None` where the rows are parallel to 1e-9, or not finite.
pub(super) fn inverse2(m: &Matrix2) -> Option<Matrix2> {
    let determinant = m[0][0] * m[1][1] - m[0][1] * m[1][0];
    let size = m[0][0].hypot(m[0][1]) * m[1][0].hypot(m[1][1]);
    let sound = determinant.is_finite() && size.is_normal() && determinant.abs() > 1e-9 * size;
    sound.then(|| [[m[1][1] / determinant, -m[0][1] / determinant], [-m[1][0] / determinant, m[0][0] / determinant]])
}
