//! Avro's object container file: the schema, then blocks of rows (specification 1.12, "Object Container Files").
//! Written here because the library's own writer puts its header in no fixed order.

use sha2::{Digest, Sha256};

use super::{RecordSchema, Rows, datum};
use twinpeak_core::catalog::Provenance;

/// Rows of a block: readers hold one at a time.
const BLOCK_ROWS: usize = 1000;

/// A file with these rows, which have no heads.
pub(super) fn file(schema: &RecordSchema, of: &Provenance, rows: &Rows) -> Vec<u8> {
    let marker = marker(schema, of);
    let mut out = b"Obj\x01".to_vec();
    let metadata = [
        ("avro.schema", schema.text()),
        ("avro.codec", "null"),
        ("twinpeak.survey", &of.survey),
        ("twinpeak.imageId", of.image_id.as_str()),
        ("twinpeak.softwareVersion", &of.software_version),
    ];
    datum::long(metadata.len() as i64, &mut out);
    for (key, value) in metadata {
        datum::bytes(key.as_bytes(), &mut out);
        datum::bytes(value.as_bytes(), &mut out);
    }
    datum::long(0, &mut out);
    out.extend_from_slice(&marker);
    let rows: Vec<&[u8]> = rows.iter().collect();
    for block in rows.chunks(BLOCK_ROWS) {
        datum::long(block.len() as i64, &mut out);
        datum::bytes(&block.concat(), &mut out);
        out.extend_from_slice(&marker);
    }
    out
}

/// What ends each block. Readers only ask that it is unlikely within a row; made from the schema and the image, it
/// is the same whenever the file is written.
fn marker(schema: &RecordSchema, of: &Provenance) -> [u8; 16] {
    let parts = [schema.text(), &of.survey, of.image_id.as_str(), &of.input_hash];
    let digest = parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part).chain_update([0]));
    digest.finalize()[..16].try_into().expect("SHA-256 has 32 bytes")
}
