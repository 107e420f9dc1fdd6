//! The image unpacked, and processes inside.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{Directory, Kdc, Named, Namespace, Settings, find_or_install, run};

const INSTALL: &str = "apt-get install -y --no-install-recommends mmdebstrap umoci skopeo bubblewrap";
/// Where the program is inside.
pub(crate) const PROGRAM: &str = "/usr/bin/external-dns-rfc2136-webhook";
/// The user that the image runs as.
pub(crate) const USER: u32 = 65_532;
/// Where a Secret is mounted.
const SECRET: &str = "/etc/kerberos";

/// What `make image` has made.
pub(crate) fn built() -> PathBuf {
    let built = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("image");
    assert!(built.join("image.tar").is_file(), "there is no image in {}: run make image", built.display());
    built
}

pub(crate) fn tool(program: &str) -> Command {
    Command::new(find_or_install(program, INSTALL))
}

/// The name of the image for umoci and skopeo.
pub(crate) fn reference() -> String {
    format!("{}:{}", built().join("oci").display(), env!("CARGO_PKG_VERSION"))
}

/// The image's root, of this test alone.
pub(crate) struct Root {
    directory: Directory,
    /// What is laid over it: for each file of the root what is there instead.
    over: Vec<(String, String)>,
    tmpfs: bool,
}

impl Root {
    pub(crate) fn new() -> Self {
        let directory = Directory::new();
        run(tool("umoci").args(["unpack", "--image", &reference()]).arg(directory.join("bundle")));
        for open in [directory.path().to_owned(), directory.join("bundle")] {
            fs::set_permissions(open, fs::Permissions::from_mode(0o755)).unwrap();
        }
        let root = Self { directory, over: Vec::new(), tmpfs: true };
        // As a container's runtime makes a directory to mount at.
        fs::create_dir(root.path().join(&SECRET[1..])).unwrap();
        let secret = root.directory.join("secret");
        fs::create_dir(&secret).unwrap();
        root.laid_over(SECRET, secret.to_str().unwrap())
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.directory.join("bundle/rootfs")
    }

    /// With something else in place of a file.
    pub(crate) fn laid_over(mut self, file: &str, other: &str) -> Self {
        self.over.push((file.to_owned(), other.to_owned()));
        self
    }

    /// With nothing in place of a library.
    pub(crate) fn without(self, file: &str) -> Self {
        self.laid_over(file, "/dev/null")
    }

    /// With nowhere to write to.
    pub(crate) fn without_tmpfs(self) -> Self {
        Self { tmpfs: false, ..self }
    }

    /// Puts a keytab where its Secret is mounted, readable for the image's user alone.
    pub(crate) fn keytab(&self, kdc: &Kdc, principal: &str) -> String {
        let file = self.directory.join("secret").join(principal);
        fs::copy(kdc.keytab(principal), &file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o400)).unwrap();
        chown(&file, Some(USER), Some(USER)).unwrap();
        format!("{SECRET}/{principal}")
    }

    /// What starts a process inside, but for its own name.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let user = USER.to_string();
        let mut words: Vec<&str> = vec!["--reuid", &user, "--regid", &user, "--clear-groups", "--bounding-set=-all"];
        words.extend(["--inh-caps=-all", "--no-new-privs", "--pdeathsig", "KILL", "--"]);
        let bwrap = find_or_install("bwrap", INSTALL);
        words.push(bwrap.to_str().unwrap());
        // The program is the first process inside, as in a container.
        words.extend(["--unshare-user", "--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try"]);
        words.extend(["--as-pid-1", "--die-with-parent", "--new-session", "--cap-drop", "ALL", "--chdir", "/"]);
        let root = self.path();
        words.extend(["--ro-bind", root.to_str().unwrap(), "/", "--proc", "/proc", "--dev", "/dev"]);
        if self.tmpfs {
            words.extend(["--tmpfs", "/tmp"]);
        }
        for (file, other) in &self.over {
            words.extend(["--ro-bind", other, file]);
        }
        for variable in ["HOME", "TMPDIR"] {
            words.extend(["--unsetenv", variable]);
        }
        words.extend(["--setenv", "PATH", "/usr/bin", "--"]);
        words.into_iter().map(str::to_owned).collect()
    }

    /// Runs a program inside to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Output {
        tool("setpriv").args(self.arguments()).args(words).output().unwrap()
    }

    /// A sidecar inside, with GSS-TSIG as `externaldns` and its keytab.
    pub(crate) fn settings(&self, kdc: &Kdc, named: &Named, zones: &[&str]) -> Settings {
        let keytab = self.keytab(kdc, "externaldns");
        let settings = Settings::gss(kdc, named, zones).unset("TMPDIR").set("RFC2136_KERBEROS_KEYTAB", &keytab);
        let mut arguments = self.arguments();
        arguments.push(PROGRAM.to_owned());
        settings.starter(&find_or_install("setpriv", INSTALL), &arguments)
    }
}

/// Does all of this in a network of its own.
pub(crate) fn alone(work: impl FnOnce() + Send) {
    Namespace::new("ip link set lo up", &[]).inside(work);
}
