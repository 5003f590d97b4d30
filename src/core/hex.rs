//! Bytes as people and manifests write them.

/// Lower-case hexadecimal, two digits a byte.
///
/// ```
/// assert_eq!(twinpeak_core::hex::hex(&[0xC3, 0x01]), "c301");
/// ```
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
