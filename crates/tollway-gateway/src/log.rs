//! The access log: one line for each request, however it ends, with the basis on which it passed or
//! did not. It names the path but not the query, and never a token, a preimage or an invoice.

use std::net::IpAddr;
use std::time::Instant;

use http::request::Parts;
use http::{Method, StatusCode, Uri};

/// One request's line, filled in as it becomes known, and written when it is dropped: when the answer
/// has left, or when the client has gone.
#[derive(Debug)]
pub(crate) struct Entry {
    started: Instant,
    client: Option<IpAddr>,
    door: Option<&'static str>,
    method: Method,
    uri: Uri,
    /// The service it was for, once that is known.
    pub(crate) service: Option<String>,
    /// On what it passed (`paid`, `free`, `off`), or what became of it instead (`asked`, `refused`,
    /// `failed`).
    pub(crate) basis: &'static str,
    /// Why it did not pass, when it did not.
    pub(crate) why: Option<&'static str>,
    /// What it was answered, if it was.
    pub(crate) status: Option<StatusCode>,
    bytes: u64,
    end: &'static str,
}

impl Entry {
    /// A line for a request that just came in, or nothing when nobody reads the log. In a box: most
    /// who carry one have none.
    pub(crate) fn new(
        started: Instant,
        client: Option<IpAddr>,
        head: &Parts,
        door: Option<&'static str>,
    ) -> Option<Box<Self>> {
        if !tracing::enabled!(target: "tollway::access", tracing::Level::INFO) {
            return None;
        }
        Some(Box::new(Self {
            started,
            client,
            door,
            method: head.method.clone(),
            uri: head.uri.clone(),
            service: None,
            basis: "failed",
            why: None,
            status: None,
            bytes: 0,
            end: "cut off",
        }))
    }

    /// That much of the body has been handed to the connection.
    pub(crate) fn sent(&mut self, bytes: usize) {
        self.bytes += bytes as u64;
    }

    /// The body came to its end.
    pub(crate) fn whole(&mut self) {
        self.end = "whole";
    }

    /// The upstream broke off in the middle of its body.
    pub(crate) fn broken(&mut self) {
        self.end = "upstream broke off";
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        tracing::info!(
            target: "tollway::access",
            client = self.client.map(tracing::field::display),
            via = self.door,
            method = %self.method,
            path = self.uri.path(),
            service = self.service.as_deref().unwrap_or("-"),
            basis = self.basis,
            why = self.why,
            status = self.status.map(|status| status.as_u16()),
            bytes = self.bytes,
            ms = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            end = self.end,
            "request"
        );
    }
}
