//! How single values are written.

use std::time::Duration;

use crate::dns::Ttl;

pub(super) const BOOLEAN: &str = "true or false";
pub(super) const DURATION: &str = "a duration above zero such as 4s, 500ms, 5m or 1h";
pub(super) const TTL: &str = "a TTL such as 60, 60s, 5m or 1h";
pub(super) const SIZE: &str = "a size above zero such as 64MiB or 1048576";

/// Items of a comma list, trimmed, empty ones left out.
pub(super) fn items(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "on" => Some(true),
        "false" | "0" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A number and its unit.
fn quantity(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at_checked(end)?;
    Some((digits.parse().ok()?, unit.trim_start()))
}

fn any_duration(text: &str) -> Option<Duration> {
    let (count, unit) = quantity(text)?;
    let seconds = match unit {
        "ms" => return Some(Duration::from_millis(count)),
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => return None,
    };
    count.checked_mul(seconds).map(Duration::from_secs)
}

/// Above zero, and at most a day, so that sums of deadlines never overflow.
pub(super) fn duration(text: &str) -> Option<Duration> {
    any_duration(text).filter(|duration| !duration.is_zero() && *duration <= Duration::from_secs(86_400))
}

pub(super) fn ttl(text: &str) -> Option<Ttl> {
    let duration = any_duration(text).filter(|duration| duration.subsec_nanos() == 0)?;
    u32::try_from(duration.as_secs()).ok().filter(|&secs| secs <= Ttl::MAX.as_secs()).map(Ttl::from_secs)
}

/// Octets, above zero.
pub(super) fn size(text: &str) -> Option<usize> {
    let (count, unit) = quantity(text)?;
    let factor: u64 = match unit {
        "" | "B" => 1,
        "k" | "K" | "Ki" | "KiB" => 1 << 10,
        "M" | "Mi" | "MiB" => 1 << 20,
        "G" | "Gi" | "GiB" => 1 << 30,
        _ => return None,
    };
    count.checked_mul(factor).and_then(|octets| usize::try_from(octets).ok()).filter(|&octets| octets > 0)
}

/// The value that a keyword stands for.
pub(super) fn keyword<T: Copy>(text: &str, choices: &[(&str, T)]) -> Option<T> {
    choices.iter().find(|(word, _)| text.eq_ignore_ascii_case(word)).map(|&(_, value)| value)
}

/// A duration in the largest unit that is exact.
pub(super) fn show(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (duration.subsec_millis(), seconds) {
        (0, 1..) if seconds.is_multiple_of(3600) => format!("{}h", seconds / 3600),
        (0, 1..) if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        (0, _) => format!("{seconds}s"),
        _ => format!("{}ms", duration.as_millis()),
    }
}
