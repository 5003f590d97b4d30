//! The child: reads one request, confines itself, lets the library decode, answers, ends.

use std::io::{self, Read, Write};

use rustix::process::{Signal, set_parent_process_death_signal};

use crate::confine::confine;
use crate::library::{self, MEMORY_ALLOCATION};
use crate::protocol::{Reply, Request};

/// The argument, the only one, with which a program is started to be the child.
pub const ARGUMENT: &str = "decode-image";

/// What a tile's decoding needs beside the file and the pixels: most is taken where one tile is the whole image, whose
/// numbers have 8 bytes while they are put back in order, twice.
const MEMORY_BYTES_A_PIXEL: u64 = 28;
const MEMORY_BYTES: u64 = 32 << 20;

/// Where the program was started to be the child: decodes what is asked on standard input, and ends the process. To be
/// called before anything else, and before any thread is made.
pub fn serve_if_asked() {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == ARGUMENT) && arguments.next().is_none() {
        let done = serve(&mut io::stdin().lock(), &mut io::stdout().lock());
        std::process::exit(i32::from(done.is_err()));
    }
}

/// One request, one reply.
fn serve(from: &mut impl Read, to: &mut impl Write) -> io::Result<()> {
    // A child whose parent died has nobody to answer.
    set_parent_process_death_signal(Some(Signal::KILL))?;
    let (request, bytes) = Request::read(from)?;
    let mut file = Vec::new();
    from.take(bytes).read_to_end(&mut file)?;
    if file.len() as u64 != bytes {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    answer(&request, &file).write(to)?;
    to.flush()
}

fn answer(request: &Request, file: &[u8]) -> Reply {
    let pixels = request.pixels().unwrap_or(u64::MAX);
    let memory = pixels.saturating_mul(MEMORY_BYTES_A_PIXEL).saturating_add(MEMORY_BYTES);
    if let Err(error) = confine(memory, request.cpu_s) {
        return Reply::NotConfined(error.to_string());
    }
    let (Ok(hdu), [Ok(width), Ok(height)]) = (usize::try_from(request.hdu), request.size.map(usize::try_from)) else {
        return Reply::Refused("the request is past this machine's word".into());
    };
    match library::read_image(file, hdu, [width, height]) {
        Ok(pixels) => Reply::Pixels(pixels),
        Err(error) if error.status == MEMORY_ALLOCATION => Reply::NoMemory(error.to_string()),
        Err(error) => Reply::Refused(error.to_string()),
    }
}
