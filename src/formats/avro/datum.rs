//! Avro's binary encoding of single values (specification 1.12, "Binary Encoding"), appended to a buffer. Rows are
//! written by this because the library's way, a tree of values a row, takes thirty times as long
//! (`benches/wire.rs`); the tests have the library read everything back.

/// `int` and `long`: zigzag, then seven bits a byte, the lowest first.
pub(super) fn long(value: i64, out: &mut Vec<u8>) {
    let mut rest = ((value << 1) ^ (value >> 63)) as u64;
    while rest > 0x7F {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// `bytes` and `string`: length and content.
pub(super) fn bytes(value: &[u8], out: &mut Vec<u8>) {
    long(value.len() as i64, out);
    out.extend_from_slice(value);
}

/// `float`: little-endian.
pub(super) fn float(value: f32, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `double`: little-endian.
pub(super) fn double(value: f64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// `boolean`: one byte.
pub(super) fn boolean(value: bool, out: &mut Vec<u8>) {
    out.push(u8::from(value));
}

#[cfg(test)]
mod tests {
    use apache_avro::Schema;
    use apache_avro::reader::datum::GenericDatumReader;
    use apache_avro::types::Value;
    use proptest::prelude::*;

    use super::*;

    /// What the library reads from all of `bytes`.
    fn read(schema: &str, mut bytes: &[u8]) -> Value {
        let schema = Schema::parse_str(&format!("{schema:?}")).unwrap();
        let value = GenericDatumReader::builder(&schema).build().unwrap().read_value(&mut bytes).unwrap();
        assert!(bytes.is_empty(), "{} bytes left over", bytes.len());
        value
    }

    fn made(write: impl Fn(&mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::new();
        write(&mut out);
        out
    }

    #[test]
    fn the_specification_s_examples() {
        for (value, expected) in [(0, vec![0]), (-1, vec![1]), (1, vec![2]), (-64, vec![0x7F]), (64, vec![0x80, 1])] {
            assert_eq!(made(|out| long(value, out)), expected, "{value}");
        }
        assert_eq!(made(|out| bytes(b"foo", out)), [0x06, 0x66, 0x6F, 0x6F]);
    }

    proptest! {
        #[test]
        fn the_library_reads_what_was_written(v: i64, i: i32, f: f32, d: f64, s: String, b: bool) {
            for v in [v, v >> 20, v >> 40, i64::MIN, i64::MAX] {
                prop_assert_eq!(read("long", &made(|out| long(v, out))), Value::Long(v));
            }
            prop_assert_eq!(read("int", &made(|out| long(i.into(), out))), Value::Int(i));
            prop_assert_eq!(read("float", &made(|out| float(f, out))), Value::Float(f));
            prop_assert_eq!(read("double", &made(|out| double(d, out))), Value::Double(d));
            prop_assert_eq!(read("boolean", &made(|out| boolean(b, out))), Value::Boolean(b));
            prop_assert_eq!(read("bytes", &made(|out| bytes(s.as_bytes(), out))), Value::Bytes(s.clone().into()));
            prop_assert_eq!(read("string", &made(|out| bytes(s.as_bytes(), out))), Value::String(s));
        }
    }
}
