//! A survey's table of CCDs, as CSV or as FITS.

use twinpeak_core::survey::TextTable;

use super::fits::first_table;

/// Why no table can be read.
#[derive(Debug, thiserror::Error)]
pub enum NoTable {
    /// It begins like FITS.
    #[error("no FITS table can be read from it: {0}")]
    Fits(String),
    /// It is no text.
    #[error("it is neither FITS nor text")]
    Neither,
    /// A row that does not have the header's cells.
    #[error("line {line} has {found} cells, the first line {wanted}")]
    Cells {
        /// The line, from 1.
        line: usize,
        /// Cells that it has.
        found: usize,
        /// Cells that it must have.
        wanted: usize,
    },
}

/// Reads a table from a file's bytes: the first binary table of a FITS file, else CSV with a line of names.
///
/// # Errors
/// [`NoTable`]
pub fn text_table(bytes: &[u8]) -> Result<TextTable, NoTable> {
    if bytes.starts_with(b"SIMPLE") || bytes.starts_with(&[0x1f, 0x8b]) || bytes.starts_with(b"BZh") {
        return first_table(bytes).map_err(NoTable::Fits);
    }
    let text = std::str::from_utf8(bytes).map_err(|_| NoTable::Neither)?;
    let mut lines = (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let columns = lines.next().map(|(_, line)| cells(line)).ok_or(NoTable::Neither)?;
    let mut rows = Vec::new();
    for (line, text) in lines {
        let row = cells(text);
        if row.len() != columns.len() {
            return Err(NoTable::Cells { line, found: row.len(), wanted: columns.len() });
        }
        rows.push(row);
    }
    Ok(TextTable { columns, rows })
}

/// The cells of a line; one between quotes may hold commas, and quotes written twice.
fn cells(line: &str) -> Vec<String> {
    let mut cells = vec![String::new()];
    let (mut quoted, mut letters) = (false, line.chars().peekable());
    while let Some(letter) = letters.next() {
        let cell = cells.len() - 1;
        match letter {
            '"' if quoted && letters.next_if_eq(&'"').is_some() => cells[cell].push('"'),
            '"' => quoted = !quoted,
            ',' if !quoted => cells.push(String::new()),
            other => cells[cell].push(other),
        }
    }
    cells.iter().map(|cell| cell.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_is_read_as_spreadsheets_write_it() {
        let text = "# zero points\nexpnum, ccdname,\"note\"\r\n\n372546,N26,\"a, \"\"b\"\"\"\r\n";
        let table = text_table(text.as_bytes()).unwrap();
        assert_eq!(table.columns, ["expnum", "ccdname", "note"]);
        assert_eq!(table.rows, [["372546", "N26", "a, \"b\""]]);
        assert!(matches!(text_table(b"a,b\n1\n"), Err(NoTable::Cells { line: 2, found: 1, wanted: 2 })));
        assert!(text_table(b"").is_err() && text_table(&[0xff, 0xfe]).is_err());
        assert!(matches!(text_table(b"SIMPLE  =  T"), Err(NoTable::Fits(_))));
    }
}
