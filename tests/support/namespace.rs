//! A network of a test's own, with names and files of its own.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::ops::Deref;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::daemon::{Daemon, find};
use super::forwarder::Forwarder;

/// A network and a mount namespace. Both have no name: they end with the last process in them, and with them every
/// address and file system that was made there.
#[derive(Clone)]
pub struct Namespace {
    pid: u32,
    network: Arc<File>,
    _holder: Arc<Daemon>,
}

impl Namespace {
    /// One that this shell script has prepared, called with these arguments.
    ///
    /// # Panics
    /// When the test does not run as root, or the script fails.
    pub fn new(script: &str, arguments: &[&str]) -> Self {
        assert!(geteuid().is_root(), "this test makes a network namespace, for which it must run as root");
        let mut unshare = Daemon::command(find("unshare"));
        unshare.args(["--net", "--mount", "--", "sh", "-ec"]);
        unshare.arg(format!("{script}\necho prepared\nexec sleep infinity")).arg("sh").args(arguments);
        let mut holder = Daemon::spawn(unshare.stdout(Stdio::piped()));
        let mut line = String::new();
        BufReader::new(holder.child().stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "prepared\n", "the namespace could not be prepared");
        let pid = holder.pid();
        let network = File::open(format!("/proc/{pid}/ns/net")).unwrap();
        Self { pid, network: Arc::new(network), _holder: Arc::new(holder) }
    }

    /// A command for [`Daemon::spawn`] or [`super::run`] that runs inside.
    pub fn command(&self, program: PathBuf) -> Command {
        let mut nsenter = Daemon::command(find("nsenter"));
        nsenter.args(["--target", &self.pid.to_string(), "--net", "--mount", "--"]).arg(program);
        nsenter
    }

    /// As [`Namespace::command`], for a server of several processes; see [`Family`].
    pub fn family(&self, program: PathBuf) -> Command {
        let mut unshare = self.command(find("unshare"));
        unshare.args(["--pid", "--fork", "--kill-child=KILL", "--"]).arg(program);
        unshare
    }

    /// Runs `work` in a thread inside. Sockets that it makes stay inside wherever they are used afterwards.
    ///
    /// # Panics
    /// When `work` does.
    pub fn inside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = scope.spawn(|| {
                move_into_link_name_space(self.network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                work()
            });
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A forwarder inside.
    pub fn forwarder(&self, target: SocketAddr) -> InnerForwarder {
        InnerForwarder { forwarder: Some(self.inside(|| Forwarder::start(target))), namespace: self.clone() }
    }

    /// Where a file of the inside is seen from outside.
    pub fn path(&self, inside: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{inside}", self.pid))
    }
}

/// A forwarder inside a namespace.
pub struct InnerForwarder {
    forwarder: Option<Forwarder>,
    namespace: Namespace,
}

impl Deref for InnerForwarder {
    type Target = Forwarder;

    fn deref(&self) -> &Forwarder {
        self.forwarder.as_ref().unwrap()
    }
}

impl Drop for InnerForwarder {
    fn drop(&mut self) {
        // It wakes its thread by connecting to itself.
        self.namespace.inside(|| drop(self.forwarder.take()));
    }
}

/// A server of several processes in a process namespace of its own, so that they end all at once.
pub struct Family {
    daemon: Daemon,
}

impl Family {
    /// Starts a command of [`Namespace::family`].
    pub fn spawn(command: &mut Command) -> Self {
        Self { daemon: Daemon::spawn(command) }
    }

    pub fn is_running(&mut self) -> bool {
        self.daemon.child().try_wait().unwrap().is_none()
    }

    /// SIGKILL for all of it, and until it is gone.
    pub fn kill(&mut self) {
        // With the first process of its namespace the kernel ends the others; `unshare` waits for it, and so leaves none
        // behind that nobody waits for.
        let pid = self.daemon.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| Pid::from_raw(child.parse().ok()?)) {
            let _ = kill_process(child, Signal::KILL);
        }
        let _ = self.daemon.wait(Duration::from_secs(5));
        self.daemon.kill();
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        self.kill();
    }
}
