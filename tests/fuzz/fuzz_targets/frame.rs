#![no_main]
//! Bytes as a frame, plain or packed; what codings it does not know, a child of this program decodes.
use std::sync::{Arc, LazyLock};

use twinpeak_cfitsio::decoder::Decoder;
use twinpeak_config::assemble::DecoderProcess;
use twinpeak_formats::fits::ForeignDecoder;

static CHILD: LazyLock<Arc<dyn ForeignDecoder>> = LazyLock::new(|| Arc::new(DecoderProcess(Decoder::this_program())));

libfuzzer_sys::fuzz_target!(
    init: twinpeak_cfitsio::child::serve_if_asked(),
    |bytes: &[u8]| laws::frame_by(Some(CHILD.clone()), ".fz", bytes)
);
