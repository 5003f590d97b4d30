//! The parent's side: a process a file, killed when its time is over, whose death is that file's alone.

use std::ffi::OsString;
use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

use crate::child::ARGUMENT;
use crate::protocol::{Reply, Request};

/// How long a child may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// By the clock, from its start to its answer.
    pub wall: Duration,
    /// Processor time, whole seconds.
    pub cpu_s: u64,
}

impl Default for Limits {
    /// A HCOMPRESS frame of the largest size that is taken needs some seconds.
    fn default() -> Self {
        Self { wall: Duration::from_secs(40), cpu_s: 20 }
    }
}

/// Why there are no pixels.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The library refuses the file; the child is well.
    #[error("{0}")]
    Refused(String),
    /// The file broke the child.
    #[error("the decoder's process {0}")]
    Broken(String),
    /// There is no child, or none that is confined: not the file's fault.
    #[error("the decoder's process cannot be had: {0}")]
    Unavailable(String),
}

/// Decodes images in processes of their own.
#[derive(Clone, Debug)]
pub struct Decoder {
    program: PathBuf,
    arguments: Vec<OsString>,
    limits: Limits,
}

/// Most of a dead child's complaints that is repeated, bytes.
const COMPLAINT_MAX: u64 = 200;

/// Where the system's loader finds what the program is linked with.
const LIBRARIES: &str = "LD_LIBRARY_PATH";

impl Decoder {
    /// By this very program, which must call [`crate::child::serve_if_asked`] first of all. What runs is what was started,
    /// also where an upgrade has replaced the file since.
    pub fn this_program() -> Self {
        Self::by(Path::new("/proc/self/exe"))
    }

    /// By another program that is such a child when started with [`ARGUMENT`].
    pub fn by(program: &Path) -> Self {
        Self { program: program.into(), arguments: vec![ARGUMENT.into()], limits: Limits::default() }
    }

    /// The same with other arguments in the place of [`ARGUMENT`].
    #[must_use]
    pub fn with_arguments(self, arguments: &[&str]) -> Self {
        Self { arguments: arguments.iter().map(Into::into).collect(), ..self }
    }

    /// The same under other limits.
    #[must_use]
    pub fn within(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The pixels of HDU `hdu` (from 0) of an unpacked FITS file, `size` (width, height) of them, row by row; scaled by
    /// BSCALE and BZERO, NaN where the file says that there is none. Waits for the child; takes no more memory here than
    /// the pixels.
    ///
    /// # Errors
    /// [`DecodeError`]
    pub fn decode(&self, file: &[u8], hdu: usize, size: [usize; 2]) -> Result<Vec<f32>, DecodeError> {
        let request = Request { hdu: hdu as u64, size: size.map(|n| n as u64), cpu_s: self.limits.cpu_s };
        let pixels = size[0].checked_mul(size[1]).ok_or_else(|| DecodeError::Refused("it is too large".into()))?;
        let mut child = self.start().map_err(|error| DecodeError::Unavailable(error.to_string()))?;
        let asked = self.ask(&mut child, &request, file, pixels);
        // Whoever has answered, or closed the pipe, is not needed any more; one who is dying keeps the signal he dies of.
        kill(pid_of(&child));
        let ended = child.wait().map_err(|error| DecodeError::Unavailable(error.to_string()))?;
        match asked {
            Ok(Some(Reply::Pixels(pixels))) => Ok(pixels),
            Ok(Some(Reply::Refused(text))) => Err(DecodeError::Refused(text)),
            Ok(Some(Reply::NoMemory(text))) => {
                Err(DecodeError::Broken(format!("needs more memory than it may: {text}")))
            }
            Ok(Some(Reply::NotConfined(text))) => Err(DecodeError::Unavailable(text)),
            Ok(None) => Err(DecodeError::Broken(obituary(ended, child.stderr.take()))),
            Err(TimeOver) => Err(DecodeError::Broken(format!("was killed after {} s", self.limits.wall.as_secs_f64()))),
        }
    }

    fn start(&self) -> io::Result<Child> {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // Secrets of the program's environment are not the child's, nor is a wish for backtraces, which would open files.
        command.env_clear().envs(std::env::var_os(LIBRARIES).map(|folders| (LIBRARIES, folders)));
        // Of its own group: what the terminal sends to the program is not for it.
        command.process_group(0).spawn()
    }

    /// Writes the request and reads the reply, while another thread watches the clock.
    fn ask(&self, child: &mut Child, request: &Request, file: &[u8], pixels: usize) -> Result<Option<Reply>, TimeOver> {
        let (Some(mut to), Some(mut from)) = (child.stdin.take(), child.stdout.take()) else { return Ok(None) };
        let pid = pid_of(child);
        let over = AtomicBool::new(false);
        let reply = thread::scope(|scope| {
            let (done, wait) = mpsc::channel::<()>();
            let over = &over;
            scope.spawn(move || {
                if wait.recv_timeout(self.limits.wall) == Err(RecvTimeoutError::Timeout) {
                    over.store(true, Ordering::Relaxed);
                    kill(pid);
                }
            });
            // Where it died before it has read all, its end says why.
            let _ = request.write(file, &mut to);
            drop(to);
            let reply = Reply::read(&mut from, pixels);
            drop(done);
            reply
        });
        if reply.is_none() && over.into_inner() { Err(TimeOver) } else { Ok(reply) }
    }
}

fn pid_of(child: &Child) -> Option<Pid> {
    i32::try_from(child.id()).ok().and_then(Pid::from_raw)
}

/// Kills a child with whatever it may have started: all that could hold the pipes. For one that has not been waited for, so
/// that the number is still its own.
fn kill(child: Option<Pid>) {
    let _ = child.map(|pid| kill_process_group(pid, Signal::KILL));
}

/// The child was killed by the clock.
#[derive(Debug)]
struct TimeOver;

/// How a child ended that did not answer.
fn obituary(ended: ExitStatus, complaints: Option<impl Read>) -> String {
    let how = match (ended.signal(), ended.code()) {
        (Some(libc::SIGSYS), _) => "asked for a forbidden system call".to_owned(),
        (Some(libc::SIGXCPU), _) => "used up its processor time".to_owned(),
        (Some(libc::SIGKILL), _) => "was killed".to_owned(),
        (Some(libc::SIGSEGV | libc::SIGBUS), _) => "read or wrote where it has no memory".to_owned(),
        (Some(libc::SIGABRT), _) => "gave up (SIGABRT)".to_owned(),
        (Some(signal), _) => format!("died of signal {signal}"),
        (None, Some(code)) => format!("ended without an answer, with code {code}"),
        (None, None) => "ended without an answer".to_owned(),
    };
    let mut said = Vec::new();
    let _ = complaints.map(|from| from.take(COMPLAINT_MAX).read_to_end(&mut said));
    let said = String::from_utf8_lossy(&said);
    match said.lines().find(|line| !line.trim().is_empty()) {
        Some(line) => format!("{how}: {}", line.trim()),
        None => how,
    }
}
