//! Who does the cryptography of the object store's and the registry's TLS: ring. The broker's is OpenSSL's.

use rustls::crypto::ring::default_provider;

/// Chooses it for this process; to be called before a client is made, and as often as one likes.
pub(crate) fn choose_provider() {
    // Somebody chose before: so be it.
    let _ = default_provider().install_default();
}
