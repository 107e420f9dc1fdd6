//! What the release workflow does with the image, against a registry on loopback.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::root::{built, tool};
use crate::support::{Daemon, Directory, Place, run, wait_until};

/// What `make imagetest` has installed.
fn crane() -> PathBuf {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let path = fs::read_dir(target).unwrap().map(|entry| entry.unwrap().path().join("crane"));
    path.into_iter().find(|path| path.is_file()).expect("crane is missing: run make imagetest")
}

/// A registry with nothing in it.
struct Registry {
    _daemon: Daemon,
    repository: String,
}

impl Registry {
    fn start() -> Self {
        let place = Place::free();
        let mut command = Daemon::command(crane());
        command.args(["registry", "serve", "--address", &place.socket().to_string()]).stderr(Stdio::null());
        let daemon = Daemon::spawn(&mut command);
        let registry = Self { _daemon: daemon, repository: format!("{}/example/sidecar", place.socket()) };
        let answers = || Command::new(crane()).args(["catalog", &place.socket().to_string()]).output().unwrap();
        wait_until("the registry answers", Duration::from_secs(20), || answers().status.success());
        registry
    }

    fn publish(&self, version: &str, images: &[&Path]) -> Command {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/image/publish.sh");
        let mut publish = tool("sh");
        publish.arg(script).arg(crane()).args([&self.repository, version]).args(images);
        publish
    }

    fn manifest(&self, reference: &str) -> Value {
        let text = run(Command::new(crane()).args(["manifest", &format!("{}{reference}", self.repository)]));
        serde_json::from_str(&text).unwrap()
    }
}

/// The image as if it had been built on `architecture`: its configuration says so.
fn on(architecture: &str, directory: &Directory) -> PathBuf {
    let image = directory.join(architecture);
    let layout = image.join("oci");
    fs::create_dir_all(&layout).unwrap();
    run(tool("tar").arg("--extract").arg("--file").arg(built().join("image.tar")).arg("--directory").arg(&layout));
    let set = ["config", "--no-history", "--architecture", architecture, "--image"];
    run(tool("umoci").args(set).arg(format!("{}:{}", layout.display(), env!("CARGO_PKG_VERSION"))));
    run(tool("tar")
        .arg("--create")
        .arg("--file")
        .arg(image.join("image.tar"))
        .arg("--directory")
        .arg(&layout)
        .arg("."));
    image
}

#[test]
fn two_architectures_are_published_as_one_and_a_version_only_once() {
    let (registry, directory) = (Registry::start(), Directory::new());
    let (amd64, arm64) = (on("amd64", &directory), on("arm64", &directory));
    let told = run(&mut registry.publish("1.2.3", &[&amd64, &arm64]));
    let digests: Vec<(&str, &str)> = told.lines().map(|line| line.split_once('=').unwrap()).collect();
    let [("amd64", first), ("arm64", second), ("digest", whole)] = digests[..] else { panic!("{told}") };

    let index = registry.manifest(":1.2.3");
    let manifests: Vec<(&str, &str)> = index["manifests"]
        .as_array()
        .unwrap()
        .iter()
        .map(|of| (of["platform"]["architecture"].as_str().unwrap(), of["digest"].as_str().unwrap()))
        .collect();
    assert_eq!(manifests, [("amd64", first), ("arm64", second)]);
    assert_eq!(registry.manifest(&format!("@{whole}")), index);

    let again = registry.publish("1.2.3", &[&amd64]).output().unwrap();
    let said = String::from_utf8(again.stderr).unwrap();
    assert!(!again.status.success() && said.contains("is published already"), "{said}");
    assert_eq!(registry.manifest(":1.2.3"), index);
}

#[test]
fn the_changelog_has_an_entry_for_this_version_and_a_tag_has_to_be_of_it() {
    let make = |arguments: &[&str]| {
        let mut make = tool("make");
        make.args(["--silent", "SETUP=:"]).args(arguments).current_dir(env!("CARGO_MANIFEST_DIR"));
        make
    };
    let ours = format!("TAG=v{}", env!("CARGO_PKG_VERSION"));
    run(&mut make(&["tagged", &ours]));
    assert!(run(&mut make(&["notes"])).lines().any(|line| line.starts_with("- ")));
    let other = make(&["tagged", "TAG=v0.0.1"]).output().unwrap();
    assert!(!other.status.success());
    assert!(String::from_utf8(other.stderr).unwrap().contains("the tag is v0.0.1"));
}
