//! What an image's outcome becomes on the topics.

/// Payloads one after another in one buffer: a crowded field has tens of thousands of rows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Records {
    /// Room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ends: Vec::new() }
    }

    /// Adds what `write` appends as one payload.
    pub fn push_with<E>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> Result<(), E>) -> Result<(), E> {
        write(&mut self.bytes)?;
        self.ends.push(self.bytes.len());
        Ok(())
    }

    /// The payloads in order.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).map(|(start, end)| &self.bytes[start..*end])
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Bytes of all.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// All records of one image, encoded. They have the image id as key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outgoing {
    /// For the topic of sources.
    pub sources: Records,
    /// For the topic of masks.
    pub masks: Records,
    /// For the topic of images: the last to be written.
    pub images: Records,
    /// Objects in the object store that these records name.
    pub objects: Vec<String>,
}

impl Outgoing {
    /// Bytes of all records.
    pub fn bytes(&self) -> usize {
        self.sources.bytes() + self.masks.bytes() + self.images.bytes()
    }
}
