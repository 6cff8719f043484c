//! A real gateway on a port of its own, an upstream behind it, a node to be paid on and a buyer to pay
//! it: whole requests, whole answers.

#![allow(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod access_log;
mod acme;
mod admin;
mod asking;
mod caveats;
mod charges;
mod cors;
mod discovery;
mod examples;
mod faults;
mod forward_auth;
mod grpc_web;
mod import;
mod inbound;
mod known_defects;
mod layer;
mod limits;
mod matching;
mod metrics;
mod mpp_client;
mod odd;
mod passage;
mod passing;
mod paths;
mod paying;
mod prices;
mod protocols;
mod proxied;
mod raw;
mod shop;
mod stopping;
mod store;
mod streaming;
mod tls;
mod traces;
mod upload;
mod upstreams;
