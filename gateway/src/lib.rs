//! The gateway: S3 over HTTP in, register and block operations out; nothing outlives a request but caches.
//!
//! It promises what `S3.md` says: a 200 is durable, operations on one key are linearizable, what is not supported is
//! refused by name, and no client can make it grow past its limits. It owns no data and knows no replica: that is
//! `cairn_quorum`'s; nor how S3 is written: that is `cairn_s3`'s.
//!
//! The life of a request: `http` (connections, time-outs) → `service` (parse, authenticate, authorise, dispatch) →
//! a handler in `buckets`, `list`, `objects` or `multipart` → `body` (blocks out and in) and `cairn_quorum::Cluster`.

mod access_log;
mod admin;
mod auth;
mod body;
mod buckets;
mod budget;
mod cache;
mod config;
mod convert;
mod core;
mod cors;
mod directory;
mod encryption;
mod exchange;
mod failure;
mod form;
#[cfg(test)]
mod fuzz;
mod gateway;
mod http;
mod list;
mod multipart;
mod objects;
mod payload;
mod proxies;
mod quota;
mod rows;
mod server;
mod service;
mod settings;
mod unset;
mod web;

pub use config::{Config, HostCertificate, Limits, ServerConfig, Tls, Web};
pub use gateway::{Gateway, Parts};
pub use proxies::{Network, NetworkError};
pub use server::Server;
