//! The child's limits: on memory, processor time, files and system calls. Put on once the file has been read into memory
//! and before the library sees it; nothing takes them off again.

use std::collections::BTreeMap;
use std::io;

use rustix::process::{Resource, Rlimit, setrlimit};
use seccompiler::SeccompCmpArgLen::Dword;
use seccompiler::SeccompCmpOp::{Eq, MaskedEq};
use seccompiler::{BpfProgram, SeccompAction, SeccompCondition, SeccompFilter, SeccompRule};

/// Why the child could not be confined; then it does not work.
#[derive(Debug, thiserror::Error)]
pub enum ConfineError {
    /// A limit on a resource was not taken.
    #[error("the limit on {what} was refused: {source}")]
    Limit {
        /// The resource.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// What is in use now cannot be told.
    #[error("/proc/self/statm cannot be read: {source}")]
    Statm {
        /// What the system said.
        source: io::Error,
    },
    /// The filter was not taken.
    #[error("the filter of system calls was refused: {0}")]
    Filter(#[from] seccompiler::Error),
    /// The filter could not be made for this machine.
    #[error("the filter of system calls cannot be made: {0}")]
    Backend(#[from] seccompiler::BackendError),
}

/// Confines this process for good: `memory_bytes` beyond what it holds now, `cpu_s` seconds of processor time, no file
/// opened or grown, no process or thread made, and no system calls but those for memory, for its own end and for writing
/// to descriptors that it has. Whoever calls another dies of it.
///
/// # Errors
/// [`ConfineError`]; then only a part of the limits may hold.
pub fn confine(memory_bytes: u64, cpu_s: u64) -> Result<(), ConfineError> {
    let filter = filter()?;
    let held = held_bytes()?;
    let between = |what, resource, soft: u64, hard: u64| {
        let limit = Rlimit { current: Some(soft), maximum: Some(hard) };
        setrlimit(resource, limit).map_err(|error| ConfineError::Limit { what, source: error.into() })
    };
    let limit = |what, resource, most| between(what, resource, most, most);
    limit("core files", Resource::Core, 0)?;
    limit("file sizes", Resource::Fsize, 0)?;
    limit("open files", Resource::Nofile, 0)?;
    limit("processes", Resource::Nproc, 0)?;
    // At the first it is told by SIGXCPU, at the second it is killed.
    between("processor time", Resource::Cpu, cpu_s, cpu_s + 1)?;
    limit("memory", Resource::As, held.saturating_add(memory_bytes))?;
    seccompiler::apply_filter_all_threads(&filter)?;
    Ok(())
}

/// Address space that this process holds, bytes.
fn held_bytes() -> Result<u64, ConfineError> {
    let text = std::fs::read_to_string("/proc/self/statm").map_err(|source| ConfineError::Statm { source })?;
    let pages: Option<u64> = text.split_whitespace().next().and_then(|word| word.parse().ok());
    let pages = pages.ok_or_else(|| ConfineError::Statm { source: io::ErrorKind::InvalidData.into() })?;
    Ok(pages.saturating_mul(rustix::param::page_size() as u64))
}

fn filter() -> Result<BpfProgram, ConfineError> {
    let when = |argument, operator, value| SeccompCondition::new(argument, Dword, operator, value);
    let any = Vec::new;
    let only = |conditions| SeccompRule::new(conditions).map(|rule| vec![rule]);
    let not_executable = || when(2, MaskedEq(libc::PROT_EXEC as u64), 0);
    let to = |descriptor| SeccompRule::new(vec![when(0, Eq, descriptor)?]);
    let itself = u64::from(std::process::id());
    let calls: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::from([
        // Memory that is nobody else's and no code.
        (libc::SYS_brk, any()),
        (libc::SYS_munmap, any()),
        (libc::SYS_mremap, any()),
        (libc::SYS_madvise, any()),
        (libc::SYS_mmap, only(vec![not_executable()?, when(4, Eq, u64::from(u32::MAX))?])?),
        (libc::SYS_mprotect, only(vec![not_executable()?])?),
        // Its answer, its complaints, and what the C library asks of a stream before it writes.
        (libc::SYS_write, vec![to(1)?, to(2)?]),
        (libc::SYS_fstat, any()),
        (libc::SYS_newfstatat, only(vec![when(3, Eq, libc::AT_EMPTY_PATH as u64)?])?),
        // Its own end, also a violent one, so that the parent is told the true signal.
        (libc::SYS_exit, any()),
        (libc::SYS_exit_group, any()),
        (libc::SYS_rt_sigreturn, any()),
        (libc::SYS_rt_sigaction, any()),
        (libc::SYS_rt_sigprocmask, any()),
        (libc::SYS_sigaltstack, any()),
        (libc::SYS_getpid, any()),
        (libc::SYS_gettid, any()),
        (libc::SYS_tgkill, only(vec![when(0, Eq, itself)?])?),
        // Locks of the allocator, and what is asked of the machine by a name.
        (libc::SYS_futex, any()),
        (libc::SYS_getrandom, any()),
        (libc::SYS_clock_gettime, any()),
    ]);
    let arch = std::env::consts::ARCH.try_into()?;
    let filter = SeccompFilter::new(calls, SeccompAction::KillProcess, SeccompAction::Allow, arch)?;
    Ok(filter.try_into()?)
}
