//! Programs that run as children of the test.

use std::env;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// What provides every server program and tool that the tests run.
const INSTALL: &str = "apt-get install -y --no-install-recommends \
                       bind9 bind9-dnsutils krb5-kdc krb5-admin-server krb5-user openssl util-linux faketime";

/// Where `program` is; servers live where a user's `PATH` does not look.
///
/// # Panics
/// With the line that installs it, when it is missing.
pub fn find(program: &str) -> PathBuf {
    find_or_install(program, INSTALL)
}

/// As [`find`], for a program that something else provides.
///
/// # Panics
/// With the line that installs it, when it is missing.
pub fn find_or_install(program: &str, install: &str) -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|directory| directory.join(program))
        .find(|file| file.is_file())
        .unwrap_or_else(|| panic!("`{program}` is missing. Install it with: {install}"))
}

/// A command with nothing of the caller's environment but where to find programs and temporary files.
pub fn command(program: PathBuf) -> Command {
    let mut command = Command::new(program);
    command.env_clear().stdin(Stdio::null());
    for name in ["PATH", "HOME", "TMPDIR"] {
        if let Some(value) = env::var_os(name) {
            command.env(name, value);
        }
    }
    command
}

/// What keeps named from a lock in the system's own directories, as it has until 9.18; from 9.20 on there is no such option.
pub fn no_lock_file() -> &'static str {
    let version = run(command(find("named")).arg("-v"));
    let minor = version.trim_start_matches("BIND 9.").split('.').next().unwrap_or_default();
    if minor.parse().is_ok_and(|minor: u32| minor <= 18) { "lock-file none;" } else { "" }
}

/// What gives a program another clock: `offset` is such as `+10m`.
///
/// libfaketime itself, since its wrapper would stand between the test and its child.
///
/// # Panics
/// With the line that installs it, when it is missing.
pub fn clock(offset: &str) -> [(&'static str, String); 3] {
    let directories = std::fs::read_dir("/usr/lib").unwrap().map(|entry| entry.unwrap().path());
    let mut libraries = directories.map(|directory| directory.join("faketime/libfaketime.so.1"));
    let library = libraries.find(|file| file.is_file());
    let library = library.unwrap_or_else(|| panic!("libfaketime is missing. Install it with: {INSTALL}"));
    [
        ("LD_PRELOAD", library.to_str().unwrap().to_owned()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
}

/// Runs a command to its end and gives its standard output.
///
/// # Panics
/// With what it printed, when it fails.
pub fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

/// Memory of a process in octets, by the name of its line in `/proc/PID/status`.
pub fn memory(pid: u32, field: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let kib = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    kib.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within `limit`.
pub fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < limit, "not within {limit:?}: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A port of 127.0.0.1 that no other test gets while this value lives.
///
/// named listens with `SO_REUSEPORT`: two on one port would not collide but share its packets. So a port is taken by
/// holding the same port of 127.0.0.2. (Other loopback addresses will not do for named itself: it listens on addresses
/// of interfaces only.)
#[derive(Debug)]
pub struct Place {
    pub port: u16,
    _reservation: TcpListener,
}

impl Place {
    /// One where nothing listens yet, below the range of ports that clients get.
    pub fn free() -> Self {
        loop {
            let port = 10_000 + rand::random::<u16>() % 20_000;
            let socket = (Ipv4Addr::LOCALHOST, port);
            let Ok(reservation) = TcpListener::bind(("127.0.0.2", port)) else { continue };
            if TcpListener::bind(socket).is_ok() && UdpSocket::bind(socket).is_ok() {
                return Self { port, _reservation: reservation };
            }
        }
    }

    pub fn socket(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }
}

/// A temporary directory that is removed when dropped, and by a process of its own when the test was killed.
pub struct Directory {
    directory: TempDir,
    janitor: Child,
}

impl Directory {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        // It reads until this process is gone, by whatever way, and its servers a moment later.
        let script = "trap '' INT TERM HUP; cat >/dev/null; rm -rf \"$0\" && exit; sleep 1; rm -rf \"$0\"";
        let mut janitor = command(find("sh"));
        janitor.args(["-c", script]).arg(directory.path()).stdin(Stdio::piped());
        Self { janitor: janitor.spawn().unwrap(), directory }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        drop(self.janitor.stdin.take());
        let _ = self.janitor.wait();
    }
}

/// A running program; killed when dropped, and by the kernel when the thread that started it ends.
pub struct Daemon {
    child: Child,
}

impl Daemon {
    /// A command that [`Daemon::spawn`] can start, to be given arguments.
    pub fn command(program: PathBuf) -> Command {
        let mut setpriv = command(find("setpriv"));
        setpriv.args(["--pdeathsig", "KILL", "--"]).arg(program);
        setpriv
    }

    pub fn spawn(command: &mut Command) -> Self {
        Self { child: command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}")) }
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends `STOP`, `CONT`, `TERM`, ...; `STOP` until every thread has stopped, since they go on until one has taken it.
    pub fn signal(&self, signal: &str) {
        run(command(find("sh")).args(["-c", "kill -$0 $1", signal, &self.pid().to_string()]));
        if signal == "STOP" {
            wait_until("it stops", Duration::from_secs(10), || self.has_stopped());
        }
    }

    fn has_stopped(&self) -> bool {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid())).unwrap();
        let state = |thread: fs::DirEntry| {
            let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_none_or(|(_, rest)| rest.starts_with('T'))
        };
        threads.flatten().all(state)
    }

    /// SIGKILL, and until it is gone.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, or none when it has not within `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                None if start.elapsed() < limit => std::thread::sleep(Duration::from_millis(5)),
                ended => return ended,
            }
        }
    }

    /// SIGTERM, and its exit code; none when a signal ended it.
    pub fn terminate(&mut self, limit: Duration) -> Option<i32> {
        self.signal("TERM");
        let status = self.wait(limit).unwrap_or_else(|| panic!("process {} ignores SIGTERM", self.pid()));
        assert_ne!(status.signal(), Some(9), "killed instead of ended");
        status.code()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}
