//! Footprints that turn out to be parts of others.

use super::Footprints;

impl Footprints {
    /// Gives the pixels of each part to its whole, for pairs of numbers (part, whole) of which no whole is a part, and
    /// numbers what is left anew in the same order. Gives the new number of each old one, index less 1; that of a part is
    /// its whole's.
    pub fn absorb(&mut self, parts: &[(u32, u32)]) -> Vec<u32> {
        let mut owner: Vec<u32> = (1..=self.objects.len() as u32).collect();
        for &(part, whole) in parts {
            owner[part as usize - 1] = whole;
            let from = self.objects[part as usize - 1].clone();
            let to = &mut self.objects[whole as usize - 1];
            let ([left, top, right, bottom], [l, t, r, b]) = (to.bounds, from.bounds);
            to.bounds = [left.min(l), top.min(t), right.max(r), bottom.max(b)];
            to.area_px += from.area_px;
            to.peak = to.peak.max(from.peak);
        }
        let mut number = vec![0; owner.len()];
        let mut kept = 0;
        for (i, _) in owner.iter().enumerate().filter(|(i, o)| **o == *i as u32 + 1) {
            kept += 1;
            number[i] = kept;
        }
        let number: Vec<u32> = owner.iter().map(|&o| number[o as usize - 1]).collect();
        self.objects.retain(|object| owner[object.number as usize - 1] == object.number);
        self.objects.iter_mut().zip(1..).for_each(|(object, n)| object.number = n);
        for pixel in self.segmentation.pixels_mut().iter_mut().filter(|pixel| **pixel > 0) {
            *pixel = number[*pixel as usize - 1];
        }
        number
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Footprint;
    use crate::frame::Plane;

    #[test]
    fn a_part_becomes_its_whole_and_the_rest_keeps_its_order() {
        let segmentation = Plane::from_pixels(6, 1, vec![1, 1, 0, 2, 3, 4]);
        let footprint = |number: u32, x: usize, area_px: usize| Footprint {
            number,
            x: x as f64,
            y: 0.0,
            bounds: [x, 0, x + area_px - 1, 0],
            area_px,
            peak: number as f32,
            flags: 0,
        };
        let objects = vec![footprint(1, 0, 2), footprint(2, 3, 1), footprint(3, 4, 1), footprint(4, 5, 1)];
        let mut found = Footprints { segmentation, objects };
        assert_eq!(found.absorb(&[(1, 3), (4, 3)]), [2, 1, 2, 2]);
        assert_eq!(found.segmentation.pixels(), [2, 2, 0, 1, 2, 2]);
        let numbers: Vec<(u32, usize, f32)> = found.objects.iter().map(|o| (o.number, o.area_px, o.peak)).collect();
        assert_eq!(numbers, [(1, 1, 2.0), (2, 4, 4.0)]);
        assert_eq!(found.objects[1].bounds, [0, 0, 5, 0]);
    }
}
