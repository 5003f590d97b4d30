//! The child by itself. With other arguments than the child's it confines itself and then does what it may not, so that
//! tests see what comes of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a test fails")]

use std::fs::File;
use std::net::UdpSocket;
use std::process::Command;

use twinpeak_cfitsio::child::serve_if_asked;
use twinpeak_cfitsio::confine::confine;

fn main() {
    serve_if_asked();
    let deed = std::env::args().nth(1).unwrap();
    confine(64 << 20, 1).unwrap();
    match deed.as_str() {
        "nothing" => println!("is alive"),
        "open" => drop(File::open("/etc/passwd")),
        "write" => drop(File::create("/tmp/of-the-confined-child")),
        "connect" => drop(UdpSocket::bind(("127.0.0.1", 0))),
        "execute" => drop(Command::new("/bin/true").status()),
        "thread" => drop(std::thread::Builder::new().spawn(|| ())),
        "allocate" => drop(vec![1_u8; 256 << 20]),
        "spin" => loop {
            std::hint::spin_loop();
        },
        other => panic!("{other}"),
    }
    println!("has done it");
}
