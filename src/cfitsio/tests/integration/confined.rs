//! The child's limits, each broken for real, and what its parent makes of a child's end.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use twinpeak_cfitsio::decoder::{DecodeError, Decoder, Limits};

const CHILD: &str = env!("CARGO_BIN_EXE_decode-image");

fn deed(name: &str) -> Output {
    Command::new(CHILD).arg(name).env_clear().output().unwrap()
}

#[test]
fn what_is_not_needed_for_decoding_is_death() {
    use std::os::unix::process::ExitStatusExt;
    let alive = deed("nothing");
    assert!(alive.status.success(), "{alive:?}");
    assert_eq!(String::from_utf8_lossy(&alive.stdout), "is alive\nhas done it\n");
    for name in ["open", "write", "connect", "execute", "thread"] {
        let ended = deed(name);
        assert_eq!(ended.status.signal(), Some(libc::SIGSYS), "{name}: {ended:?}");
        assert!(ended.stdout.is_empty(), "{name} was done");
    }
    assert_eq!(deed("allocate").status.signal(), Some(libc::SIGABRT));
    assert_eq!(deed("spin").status.signal(), Some(libc::SIGXCPU));
    assert!(!Path::new("/tmp/of-the-confined-child").exists());
}

fn says(program: &str, arguments: &[&str]) -> DecodeError {
    let limits = Limits { wall: Duration::from_millis(500), cpu_s: 1 };
    let decoder = Decoder::by(Path::new(program)).with_arguments(arguments).within(limits);
    decoder.decode(&[0; 1 << 20], 7, [64, 64]).unwrap_err()
}

#[test]
fn however_a_child_ends_its_parent_says_how() {
    let broken = |script: &str| match says("/bin/sh", &["-c", script]) {
        DecodeError::Broken(how) => how,
        other => panic!("{other}"),
    };
    assert_eq!(broken("kill -KILL $$"), "was killed");
    assert_eq!(broken("kill -SEGV $$"), "read or wrote where it has no memory");
    assert_eq!(broken("echo no library >&2; exit 3"), "ended without an answer, with code 3: no library");
    assert_eq!(broken("sleep 100 & wait"), "was killed after 0.5 s");
    // It answers before it has heard all, so that neither gets on.
    assert_eq!(broken("cat; exit 0"), "was killed after 0.5 s");
    // What a child has started is killed with it.
    assert_eq!(broken("sleep 100 </dev/null & exit 1"), "was killed after 0.5 s");
    // One that writes without end is cut off: no more is taken than the pixels.
    assert!(!broken("cat /dev/zero").is_empty());
    assert!(matches!(says("/nowhere", &[]), DecodeError::Unavailable(_)));
}
