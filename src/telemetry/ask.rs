//! Asking a daemon how it is, from beside it: what a container's health check runs.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A daemon that takes longer has hung; its own checks are given 5 s.
const TIMEOUT: Duration = Duration::from_secs(8);
/// More than any answer holds.
const ANSWER_MAX_BYTES: u64 = 1 << 20;

/// An answer of the daemon.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// Body of the answer.
    pub body: String,
}

/// Asks the daemon at `address` for `path`. Where it listens on all addresses, this machine's own is asked.
///
/// # Errors
/// Where there is no answer within some seconds, or none of HTTP.
pub fn ask(mut address: SocketAddr, path: &str) -> io::Result<Answer> {
    if address.ip().is_unspecified() {
        let own: std::net::IpAddr =
            if address.is_ipv4() { [127, 0, 0, 1].into() } else { std::net::Ipv6Addr::LOCALHOST.into() };
        address.set_ip(own);
    }
    let mut daemon = TcpStream::connect_timeout(&address, TIMEOUT)?;
    daemon.set_read_timeout(Some(TIMEOUT))?;
    daemon.set_write_timeout(Some(TIMEOUT))?;
    write!(daemon, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut text = String::new();
    daemon.take(ANSWER_MAX_BYTES).read_to_string(&mut text)?;
    let no_http = || io::Error::new(io::ErrorKind::InvalidData, "it does not speak HTTP");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(no_http)?;
    let status = head.strip_prefix("HTTP/1.").and_then(|h| h.split(' ').nth(1)).and_then(|s| s.parse().ok());
    Ok(Answer { status: status.ok_or_else(no_http)?, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    fn answering(answer: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            // To its end: what is left unread would be answered with a reset, which may overtake the answer.
            let (mut asked, mut piece) = (Vec::new(), [0; 512]);
            while !asked.ends_with(b"\r\n\r\n") {
                let read = client.read(&mut piece).unwrap();
                asked.extend_from_slice(&piece[..read]);
            }
            client.write_all(answer.as_bytes()).unwrap();
        });
        address
    }

    #[test]
    fn an_answer_is_read_and_what_is_none_is_told() {
        let address = answering("HTTP/1.1 503 Service Unavailable\r\nA: b\r\n\r\nnot ready");
        assert_eq!(ask(address, "/readyz").unwrap(), Answer { status: 503, body: "not ready".into() });
        let everywhere = SocketAddr::from(([0, 0, 0, 0], answering("HTTP/1.1 200 OK\r\n\r\n").port()));
        assert_eq!(ask(everywhere, "/readyz").unwrap().status, 200);
        assert!(ask(answering("SSH-2.0-x\r\n"), "/").unwrap_err().to_string().contains("HTTP"));
        let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(ask(nobody, "/").is_err());
    }
}
