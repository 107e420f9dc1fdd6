//! `/status` for people: HTML and CSS of its own, nothing to run and nothing to fetch.
//!
//! Tenants choose names, types and values, so every text goes through [`Text`].

use std::fmt::{self, Display, Write};

use crate::provider::Failure;
use crate::provider::status::{
    ChangeEntry, CredentialStatus, KeepAliveStatus, KeepAliveZone, ServerStatus, Status, StatusEntry, ZoneStatus,
};

/// Nothing but the page's own styles, even if a text got out of its place.
pub(super) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const STYLE: &str = include_str!("page.css");

/// A text in which no character means anything to HTML.
struct Text<T>(T);

impl<T: Display> Display for Text<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Also what turns the direction of the text around it.
                c if c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') => {
                    write!(f, "{}", c.escape_unicode())?;
                }
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

/// The page; `now` is in seconds since 1970.
pub(super) fn render(status: &Status, unready: &[Failure], now: u64) -> String {
    let mut page = String::new();
    // Writing to a String never fails.
    let _ = write(&mut page, status, unready, now);
    page
}

fn write(page: &mut String, status: &Status, unready: &[Failure], now: u64) -> fmt::Result {
    write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <title>external-dns-rfc2136-webhook</title><style>{STYLE}</style></head><body><main>\
         <h1>external-dns-rfc2136-webhook {}</h1>",
        Text(env!("BUILD_VERSION"))
    )?;
    let (class, state) = match (unready.is_empty(), status.rejected.len()) {
        (false, _) => ("bad", "Not ready".to_owned()),
        (true, 0) => ("good", "Ready".to_owned()),
        (true, 1) => ("warn", "Ready, 1 record rejected".to_owned()),
        (true, count) => ("warn", format!("Ready, {count} records rejected")),
    };
    write!(page, "<p class=\"state {class}\">{state}</p>")?;
    if status.dry_run {
        page.push_str("<p class=\"warn\">Dry run: nothing is sent.</p>");
    }
    if let Some(warning) = &status.records_body_warning {
        write!(page, "<p class=\"warn\">{}</p>", Text(warning))?;
    }
    if !unready.is_empty() {
        page.push_str("<h2>Why it is not ready</h2><ul class=\"wide\">");
        for failure in unready {
            let (sentence, detail, remedy) = (failure.cause.sentence(), &failure.detail, failure.cause.remedy());
            write!(
                page,
                "<li class=\"bad-card\"><strong>{}</strong> <code class=\"dim\">{}</code><p>{}</p><p>Remedy: {}</p></li>",
                Text(sentence),
                Text(failure.cause.label()),
                Text(detail),
                Text(remedy)
            )?;
        }
        page.push_str("</ul>");
    }
    write!(page, "<h2>Zones <span>{}</span></h2><ul>", status.zones.len())?;
    status.zones.iter().try_for_each(|entry| zone(page, entry, now))?;
    write!(page, "</ul><h2>Name servers <span>{}</span></h2><ul>", status.servers.len())?;
    status.servers.iter().try_for_each(|entry| server(page, entry))?;
    page.push_str("</ul>");
    if let Some(entry) = &status.credential {
        credential(page, entry)?;
    }
    entries(page, "Rejected records", &status.rejected, "bad-card", now)?;
    entries(page, "Left out of what is desired", &status.dropped, "warn-card", now)?;
    if let Some(entry) = &status.keep_alive {
        keep_alive(page, entry, now)?;
    }
    changes(page, &status.changes, now)?;
    page.push_str("</main></body></html>\n");
    Ok(())
}

fn changes(page: &mut String, changes: &[ChangeEntry], now: u64) -> fmt::Result {
    page.push_str("<h2>Changed last</h2>");
    if changes.is_empty() {
        page.push_str("<p class=\"dim\">Nothing yet.</p>");
        return Ok(());
    }
    page.push_str("<ul class=\"wide\">");
    for entry in changes {
        write!(
            page,
            "<li>{} <strong>{} {}</strong> <span class=\"dim\">{}</span></li>",
            Text(entry.op),
            Text(&entry.name),
            Text(&entry.record_type),
            age(Some(entry.at), now)
        )?;
    }
    page.push_str("</ul>");
    Ok(())
}

fn entries(page: &mut String, title: &str, entries: &[StatusEntry], class: &str, now: u64) -> fmt::Result {
    write!(page, "<h2>{title} <span>{}</span></h2>", entries.len())?;
    if entries.is_empty() {
        page.push_str("<p class=\"dim\">None.</p>");
        return Ok(());
    }
    page.push_str("<ul class=\"wide\">");
    for entry in entries {
        write!(
            page,
            "<li class=\"{class}\"><strong>{} {}</strong> <code class=\"dim\">{}</code>\
             <p>{}</p><p>Remedy: {}</p><p class=\"dim\">first told {}</p></li>",
            Text(&entry.name),
            Text(&entry.record_type),
            Text(entry.cause),
            Text(&entry.detail),
            Text(entry.remedy),
            age(Some(entry.since), now)
        )?;
    }
    page.push_str("</ul>");
    Ok(())
}

fn zone(page: &mut String, zone: &ZoneStatus, now: u64) -> fmt::Result {
    let class = if zone.error.is_some() { "bad-card" } else { "" };
    write!(page, "<li class=\"{class}\"><strong>{}</strong>", Text(&zone.zone))?;
    if let (Some(records), Some(serial)) = (zone.records, zone.serial) {
        write!(page, "<p>{records} records, serial {serial}</p>")?;
    }
    let (read, apply) = (age(zone.last_read, now), age(zone.last_apply, now));
    write!(page, "<p class=\"dim\">read {read}; changed {apply}</p>")?;
    if let Some(server) = &zone.server {
        write!(page, "<p class=\"dim\">from {}</p>", Text(server))?;
    }
    trouble(page, zone.error.as_deref())
}

fn server(page: &mut String, server: &ServerStatus) -> fmt::Result {
    let (class, state) = match (server.failed || server.error.is_some(), server.in_use) {
        (true, _) => ("bad-card", "<span class=\"bad\">failed</span>"),
        (false, true) => ("", "<span class=\"good\">in use</span>"),
        (false, false) => ("", "<span class=\"dim\">in reserve</span>"),
    };
    write!(page, "<li class=\"{class}\"><strong>{}</strong> {state}", Text(&server.server))?;
    match server.context_expires_in {
        Some(left) => write!(page, "<p>security context for another {}</p>", span(left))?,
        None => page.push_str("<p class=\"dim\">no security context</p>"),
    }
    if let Some(skew) = server.clock_skew {
        write!(page, "<p class=\"dim\">its clock minus ours: {skew} s</p>")?;
    }
    trouble(page, server.error.as_deref())
}

fn credential(page: &mut String, credential: &CredentialStatus) -> fmt::Result {
    let class = if credential.error.is_some() { "bad-card" } else { "" };
    let principal = credential.principal.as_deref().unwrap_or("whoever the cache belongs to");
    write!(page, "<h2>Credential</h2><ul><li class=\"{class}\"><strong>{}</strong>", Text(principal))?;
    match credential.expires_in {
        Some(left) => write!(page, "<p>ticket for another {}</p>", span(left))?,
        None => page.push_str("<p class=\"dim\">no ticket</p>"),
    }
    trouble(page, credential.error.as_deref())?;
    page.push_str("</ul>");
    Ok(())
}

fn keep_alive(page: &mut String, status: &KeepAliveStatus, now: u64) -> fmt::Result {
    write!(page, "<h2>Kept from ageing</h2><p class=\"dim\">RFC2136_KEEP_ALIVE={}</p>", Text(status.mode))?;
    if status.zones.is_empty() {
        page.push_str("<p class=\"dim\">ExternalDNS has not asked for any record yet.</p>");
        return Ok(());
    }
    page.push_str("<ul>");
    status.zones.iter().try_for_each(|zone| kept(page, zone, now))?;
    page.push_str("</ul>");
    Ok(())
}

fn kept(page: &mut String, zone: &KeepAliveZone, now: u64) -> fmt::Result {
    let class = if zone.overdue > 0 || zone.error.is_some() { "bad-card" } else { "" };
    write!(page, "<li class=\"{class}\"><strong>{}</strong><p>{} record sets", Text(&zone.zone), zone.records)?;
    if let (Some(basis), Some(after), Some(within)) = (zone.basis, zone.refreshed_after, zone.refreshed_within) {
        write!(page, ", each refreshed {} to {} after the last time, by {}", span(after), span(within), Text(basis))?;
    }
    page.push_str("</p>");
    if zone.overdue > 0 {
        write!(page, "<p class=\"bad\">{} may be taken out as aged soon</p>", zone.overdue)?;
    }
    if let Some(idle) = &zone.idle {
        write!(page, "<p>{}</p>", Text(idle))?;
    }
    let next = zone.next.map_or_else(
        || "none is due".to_owned(),
        |next| match next.saturating_sub(now) {
            0 => "the next one is due now".to_owned(),
            left => format!("the next one is due in {}", span(left)),
        },
    );
    write!(page, "<p class=\"dim\">{next}; looked at {}</p>", age(zone.looked, now))?;
    trouble(page, zone.error.as_deref())
}

fn trouble(page: &mut String, error: Option<&str>) -> fmt::Result {
    if let Some(error) = error {
        write!(page, "<p class=\"bad\">{}</p>", Text(error))?;
    }
    page.push_str("</li>");
    Ok(())
}

fn age(time: Option<u64>, now: u64) -> String {
    time.map_or_else(|| "never".to_owned(), |time| format!("{} ago", span(now.saturating_sub(time))))
}

fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::Cause;

    const HOSTILE: &str = "<script>alert('x')</script>&\"\u{202e}\u{0}";

    fn entry() -> StatusEntry {
        StatusEntry {
            zone: HOSTILE.to_owned(),
            name: HOSTILE.to_owned(),
            record_type: HOSTILE.to_owned(),
            cause: Cause::Protected.label(),
            detail: HOSTILE.to_owned(),
            since: 1000,
            remedy: Cause::Protected.remedy(),
        }
    }

    fn hostile() -> Status {
        let text = || Some(HOSTILE.to_owned());
        Status {
            zones: vec![ZoneStatus {
                zone: HOSTILE.to_owned(),
                server: text(),
                error: text(),
                ..ZoneStatus::default()
            }],
            servers: vec![ServerStatus { server: HOSTILE.to_owned(), error: text(), ..ServerStatus::default() }],
            credential: Some(CredentialStatus { principal: text(), error: text(), ..CredentialStatus::default() }),
            rejected: vec![entry()],
            dropped: vec![entry()],
            changes: vec![ChangeEntry {
                at: 1000,
                op: "create",
                name: HOSTILE.to_owned(),
                record_type: HOSTILE.to_owned(),
            }],
            keep_alive: Some(KeepAliveStatus {
                mode: "auto",
                zones: vec![KeepAliveZone {
                    zone: HOSTILE.to_owned(),
                    idle: text(),
                    error: text(),
                    ..Default::default()
                }],
            }),
            ..Status::default()
        }
    }

    #[test]
    fn nothing_that_a_tenant_can_name_is_markup() {
        let page = render(&hostile(), &[Failure::new(Cause::Internal, HOSTILE)], 1060);
        assert!(!page.contains("<script") && !page.contains(['\u{202e}', '\u{0}']), "{page}");
        assert_eq!(
            page.matches("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;\\u{202e}\\u{0}").count(),
            19
        );
    }

    #[test]
    fn the_state_comes_first_and_every_rejection_has_its_remedy() {
        let one = Status { rejected: vec![entry()], ..Status::default() };
        let many = Status { rejected: vec![entry(), entry()], ..Status::default() };
        for (status, state) in [
            (Status::default(), "good\">Ready<"),
            (one, "warn\">Ready, 1 record rejected<"),
            (many, "warn\">Ready, 2 records rejected<"),
        ] {
            let page = render(&status, &[], 1060);
            assert!(page.contains(state), "{page}");
            assert_eq!(page.matches("Remedy: ").count(), status.rejected.len());
        }
        assert!(render(&hostile(), &[Failure::new(Cause::NoKdc, "x")], 1060).contains("bad\">Not ready<"));
    }

    #[test]
    fn a_list_that_externaldns_may_not_take_is_told() {
        let page = |warning| render(&Status { records_body_warning: warning, ..Status::default() }, &[], 1060);
        assert!(page(Some("takes 24 MiB".to_owned())).contains("takes 24 MiB") && !page(None).contains("MiB"));
    }

    #[test]
    fn what_is_kept_from_ageing_is_told_with_what_comes_too_late() {
        let zone = KeepAliveZone {
            zone: "example.test".to_owned(),
            basis: Some("time stamps"),
            refreshed_after: Some(97_200),
            refreshed_within: Some(129_600),
            records: 3,
            next: Some(1060 + 7200),
            ..KeepAliveZone::default()
        };
        let page = |zone| {
            let keep_alive = Some(KeepAliveStatus { mode: "auto", zones: vec![zone] });
            render(&Status { keep_alive, ..Status::default() }, &[], 1060)
        };
        let well = page(zone.clone());
        assert!(
            well.contains("3 record sets, each refreshed 27 h to 36 h after the last time, by time stamps"),
            "{well}"
        );
        assert!(well.contains("due in 2 h") && !well.contains("class=\"bad-card\""), "{well}");
        assert!(page(KeepAliveZone { overdue: 2, ..zone }).contains("bad\">2 may be taken out as aged soon"));
        assert!(!render(&Status::default(), &[], 1060).contains("ageing"));
    }

    #[test]
    fn the_page_runs_and_fetches_nothing() {
        let page = render(&hostile(), &[], 1060);
        for word in ["src=", "href=", "url(", "@import", "http:", "https:"] {
            assert!(!page.contains(word), "{word}");
        }
        assert!(POLICY.starts_with("default-src 'none'"));
    }
}
