//! The calls into cfitsio: the one place of this crate where `unsafe` stands. What the library does with bytes that are not
//! sound is out of anybody's hands; so [`read_image`] is for the confined child alone.
#![allow(unsafe_code, reason = "a C library is called")]

use std::ffi::{CString, c_char, c_int, c_long, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use fitsio::{FileOpenMode, FitsFile, sys};

/// What the library said.
#[derive(Debug, thiserror::Error)]
#[error("cfitsio says {text} (status {status})")]
pub struct LibraryError {
    /// Its number for it.
    pub status: i32,
    /// Its words.
    pub text: String,
}

/// The library's number for an allocation that failed.
pub(crate) const MEMORY_ALLOCATION: i32 = 113;
/// Its numbers for a file that cannot be opened, for a size that is not the expected one, for a type of pixel.
const FILE_NOT_OPENED: i32 = 104;
const BAD_DIMEN: i32 = 320;
/// Its type of a 4-byte real.
const TFLOAT: c_int = 42;

/// Its words for a status, with the last message of its stack, which says more.
fn checked(status: c_int) -> Result<(), LibraryError> {
    if status <= 0 {
        return Ok(());
    }
    let (mut text, mut message): ([c_char; 128], [c_char; 128]) = ([0; 128], [0; 128]);
    // SAFETY: both write at most 81 characters with their zero.
    unsafe {
        sys::ffgerr(status, text.as_mut_ptr());
        sys::ffgmsg(message.as_mut_ptr());
        sys::ffcmsg();
    }
    let words = |raw: &[c_char]| {
        let bytes: Vec<u8> = raw.iter().map(|c| *c as u8).take_while(|b| *b != 0).collect();
        String::from_utf8_lossy(&bytes).trim().to_owned()
    };
    let text = [words(&text), words(&message)].into_iter().filter(|t| !t.is_empty()).collect::<Vec<_>>().join(": ");
    Err(LibraryError { status, text })
}

/// Opens a file on disk for reading. Its name is a name: the library's extended syntax is not interpreted. What is packed
/// with gzip is unpacked in memory.
pub(crate) fn open(path: &Path) -> Result<FitsFile, LibraryError> {
    let name = CString::new(path.as_os_str().as_bytes())
        .map_err(|_| LibraryError { status: FILE_NOT_OPENED, text: "the name holds a zero byte".into() })?;
    let (mut file, mut status) = (ptr::null_mut(), 0);
    // SAFETY: the name ends with zero and outlives the call; the library refuses names that are too long for it.
    unsafe { sys::ffdkopn(&mut file, name.as_ptr(), sys::READONLY as c_int, &mut status) };
    checked(status)?;
    // SAFETY: the library has just opened it, and nobody else has it.
    unsafe { FitsFile::from_raw(file, FileOpenMode::READONLY) }
        .map_err(|error| LibraryError { status: FILE_NOT_OPENED, text: error.to_string() })
}

/// Pixels of HDU `hdu` (from 0) of a file in memory, row by row, scaled as its header says, NaN where it has none.
pub(crate) fn read_image(file: &[u8], hdu: usize, size: [usize; 2]) -> Result<Vec<f32>, LibraryError> {
    let unfit = |text: &str| LibraryError { status: BAD_DIMEN, text: text.into() };
    let pixels = size[0].checked_mul(size[1]).ok_or_else(|| unfit("the image is past any memory"))?;
    let number = c_int::try_from(hdu + 1).map_err(|_| unfit("there is no such HDU"))?;
    let mut image: Vec<f32> = Vec::new();
    image
        .try_reserve_exact(pixels)
        .map_err(|_| LibraryError { status: MEMORY_ALLOCATION, text: "there is no memory for the image".into() })?;
    image.resize(pixels, f32::NAN);
    let (mut handle, mut status, mut kind) = (ptr::null_mut(), 0, 0);
    let mut start: *mut c_void = file.as_ptr().cast_mut().cast();
    let mut bytes = file.len();
    let (mut naxis, mut axes): (c_int, [c_long; 9]) = (0, [1; 9]);
    let mut blank = f32::NAN;
    // SAFETY: `start` and `bytes` are the file's and outlive the handle, which is closed here; opened for reading and
    // without a function to grow it, the library does not write to it. Each other pointer is to a variable or a buffer of
    // the type and length that is told. Each call does nothing where the status before is an error.
    unsafe {
        let read_only = sys::READONLY as c_int;
        sys::ffomem(&mut handle, c"frame".as_ptr(), read_only, &mut start, &mut bytes, 0, None, &mut status);
        sys::ffmahd(handle, number, &mut kind, &mut status);
        sys::ffgidm(handle, &mut naxis, &mut status);
        sys::ffgisz(handle, axes.len() as c_int, axes.as_mut_ptr(), &mut status);
        let fits = usize::try_from(axes[0]) == Ok(size[0]) && usize::try_from(axes[1]) == Ok(size[1]);
        if status == 0 && (naxis < 2 || !fits || axes[2..].iter().any(|n| *n != 1)) {
            status = BAD_DIMEN;
        }
        let blank: *mut c_void = ptr::from_mut(&mut blank).cast();
        let into: *mut c_void = image.as_mut_ptr().cast();
        sys::ffgpv(handle, TFLOAT, 1, pixels as i64, blank, into, &mut 0, &mut status);
        if !handle.is_null() {
            sys::ffclos(handle, &mut 0);
        }
    }
    checked(status).map(|()| image)
}
