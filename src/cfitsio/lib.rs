//! cfitsio, by the crate `fitsio`, where it is safe: for tables of our own side, and in a child process for images whose
//! coding the safe reader of `formats` does not know.
//!
//! cfitsio decodes what nobody else in this language does, and it can be made to read and write out of bounds by a
//! damaged tile. So it never sees a stranger's bytes in the daemon's own process.
//!
//! # What it may know
//!
//! None of our crates: bytes, paths and numbers go in, numbers come out. `unsafe` stands in `library.rs` alone, where the
//! library is called. No other crate of the products names fitsio.
//!
//! # The modules
//!
//! | module | what |
//! | --- | --- |
//! | [`table`] | columns of a FITS table of our own side: a reference catalogue, the truth, results read back |
//! | [`decoder`] | the parent's side of the child: starts it, gives it a file, takes pixels or says how it died |
//! | [`child`] | the child: confines itself, decodes one image and ends |
//! | [`confine`](mod@confine) | its limits on memory, time, files and system calls |
//! | `protocol` | what goes through the two pipes |
//! | `library` | the calls into cfitsio |
//!
//! # A program that can be its own child
//!
//! The first thing that such a program does is to ask whether it was started to be the child:
//!
//! ```
//! twinpeak_cfitsio::child::serve_if_asked();
//! let decoder = twinpeak_cfitsio::decoder::Decoder::this_program();
//! // decoder.decode(&file, 1, [2048, 1489]) would now give the pixels of the second HDU.
//! # let _ = decoder;
//! ```

pub mod child;
pub mod confine;
pub mod decoder;
mod library;
mod protocol;
pub mod table;

pub use library::LibraryError;
