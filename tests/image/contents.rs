//! What the image consists of.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::root::{PROGRAM, Root, built, reference, tool};
use crate::support::{Directory, run};

const MIB: u64 = 1 << 20;
const DOCKERFILE: &str = include_str!("../../deploy/Dockerfile");
const PACKAGES: &str = include_str!("../../deploy/image/packages");

/// Where the libraries are inside.
fn libraries() -> String {
    format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH)
}

/// Every file below `directory` that is neither a directory nor a link.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries
        .flat_map(|entry| match entry.file_type().unwrap() {
            kind if kind.is_dir() => files(&entry.path()),
            kind if kind.is_symlink() => Vec::new(),
            _ => vec![entry.path()],
        })
        .collect()
}

fn inside(root: &Root, file: &Path) -> String {
    format!("/{}", file.strip_prefix(root.path()).unwrap().display())
}

fn is_elf(file: &Path) -> bool {
    fs::read(file).unwrap().starts_with(b"\x7fELF")
}

/// What the loader does not find for any program, library or plugin of the root.
fn unresolved(root: &Root) -> Vec<String> {
    let loader =
        if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" };
    let mut missing = Vec::new();
    for file in files(&root.path()).into_iter().filter(|file| is_elf(file)) {
        let file = inside(root, &file);
        let output = root.run(&[loader, "--list", &file]);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text).into_owned();
        if !output.status.success() && !text.contains("statically linked") || text.contains("not found") {
            missing.push(format!("{file}: {text}"));
        }
    }
    missing
}

#[test]
fn every_library_that_anything_inside_needs_is_inside() {
    assert_eq!(unresolved(&Root::new()), Vec::<String>::new());
}

#[test]
fn a_library_that_is_removed_is_missed() {
    for library in [
        "libgssapi_krb5.so.2.2",
        "libkrb5.so.3.3",
        "libk5crypto.so.3.1",
        "libkrb5support.so.0.1",
        "libcom_err.so.2.1",
        "libkeyutils.so.1.10",
        "libgcc_s.so.1",
        "libresolv.so.2",
        "libcrypto.so.3",
        "libz.so.1.3.1",
        "libzstd.so.1.5.7",
    ] {
        let path = format!("{}/{library}", libraries());
        let root = Root::new();
        assert!(root.path().join(&path[1..]).is_file(), "{path} is not there");
        let root = root.without(&path);
        // Its own file, which is nothing now, is not what is missed.
        let missed = unresolved(&root).into_iter().any(|line| !line.starts_with(&path));
        assert!(missed, "nothing misses {library}");
    }
}

#[test]
fn nothing_inside_but_the_sidecar_can_be_run() {
    let root = Root::new();
    let runnable = |file: &PathBuf| fs::metadata(file).unwrap().permissions().mode() & 0o111 != 0;
    let programs: BTreeSet<String> = files(&root.path())
        .iter()
        .filter(|file| runnable(file))
        .map(|file| inside(&root, file))
        .filter(|file| !file.starts_with(&libraries()))
        .collect();
    assert_eq!(programs, BTreeSet::from([PROGRAM.to_owned()]));
    for file in files(&root.path()) {
        let metadata = fs::metadata(&file).unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o6022), (0, 0), "{}", file.display());
    }
    let output = root.run(&["/bin/sh", "-c", "true"]);
    assert!(!output.status.success());
}

#[test]
fn it_is_of_40_mib_at_most() {
    let root = Root::new();
    let size: u64 = files(&root.path()).iter().map(|file| fs::metadata(file).unwrap().len()).sum();
    assert!(size <= 40 * MIB, "{} MiB", size / MIB);
}

#[test]
fn scanners_find_each_package_and_its_licence() {
    let root = Root::new();
    let listed: BTreeSet<&str> = PACKAGES.lines().filter(|line| !line.starts_with('#')).collect();
    let status = root.path().join("var/lib/dpkg/status.d");
    let told = fs::read_dir(&status).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(told.collect::<BTreeSet<_>>(), listed.iter().map(|&name| name.to_owned()).collect());
    for package in listed {
        let text = fs::read_to_string(status.join(package)).unwrap();
        for field in
            [&format!("Package: {package}\n"), "\nVersion: ", "\nArchitecture: ", "\nStatus: install ok installed\n"]
        {
            assert!(text.contains(field), "{field} is not in {text}");
        }
        // A link to that of another package, for some.
        let documents = root.path().join("usr/share/doc").join(package);
        assert!(documents.join("copyright").is_file() || documents.is_symlink(), "{package} has no copyright");
    }
    let release = fs::read_to_string(root.path().join("usr/lib/os-release")).unwrap();
    assert!(release.contains("\nVERSION_CODENAME=trixie\n"), "{release}");
}

/// What cargo links into the program: name and version of each crate, the program's own among them.
fn crates() -> BTreeSet<(String, String)> {
    let mut tree = Command::new(env!("CARGO"));
    tree.args(["tree", "--locked", "--edges", "normal,no-proc-macro", "--prefix", "none", "--format", "{p}"]);
    let text = run(tree.current_dir(env!("CARGO_MANIFEST_DIR")));
    let line = |line: &str| {
        let mut words = line.split(' ').map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap().trim_start_matches('v').to_owned())
    };
    text.lines().map(line).collect()
}

#[test]
fn the_licence_of_every_crate_inside_is_inside() {
    let root = Root::new();
    let file = root.path().join("usr/share/doc/external-dns-rfc2136-webhook/copyright");
    let text = fs::read_to_string(file).unwrap();
    for (name, version) in crates() {
        assert!(text.contains(&format!("\n  {name} {version}\n")), "{name} {version}");
    }
}

#[test]
fn the_bill_of_materials_tells_every_crate_and_package_and_nothing_of_the_machine() {
    let text = fs::read_to_string(built().join("sbom.json")).unwrap();
    for ours in [env!("CARGO_MANIFEST_DIR"), "file://", "serialNumber"] {
        assert!(!text.contains(ours), "{ours}");
    }
    let bill: Value = serde_json::from_str(&text).unwrap();
    let program = &bill["metadata"]["component"];
    let components = bill["components"].as_array().unwrap();
    let parts: BTreeSet<(String, String)> = [program]
        .into_iter()
        .chain(components)
        .map(|part| (part["name"].as_str().unwrap().to_owned(), part["version"].as_str().unwrap().to_owned()))
        .collect();
    assert_eq!(crates().difference(&parts).collect::<Vec<_>>(), Vec::<&(String, String)>::new());
    let packages = components.iter().filter_map(|part| {
        let address = part["purl"].as_str()?.strip_prefix("pkg:deb/debian/")?;
        assert!(address.contains('@') && address.ends_with("&distro=trixie"), "{address}");
        part["name"].as_str()
    });
    let packages: BTreeSet<&str> = packages.collect();
    assert_eq!(packages, PACKAGES.lines().filter(|line| !line.starts_with('#')).collect());
    let linked = bill["dependencies"].as_array().unwrap().iter().find(|of| of["ref"] == program["bom-ref"]).unwrap();
    let of_debian = |on: &&Value| on.as_str().unwrap().starts_with("pkg:deb/");
    assert_eq!(linked["dependsOn"].as_array().unwrap().iter().filter(of_debian).count(), packages.len());
}

#[test]
fn certificates_for_dns_over_tls_are_there() {
    let root = Root::new();
    let text = fs::read_to_string(root.path().join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    let count = |what: &str| text.lines().filter(|line| *line == what).count();
    assert!(count("-----BEGIN CERTIFICATE-----") > 100);
    assert_eq!(count("-----BEGIN CERTIFICATE-----"), count("-----END CERTIFICATE-----"));
}

#[test]
fn the_same_program_makes_the_same_octets_again() {
    let (directory, built) = (Directory::new(), built());
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program = built.with_file_name("release").join("external-dns-rfc2136-webhook");
    let licences = built.with_file_name("licences.txt");
    let mut build = tool("sh");
    build.arg(repository.join("deploy/image/build.sh")).arg(program).arg(licences).arg(directory.join("image"));
    run(&mut build);
    let (again, first) =
        (fs::read(directory.join("image/image.tar")).unwrap(), fs::read(built.join("image.tar")).unwrap());
    assert!(again == first, "make image makes another one of the same program");
}

/// What the instructions of the Dockerfile's last stage say.
fn instructions(name: &str) -> Vec<&'static str> {
    let last = DOCKERFILE.rsplit("\nFROM ").next().unwrap();
    last.lines().filter_map(|line| line.strip_prefix(name)).map(str::trim).collect()
}

#[test]
fn the_dockerfile_makes_the_same_image() {
    for (stage, words) in [
        ("packages", "apt-get download $(sed '/^#/d' /image/packages)"),
        ("root", "/image/root.sh /archives /external-dns-rfc2136-webhook /licences.txt /root-of-image"),
        ("suite", "FROM debian:trixie-slim AS root"),
        ("result", "FROM scratch\nCOPY --from=root /root-of-image /\n"),
    ] {
        assert!(DOCKERFILE.contains(words), "{stage}: {words}");
    }
    let shown = run(tool("skopeo").args(["inspect", "--config", &format!("oci:{}", reference())]));
    let config: Value = serde_json::from_str(&shown).unwrap();
    let config = &config["config"];
    let words =
        |value: &Value| value.as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned()).collect();
    let entry: Vec<String> = words(&config["Entrypoint"]);
    assert_eq!(instructions("ENTRYPOINT"), [serde_json::to_string(&entry).unwrap()]);
    assert_eq!(entry, [PROGRAM]);
    let environment: Vec<String> = words(&config["Env"]);
    assert_eq!(instructions("ENV"), environment);
    assert_eq!(instructions("USER"), [config["User"].as_str().unwrap()]);
    assert_eq!(instructions("WORKDIR"), [config["WorkingDir"].as_str().unwrap()]);
    let ports: Vec<&String> = config["ExposedPorts"].as_object().unwrap().keys().collect();
    assert_eq!(instructions("EXPOSE").iter().collect::<Vec<_>>(), ports);
    let labels = config["Labels"].as_object().unwrap();
    let set: BTreeSet<_> = instructions("LABEL").into_iter().map(str::to_owned).collect();
    let expected = labels.iter().filter(|(name, _)| !name.ends_with(".version"));
    assert_eq!(set, expected.map(|(name, value)| format!("{name}={value}")).collect());
    assert_eq!(labels["org.opencontainers.image.version"], env!("CARGO_PKG_VERSION"));
}
