//! `file://` below configured folders. A file is opened first and judged by what was opened, so that a link
//! changed in between leads nowhere.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use super::{DenyReason, ObjectStoreError};
use crate::message::Uri;

/// Folders below which files may be read.
#[derive(Debug)]
pub(super) struct Roots(Vec<Root>);

#[derive(Debug)]
struct Root {
    /// As configured.
    named: PathBuf,
    /// Its links resolved.
    real: PathBuf,
}

impl Roots {
    /// Resolves the folders' own links, once.
    ///
    /// # Errors
    /// [`ObjectStoreError::Setting`] of `key` where one is not there.
    pub fn new(folders: &[PathBuf], key: &'static str) -> Result<Self, ObjectStoreError> {
        let resolve = |named: &PathBuf| match named.canonicalize() {
            Ok(real) if real.is_dir() => Ok(Root { named: named.clone(), real }),
            Ok(_) => Err(ObjectStoreError::Setting { key, problem: format!("{named:?} is no folder") }),
            Err(e) => Err(ObjectStoreError::Setting { key, problem: format!("{named:?}: {e}: make the folder first") }),
        };
        folders.iter().map(resolve).collect::<Result<_, _>>().map(Self)
    }

    /// Opens a regular file that lies below a root, and returns its size in bytes.
    ///
    /// # Errors
    /// [`ObjectStoreError`]: forbidden, absent, no file.
    pub fn open(&self, path: &Path) -> Result<(File, u64), ObjectStoreError> {
        let uri = Uri::File(path.to_owned());
        let forbidden = || ObjectStoreError::Forbidden { uri: uri.clone(), ban: DenyReason::OutsideRoots };
        // What is outside by its name alone is not even opened: opening a device can move it.
        let odd = path.components().any(|part| matches!(part, Component::ParentDir | Component::CurDir));
        if odd || !self.0.iter().any(|root| path.starts_with(&root.named) || path.starts_with(&root.real)) {
            return Err(forbidden());
        }
        let failed = |e| ObjectStoreError::of("open", &uri, e);
        // Without O_NONBLOCK, opening a named pipe would wait for its writer.
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_CLOEXEC | libc::O_NOCTTY)
            .open(path)
            .map_err(failed)?;
        let opened = std::fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(failed)?;
        if !self.0.iter().any(|root| opened.starts_with(&root.real)) {
            return Err(forbidden());
        }
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(ObjectStoreError::NotAFile { uri });
        }
        Ok((file, metadata.len()))
    }

    /// Reads a file of at most `limit` bytes whole; one that grows meanwhile is held to the limit too.
    ///
    /// # Errors
    /// [`ObjectStoreError`]
    pub fn read(&self, path: &Path, limit: u64) -> Result<Vec<u8>, ObjectStoreError> {
        let (file, size) = self.open(path)?;
        let uri = || Uri::File(path.to_owned());
        let too_large = |bytes| ObjectStoreError::TooLarge { uri: uri(), bytes, limit };
        if size > limit {
            return Err(too_large(size));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        let most = limit.saturating_add(1);
        file.take(most).read_to_end(&mut bytes).map_err(|e| ObjectStoreError::of("read", &uri(), e))?;
        let read = bytes.len() as u64;
        if read > limit { Err(too_large(read)) } else { Ok(bytes) }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    const LIMIT: u64 = 1000;

    /// A root `in` and a folder `out` beside it, which holds a secret.
    fn two_folders() -> (tempfile::TempDir, Roots) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("in/sub")).unwrap();
        fs::create_dir(dir.path().join("out")).unwrap();
        fs::write(dir.path().join("in/sub/f"), "frame").unwrap();
        fs::write(dir.path().join("out/f"), "secret").unwrap();
        let roots = Roots::new(&[dir.path().join("in")], "file_roots").unwrap();
        (dir, roots)
    }

    fn is_forbidden(result: &Result<Vec<u8>, ObjectStoreError>) -> bool {
        matches!(result, Err(ObjectStoreError::Forbidden { ban: DenyReason::OutsideRoots, .. }))
    }

    #[test]
    fn files_below_a_root_are_read_and_others_are_not() {
        let (dir, roots) = two_folders();
        assert_eq!(roots.read(&dir.path().join("in/sub/f"), LIMIT).unwrap(), b"frame");
        symlink("sub/f", dir.path().join("in/inner")).unwrap();
        assert_eq!(roots.read(&dir.path().join("in/inner"), LIMIT).unwrap(), b"frame");
        symlink("../out/f", dir.path().join("in/link")).unwrap();
        symlink("../out", dir.path().join("in/folder")).unwrap();
        symlink("/proc/self/environ", dir.path().join("in/environ")).unwrap();
        fs::create_dir(dir.path().join("in-beside")).unwrap();
        fs::write(dir.path().join("in-beside/f"), "secret").unwrap();
        for escape in ["out/f", "in/../out/f", "in/link", "in/folder/f", "in/environ", "in-beside/f"] {
            let result = roots.read(&dir.path().join(escape), LIMIT);
            assert!(is_forbidden(&result), "{escape}: {result:?}");
        }
        assert!(is_forbidden(&roots.read(Path::new("/etc/passwd"), LIMIT)));
        let none = Roots::new(&[], "file_roots").unwrap();
        assert!(is_forbidden(&none.read(&dir.path().join("in/sub/f"), LIMIT)));
    }

    #[test]
    fn a_root_may_be_a_link_itself() {
        let (dir, _) = two_folders();
        symlink("in", dir.path().join("mount")).unwrap();
        let roots = Roots::new(&[dir.path().join("mount")], "file_roots").unwrap();
        for by in ["mount/sub/f", "in/sub/f"] {
            assert_eq!(roots.read(&dir.path().join(by), LIMIT).unwrap(), b"frame");
        }
    }

    #[test]
    fn only_regular_files_are_read_and_none_blocks() {
        let (dir, roots) = two_folders();
        let inside = dir.path().join("in");
        let made = std::process::Command::new("mkfifo").arg(inside.join("pipe")).status().unwrap();
        assert!(made.success());
        for name in ["pipe", "sub"] {
            let result = roots.read(&inside.join(name), LIMIT);
            assert!(matches!(result, Err(ObjectStoreError::NotAFile { .. })), "{name}: {result:?}");
        }
        let _listener = UnixListener::bind(inside.join("socket")).unwrap();
        assert!(matches!(roots.read(&inside.join("socket"), LIMIT), Err(ObjectStoreError::Io { .. })));
        for name in ["absent", "sub/f/below"] {
            let result = roots.read(&inside.join(name), LIMIT);
            assert!(matches!(result, Err(ObjectStoreError::NotFound { .. })), "{name}: {result:?}");
        }
        let endless = inside.join("n".repeat(300));
        let error = roots.read(&endless, LIMIT).unwrap_err();
        assert!(matches!(error, ObjectStoreError::Io { .. }) && !error.retryable(), "{error}");
    }

    #[test]
    fn no_more_than_the_limit_is_read() {
        let (dir, roots) = two_folders();
        let path = dir.path().join("in/large");
        fs::write(&path, vec![7; LIMIT as usize]).unwrap();
        assert_eq!(roots.read(&path, LIMIT).unwrap().len() as u64, LIMIT);
        // 1 TiB without a block on disk: refused by its size, since reading it would fill the memory.
        File::create(&path).unwrap().set_len(1 << 40).unwrap();
        assert!(matches!(roots.read(&path, LIMIT), Err(ObjectStoreError::TooLarge { bytes, .. }) if bytes == 1 << 40));
        // Files of /proc say that they are empty, and are not: as one that grows while it is read.
        let proc = Roots::new(&[PathBuf::from("/proc/self")], "file_roots").unwrap();
        let grown = proc.read(&Path::new("/proc").join(std::process::id().to_string()).join("maps"), LIMIT);
        assert!(matches!(grown, Err(ObjectStoreError::TooLarge { bytes, .. }) if bytes == LIMIT + 1), "{grown:?}");
    }

    #[test]
    fn a_folder_swapped_for_a_link_gives_nothing_from_outside() {
        let (dir, roots) = two_folders();
        let (sub, aside) = (dir.path().join("in/sub"), dir.path().join("in/aside"));
        let (file, stop) = (sub.join("f"), AtomicBool::new(false));
        let (mut refused, mut wrong) = (0, None);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    fs::rename(&sub, &aside).unwrap();
                    symlink("../out", &sub).unwrap();
                    std::thread::yield_now();
                    fs::remove_file(&sub).unwrap();
                    fs::rename(&aside, &sub).unwrap();
                    std::thread::yield_now();
                }
            });
            let mut tried = 0;
            // At least 2000, and until both sides of the race were seen.
            while wrong.is_none() && (tried < 2000 || (refused == 0 && tried < 200_000)) {
                tried += 1;
                match roots.read(&file, LIMIT) {
                    Ok(bytes) if bytes == b"frame" => {}
                    Err(ObjectStoreError::NotFound { .. }) => {}
                    result if is_forbidden(&result) => refused += 1,
                    result => wrong = Some(result),
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert!(wrong.is_none(), "{wrong:?}");
        assert!(refused > 0, "the link was never met");
    }
}
