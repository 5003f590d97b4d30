//! Where a binary table's columns lie: just enough to take the sky's samples and an image's tiles from one.

use super::file_error::FileError;
use super::hdu::Hdu;

/// A binary table of one HDU.
#[derive(Debug)]
pub(super) struct Table<'a> {
    row_bytes: usize,
    rows: usize,
    heap_from: usize,
    columns: Vec<Column>,
    data: &'a [u8],
}

/// A column's place in a row.
#[derive(Clone, Debug)]
pub(super) struct Column {
    name: String,
    offset: usize,
    repeat: usize,
    kind: u8,
    /// For an array in the heap (kind P or Q): the type of its elements.
    element: u8,
}

impl<'a> Table<'a> {
    /// The table of an HDU; `None` where it holds none.
    pub(super) fn of(hdu: &Hdu<'a>) -> Result<Option<Self>, FileError> {
        let header = &hdu.header;
        if header.text("XTENSION") != Some("BINTABLE") {
            return Ok(None);
        }
        let bad = |card: &str| FileError::BadCard { card: card.to_owned() };
        let row_bytes = header.count("NAXIS1")? as usize;
        // Rows of no bytes could be declared without end.
        let rows = if row_bytes == 0 { 0 } else { header.count("NAXIS2")? as usize };
        let fixed = row_bytes.checked_mul(rows).filter(|n| *n <= hdu.data.len()).ok_or_else(|| bad("NAXIS1"))?;
        let mut columns = Vec::new();
        let mut offset = 0usize;
        for i in 1..=header.count("TFIELDS")?.min(999) {
            let card = format!("TFORM{i}");
            let form = header.text(&card).ok_or_else(|| bad(&card))?;
            let mut column = Column::parse(form).ok_or_else(|| bad(&card))?;
            column.name = header.text(&format!("TTYPE{i}")).unwrap_or_default().to_uppercase();
            column.offset = offset;
            offset = column.bytes().and_then(|n| offset.checked_add(n)).ok_or_else(|| bad(&card))?;
            columns.push(column);
        }
        if offset > row_bytes {
            return Err(bad("NAXIS1"));
        }
        let heap_from = if header.has("THEAP") { header.count("THEAP")? as usize } else { fixed };
        Ok(Some(Self { row_bytes, rows, heap_from, columns, data: hdu.data }))
    }

    /// Number of rows.
    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes of rows and heap together.
    pub(super) fn bytes(&self) -> usize {
        self.data.len()
    }

    /// A column by its name, in any case.
    pub(super) fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|c| c.name.eq_ignore_ascii_case(name))
    }

    /// All finite numbers of a floating-point column.
    pub(super) fn reals(&self, column: &Column) -> Vec<f64> {
        let cells = (0..self.rows).filter_map(|row| self.cell(row, column));
        cells.flat_map(|cell| decode_reals(cell, column.kind)).filter(|v| v.is_finite()).collect()
    }

    /// The first number of a cell.
    pub(super) fn number(&self, row: usize, column: &Column) -> Option<f64> {
        let cell = self.cell(row, column)?;
        match column.kind {
            b'J' => cell.first_chunk().map(|b| f64::from(i32::from_be_bytes(*b))),
            kind => decode_reals(cell, kind).first().copied(),
        }
    }

    /// Names of the columns, in capitals.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.columns.iter().map(|c| c.name.as_str())
    }

    /// A cell as text: letters, or its first number; empty for other types.
    pub(super) fn text(&self, row: usize, column: usize) -> Option<String> {
        let column = self.columns.get(column)?;
        let cell = self.cell(row, column)?;
        let whole = match column.kind {
            b'A' => {
                let end = cell.iter().position(|b| *b == 0).unwrap_or(cell.len());
                return Some(String::from_utf8_lossy(&cell[..end]).trim().to_owned());
            }
            b'B' => cell.first().map(|b| i64::from(*b)),
            b'I' => cell.first_chunk().map(|b| i64::from(i16::from_be_bytes(*b))),
            b'J' => cell.first_chunk().map(|b| i64::from(i32::from_be_bytes(*b))),
            b'K' => cell.first_chunk().map(|b| i64::from_be_bytes(*b)),
            kind => return Some(decode_reals(cell, kind).first().map(f64::to_string).unwrap_or_default()),
        };
        Some(whole.map(|n| n.to_string()).unwrap_or_default())
    }

    /// The bytes of a cell's array in the heap: empty for an empty array, `None` where it points out of the heap.
    pub(super) fn array(&self, row: usize, column: &Column) -> Option<&'a [u8]> {
        let cell = self.cell(row, column)?;
        let word = |at: usize| match column.kind {
            b'P' => cell.get(4 * at..)?.first_chunk().map(|b| u64::from(u32::from_be_bytes(*b))),
            b'Q' => cell.get(8 * at..)?.first_chunk().map(|b| u64::from_be_bytes(*b)),
            _ => None,
        };
        let size = element_bytes(column.element)?;
        let bytes = usize::try_from(word(0)?).ok()?.checked_mul(size)?;
        let from = self.heap_from.checked_add(usize::try_from(word(1)?).ok()?)?;
        self.data.get(from..from.checked_add(bytes)?)
    }

    fn cell(&self, row: usize, column: &Column) -> Option<&'a [u8]> {
        let from = row * self.row_bytes + column.offset;
        self.data.get(from..from + column.bytes()?)
    }
}

impl Column {
    /// Reads a TFORM such as `49152E` or `1PB(1200)`.
    fn parse(form: &str) -> Option<Self> {
        let form = form.trim();
        let digits = form.bytes().take_while(u8::is_ascii_digit).count();
        let repeat = if digits == 0 { 1 } else { form[..digits].parse().ok()? };
        let mut letters = form[digits..].bytes();
        let kind = letters.next()?;
        Some(Self { name: String::new(), offset: 0, repeat, kind, element: letters.next().unwrap_or(b'B') })
    }

    fn bytes(&self) -> Option<usize> {
        match self.kind {
            b'X' => Some(self.repeat.div_ceil(8)),
            b'P' => self.repeat.checked_mul(8),
            b'Q' => self.repeat.checked_mul(16),
            kind => self.repeat.checked_mul(element_bytes(kind)?),
        }
    }
}

fn element_bytes(kind: u8) -> Option<usize> {
    Some(match kind {
        b'L' | b'B' | b'A' => 1,
        b'I' => 2,
        b'J' | b'E' => 4,
        b'K' | b'D' | b'C' => 8,
        b'M' => 16,
        _ => return None,
    })
}

fn decode_reals(bytes: &[u8], kind: u8) -> Vec<f64> {
    match kind {
        b'E' => bytes.as_chunks().0.iter().map(|b| f64::from(f32::from_be_bytes(*b))).collect(),
        b'D' => bytes.as_chunks().0.iter().map(|b| f64::from_be_bytes(*b)).collect(),
        _ => Vec::new(),
    }
}
