//! What an image's outcome becomes on the topics.

use twinpeak_formats::avro::Rows;

/// All records of one image, encoded. They have the image id as key.
pub struct ImageRecords {
    /// For the topic of sources.
    pub sources: Rows,
    /// For the topic of masks.
    pub masks: Vec<Vec<u8>>,
    /// For the topic of images: the last to be written.
    pub image: Vec<u8>,
    /// Objects in the object store that these records name.
    pub objects: Vec<String>,
}

impl ImageRecords {
    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.sources.bytes().len() + self.masks.iter().map(Vec::len).sum::<usize>() + self.image.len()
    }

    /// Bytes of the longest record for each topic: sources, masks, images.
    pub fn longest(&self) -> [usize; 3] {
        let of = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
        [of(&mut self.sources.iter().map(<[u8]>::len)), of(&mut self.masks.iter().map(Vec::len)), self.image.len()]
    }
}
