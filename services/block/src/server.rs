//! Wiring: the store as a role of a process.

use std::sync::Arc;

use anyhow::Context as _;
use cairn_daemon::{Hosted, Shutdown};
use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tonic::service::RoutesBuilder;

use crate::Block;
use crate::grpc::Service;

impl Hosted for Block {
    fn service_names(&self) -> &'static [&'static str] {
        &["cairn.block.v1.BlockService"]
    }

    fn add_routes(self: Arc<Self>, mut routes: RoutesBuilder) -> RoutesBuilder {
        routes.add_service(Service::server(self));
        routes
    }

    fn run(self: Arc<Self>, shutdown: Shutdown) -> BoxFuture<'static, anyhow::Result<()>> {
        async move {
            self.collector.run(shutdown.token()).await;
            // Calls may still be open: writers end with the last holder of the store.
            tokio::task::spawn_blocking(move || self.blocks.flush()).await.context("flushing the block store")
        }
        .boxed()
    }
}
