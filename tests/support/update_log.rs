//! UPDATE messages as named logs them at `debug 3`.

/// One UPDATE message that touched a zone, or that named refused after a look at its content.
///
/// Not here: messages of prerequisites alone that hold, of which named says nothing. A [`super::Forwarder`] sees all.
#[derive(Debug, Clone, Default)]
pub struct LoggedUpdate {
    /// Object in named, address and port that it came from.
    pub client: String,
    /// Key that signed it; the principal for GSS-TSIG.
    pub key: Option<String>,
    pub zone: String,
    /// `name TYPE rdata` of every record added.
    pub added: Vec<String>,
    /// `name TYPE` of every record deleted, once for each.
    pub deleted: Vec<String>,
    /// Why named did not apply it.
    pub failure: Option<String>,
    changes: bool,
    ended: bool,
}

impl LoggedUpdate {
    /// Whether the zone is another one after it.
    pub fn changed(&self) -> bool {
        self.changes && self.failure.is_none()
    }

    /// Whether it adds a record whose `name TYPE` is this.
    pub fn adds(&self, name_and_type: &str) -> bool {
        self.added.iter().any(|record| record.starts_with(&format!("{name_and_type} ")))
    }

    fn note(&mut self, event: &str) {
        if let Some(record) = event.strip_prefix("adding an RR at ") {
            self.added.push(record.replacen('\'', "", 2));
        } else if let Some((_, record)) = event.strip_prefix("deleting ").and_then(|rest| rest.split_once(" at ")) {
            self.deleted.push(record.replacen('\'', "", 2));
        } else if event == "checking for NSEC3PARAM changes" {
            self.changes = true;
        } else if let Some(failure) = event.strip_prefix("update ") {
            self.failure = Some(failure.to_owned());
        }
    }
}

/// All messages of a log, in order.
pub fn parse(log: &str) -> Vec<LoggedUpdate> {
    let mut updates: Vec<LoggedUpdate> = Vec::new();
    for line in log.lines() {
        let Some((source, event)) = line.split_once("client @").and_then(|(_, rest)| rest.split_once(": ")) else {
            continue;
        };
        // Object and peer: the next message of a connection may be taken up before this one's object is free.
        let client = source.split("/key ").next().unwrap_or_default().split(" (").next().unwrap_or_default();
        let open = updates.iter_mut().rev().find(|update| !update.ended && update.client == client);
        if event == "reset client" {
            if let Some(open) = open {
                open.ended = true;
            }
            continue;
        }
        let Some((zone, event)) = event.strip_prefix("updating zone '").and_then(|rest| rest.split_once("': ")) else {
            continue;
        };
        if let Some(open) = open {
            open.note(event);
            continue;
        }
        let mut update = LoggedUpdate {
            client: client.to_owned(),
            key: source.split_once("/key ").map(|(_, key)| key.replace('\\', "")),
            zone: zone.trim_end_matches("/IN").to_owned(),
            ..LoggedUpdate::default()
        };
        update.note(event);
        updates.push(update);
    }
    updates
}
