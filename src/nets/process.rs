//! The end of a process that libtorch is in.

use std::io::Write;

/// Ends the process with an exit code, without libtorch's farewell: at exit it takes its thousands of operators out of
/// its registry one by one, a tenth of a second in which nothing is saved, and in which nets that still run fail. The
/// last call of `main`, and of whoever must end at once; whatever matters must be on disk.
pub fn leave(code: u8) -> ! {
    // What `exit` would have done for us. With nobody to read it any more, nothing is lost.
    let _ = std::io::stdout().flush();
    // SAFETY: `_exit` takes any number, touches no memory of ours and does not return.
    #[allow(unsafe_code)]
    unsafe {
        libc::_exit(code.into())
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    /// In a process of its own, which runs this test again and leaves.
    #[test]
    fn what_was_printed_is_seen_and_the_code_arrives() {
        if std::env::var_os("TWINPEAK_TEST_LEAVE").is_some() {
            print!("half a line");
            super::leave(42);
        }
        let this = "process::tests::what_was_printed_is_seen_and_the_code_arrives";
        let mut child = Command::new(std::env::current_exe().unwrap());
        let done = child.args(["--exact", this, "--nocapture"]).env("TWINPEAK_TEST_LEAVE", "1").output().unwrap();
        assert_eq!(done.status.code(), Some(42));
        assert!(String::from_utf8_lossy(&done.stdout).ends_with("half a line"));
    }
}
