//! What traces and log lines tell of an exchange with a server: what was asked, and what came of it.

use std::error::Error;

use tracing::field::{Empty, display};
use tracing::{Span, info_span};

use super::error::ServerError;
use crate::dns::{Message, Opcode, Rcode, ServerAddress};

/// The span of this request. Octets are those of the messages, their signatures counted and their lengths not.
pub(super) fn exchange(server: &ServerAddress, request: &[u8]) -> Span {
    let span = info_span!(
        "exchange",
        %server,
        asked = Empty,
        sent_bytes = Empty,
        received_bytes = Empty,
        rcode = Empty,
        error = Empty,
        otel.status_code = Empty
    );
    if !span.is_disabled() {
        span.record("asked", asked(request));
    }
    span
}

/// Tells it of the exchange that is under way here, if one is.
pub(super) fn sent(octets: usize) {
    Span::current().record("sent_bytes", octets);
}

/// Tells it of the exchange that is under way here, if one is.
pub(super) fn received(octets: usize) {
    Span::current().record("received_bytes", octets);
}

/// Tells how it ended.
pub(super) fn ended(span: &Span, outcome: Result<Rcode, &ServerError>) {
    match outcome {
        Ok(rcode) => span.record("rcode", display(rcode)),
        Err(error) => span.record("error", error as &dyn Error).record("otel.status_code", "ERROR"),
    };
}

/// The opcode; of a query, which is short, the type that it asks for.
fn asked(request: &[u8]) -> String {
    match request.get(2).map(|octet| Opcode::from(octet >> 3 & 0xf)) {
        Some(Opcode::QUERY) => {
            let question = Message::parse(request).ok().and_then(|query| query.questions.into_iter().next());
            question.map_or_else(|| Opcode::QUERY.to_string(), |question| question.rtype.to_string())
        }
        opcode => opcode.map(|opcode| opcode.to_string()).unwrap_or_default(),
    }
}
