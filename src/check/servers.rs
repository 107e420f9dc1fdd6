//! Each name server: does it answer, does it take the context, does its clock agree.

use super::report::Step;
use crate::config::{Authentication, Config};
use crate::nameserver::Server;
use crate::provider::Failure;

/// Seconds from which a clock deserves a warning; servers refuse 300.
const SKEW_WORTH_TELLING: u64 = 60;

/// Looks at one server, whatever its zones.
pub(super) async fn check(config: &Config, server: &Server) -> Vec<Step> {
    let subject = server.address();
    if let Err(error) = server.probe().await {
        return vec![Step::failed("server", subject, &Failure::from(&error))];
    }
    let mut steps = vec![Step::ok("server", subject, "answers")];
    match &config.authentication {
        Authentication::Insecure => {
            let remedy = "use RFC2136_GSS_TSIG or RFC2136_TSIG_KEYNAME where the server can";
            steps.push(Step::warning("negotiation", subject, "messages are neither signed nor verified", remedy));
        }
        Authentication::Tsig(key) => {
            steps.push(Step::ok("negotiation", subject, format!("not needed with the shared key {}", key.name)));
        }
        Authentication::Gss(kerberos) => match server.authenticate().await {
            Ok(life) => {
                let target = crate::kerberos::TargetName::dns(&subject.host, &kerberos.realm);
                let seconds = life.unwrap_or_default().as_secs();
                steps.push(Step::ok("negotiation", subject, format!("a context for {target}, {seconds} seconds")));
            }
            Err(error) => steps.push(Step::failed("negotiation", subject, &Failure::from(&error))),
        },
    }
    steps
}

/// What a signed answer has told of the server's clock.
pub(super) fn clock(server: &Server) -> Option<Step> {
    let skew = server.clock_skew()?;
    let detail = format!("its clock minus ours is {skew} seconds");
    Some(if skew.unsigned_abs() < SKEW_WORTH_TELLING {
        Step::ok("clock", server.address(), detail)
    } else {
        Step::warning("clock", server.address(), detail, "synchronise the clocks (NTP); 300 seconds are refused")
    })
}
