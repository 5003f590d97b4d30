//! What the daemon serves: metrics and health.

use std::io::{Read, Write};
use std::net::TcpStream;

/// GET over TCP: status and body.
pub fn get(address: &str, path: &str) -> (u16, String) {
    let mut client = TcpStream::connect(address).unwrap();
    write!(client, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let is_chunked = head.to_lowercase().contains("transfer-encoding: chunked");
    let body = if is_chunked { joined(body) } else { body.to_owned() };
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body)
}

/// A body that came in chunks, each behind its length: large ones do.
fn joined(mut chunks: &str) -> String {
    let mut body = String::new();
    while let Some((length, rest)) = chunks.split_once("\r\n") {
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        body.push_str(&rest[..length]);
        chunks = rest[length..].trim_start_matches("\r\n");
    }
    body
}

/// The value of a series, the sum where several begin so.
pub fn metric(text: &str, series: &str) -> Option<f64> {
    let values = text.lines().filter(|l| l.starts_with(series)).map(|l| l.rsplit(' ').next().unwrap().parse::<f64>());
    let values: Vec<_> = values.map(Result::unwrap).collect();
    (!values.is_empty()).then(|| values.iter().sum())
}
