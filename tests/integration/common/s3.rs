//! Servers that speak S3: a real one (moto), and one that answers as a test tells it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, Weak};
use std::thread::JoinHandle;
use std::time::Duration;

/// moto on a free port of the loopback; ends with its last user.
pub struct Moto {
    child: Child,
    address: SocketAddr,
}

impl Moto {
    /// The one that the tests of a file share; none, loudly, where it is not installed.
    pub fn shared() -> Option<Arc<Self>> {
        // Tests run side by side, and a static of its own would never end the process.
        static SHARED: Mutex<Weak<Moto>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(|e| e.into_inner());
        let moto = shared.upgrade().or_else(|| Self::start(&[]).map(Arc::new))?;
        *shared = Arc::downgrade(&moto);
        Some(moto)
    }

    /// Starts one with these variables set; none, loudly, where it is not installed.
    pub fn start(variables: &[(&str, &str)]) -> Option<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let root = root.ancestors().find(|folder| folder.join("deploy").is_dir()).unwrap_or(root); // of the workspace
        let program = root.join(".venv/bin/moto_server");
        if !program.exists() {
            eprintln!("SKIPPED: no {} (deploy/setup.sh --tests installs it)", program.display());
            return None;
        }
        let mut command = Command::new(program);
        command.args(["-H", "127.0.0.1", "-p", "0"]).envs(variables.iter().copied());
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let running = said.find_map(|line| Some(line.ok()?.split_once("Running on http://")?.1.trim().to_owned()));
        let moto = Self { child, address: running.expect("moto says where it runs").parse().unwrap() };
        std::thread::spawn(move || said.for_each(drop)); // it must not block on a full pipe
        Some(moto)
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Makes a bucket.
    pub fn bucket(&self, name: &str) {
        assert_eq!(http(self.address, "PUT", &format!("/{name}"), b"").0, 200);
    }

    /// Puts an object by its percent-encoded key, not by way of the program.
    pub fn object(&self, bucket: &str, key: &str, bytes: &[u8]) {
        assert_eq!(http(self.address, "PUT", &format!("/{bucket}/{key}"), bytes).0, 200);
    }

    /// An object's bytes, not by way of the program.
    pub fn read(&self, bucket: &str, key: &str) -> Option<Vec<u8>> {
        let (status, body) = http(self.address, "GET", &format!("/{bucket}/{key}"), b"");
        assert!(status == 200 || status == 404, "{status}");
        (status == 200).then_some(body)
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One request: status and body.
fn http(address: SocketAddr, method: &str, path: &str, body: &[u8]) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    // moto wants to see that somebody signed, and believes anybody.
    let signed = "AWS4-HMAC-SHA256 Credential=me/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0";
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAuthorization: {signed}\r\nContent-Length: {length}\r\n\r\n"
    );
    stream.write_all(&[head.as_bytes(), body].concat()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let at = answer.windows(4).position(|w| w == b"\r\n\r\n").unwrap();
    let status = String::from_utf8_lossy(&answer[..at]).split(' ').nth(1).unwrap().parse().unwrap();
    (status, answer.split_off(at + 4))
}

/// What a [`Stub`] does with a request.
pub enum Reply {
    /// This, then the connection is closed.
    Whole(String),
    /// Nothing, for ever.
    Silence,
    /// This, and then a byte every now and then, until nobody reads them.
    Drip(String),
}

impl Reply {
    /// A status, further headers (each with its line's end) and a body.
    pub fn new(status: &str, headers: &str, body: &str) -> Self {
        let length = body.len();
        Self::Whole(format!(
            "HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nETag: \"e\"\r\nConnection: close\r\n\r\n{body}"
        ))
    }
}

/// A server that answers as it is told, and remembers what it was asked.
pub struct Stub {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Stub {
    /// `answer` gets the request's number, from 0.
    pub fn start(answer: impl Fn(usize) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        // Written by the server's thread, read by the test's.
        let asked = Arc::new(Mutex::new(Vec::new()));
        let told = asked.clone();
        let thread = std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let Some(head) = request(&mut stream) else { return };
                let number = told.lock().unwrap().len();
                told.lock().unwrap().push(head);
                match answer(number) {
                    Reply::Whole(text) => drop(stream.write_all(text.as_bytes())),
                    Reply::Silence => silent.push(stream),
                    Reply::Drip(text) => drop(std::thread::spawn(move || {
                        let mut written = stream.write_all(text.as_bytes());
                        while written.is_ok() {
                            std::thread::sleep(Duration::from_millis(50));
                            written = stream.write_all(b"x");
                        }
                    })),
                }
            }
        });
        Self { address, asked, thread: Some(thread) }
    }

    /// Its URL.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The heads of the requests so far.
    pub fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        drop(TcpStream::connect(self.address)); // a connection without a request ends it
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// A request's head, its body read and dropped; none where the connection closes first.
fn request(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).ok()?;
        head.extend(byte);
    }
    let head = String::from_utf8(head).ok()?;
    let length = head.lines().find_map(|l| l.to_lowercase().strip_prefix("content-length: ")?.parse::<u64>().ok());
    std::io::copy(&mut stream.take(length.unwrap_or(0)), &mut std::io::sink()).ok()?;
    Some(head)
}
