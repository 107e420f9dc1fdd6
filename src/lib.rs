//! A webhook provider for ExternalDNS: DNS records kept by RFC 2136 updates signed with GSS-TSIG.

pub mod api;
pub mod app;
pub mod config;
pub mod dns;
pub mod gss;
pub mod kerberos;
pub mod metrics;
pub mod nameserver;
pub mod plan;
pub mod provider;
pub mod server;
pub mod telemetry;
pub mod zone_copy;
