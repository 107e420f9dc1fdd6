//! Compiles the gRPC API, without a protoc of the system, and tells the program which commit it is.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use prost::Message as _;

const PROTO: &str = "externaldns/provider/v1/provider.proto";
const SECONDS_A_DAY: u64 = 86_400;

#[expect(clippy::disallowed_methods, reason = "cargo tells where to write in a variable")]
fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=proto");
    let descriptors = protox::compile([PROTO], ["proto"])?;
    // Server reflection tells these to clients.
    let path = PathBuf::from(env::var("OUT_DIR")?).join("descriptors.bin");
    fs::write(path, descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_transport(false).compile_fds(descriptors)?;
    identify(&env::var("CARGO_PKG_VERSION")?, env::var("SOURCE_DATE_EPOCH").ok().as_deref());
    Ok(())
}

/// Commit and date: of `SOURCE_DATE_EPOCH` or of the commit, never of the build, so that the same source makes the same
/// octets. Both are empty where there is no repository, as in a tarball.
fn identify(version: &str, source_date: Option<&str>) {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    // Cargo looks at what exists only; a file that does not would make it run this for ever.
    for path in ["HEAD", "logs/HEAD"].into_iter().filter_map(|file| git(&["rev-parse", "--git-path", file])) {
        if Path::new(&path).exists() {
            println!("cargo::rerun-if-changed={path}");
        }
    }
    // A tarball may lie in the repository of something else.
    let is_ours = git(&["rev-parse", "--show-prefix"]).is_some_and(|prefix| prefix.is_empty());
    let of_commit = |format| git(&["show", "--no-patch", format, "HEAD"]).filter(|_| is_ours);
    let commit = of_commit("--format=%H").filter(|commit| commit.bytes().all(|octet| octet.is_ascii_hexdigit()));
    let seconds = source_date.map(str::to_owned).or_else(|| of_commit("--format=%ct"));
    let date = seconds.and_then(|seconds| seconds.trim().parse().ok()).map(date).unwrap_or_default();
    let commit = commit.unwrap_or_default();
    let known = [commit.get(..12).unwrap_or_default(), &date].into_iter().filter(|text| !text.is_empty());
    let known = known.collect::<Vec<_>>().join(", ");
    let version = if known.is_empty() { version.to_owned() } else { format!("{version} ({known})") };
    println!("cargo::rustc-env=BUILD_VERSION={version}");
    println!("cargo::rustc-env=BUILD_COMMIT={commit}");
    println!("cargo::rustc-env=BUILD_DATE={date}");
}

/// What git prints; none where it is missing, or has nothing to tell.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

/// Seconds since 1970 as year-month-day, in UTC.
fn date(seconds: u64) -> String {
    let is_leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    // A number that is no date must not keep the build for ages.
    let (mut days, mut year) = (seconds.min(253_402_300_799) / SECONDS_A_DAY, 1970);
    while days >= 365 + u64::from(is_leap(year)) {
        days -= 365 + u64::from(is_leap(year));
        year += 1;
    }
    let mut month = 1;
    for length in [31, 28 + u64::from(is_leap(year)), 31, 30, 31, 30, 31, 31, 30, 31, 30] {
        if days < length {
            break;
        }
        days -= length;
        month += 1;
    }
    format!("{year:04}-{month:02}-{:02}", days + 1)
}
